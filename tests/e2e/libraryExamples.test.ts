/** @file The examples of `docs/api.md` that need no file of one's own print what the page says. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const PRINTS = /`npx node (examples\/library\/\w+\.ts)` prints\n\n```\n([^]*?)```/g;

const page = await readFile(`${root}docs/api.md`, "utf8");
const examples = [...page.matchAll(PRINTS)].map(([, path, printed]) => [path!, printed!] as const);

test("some are shown", () => {
  expect(examples.length).toBeGreaterThanOrEqual(3);
});

test.each(examples)("%s", async (path, printed) => {
  const { stdout } = await promisify(execFile)(process.execPath, [path], { cwd: root });
  expect(stdout).toBe(printed);
});
