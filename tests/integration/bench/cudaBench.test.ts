/** @file The CUDA table without a GPU: its groups, what a failure reads like, and the command where there is none. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { groupsNamed } from "../../../bench/cuda/cudaBench.ts";
import { groupNames } from "../../../bench/cuda/groups.ts";
import { attempt, failedRow } from "../../../bench/failedRow.ts";
import { benchTable } from "../../../bench/table.ts";
import { ParetoError } from "../../../src/base/errors.ts";

const row = {
  case: "copy",
  size: "1 GiB",
  milliseconds: 0.71,
  figure: "3,000 GB/s",
  limit: "3,100 GB/s",
  ratio: 0.9677,
  target: "≥ 0.85",
  met: true,
};

test("a table has a line a row, in columns that line up, with what was met and missed", () => {
  const failed = failedRow("rows", new ParetoError({ code: "X", where: "x", message: "no", fix: "f" }));
  const lines = benchTable([row, { ...row, ratio: 0.5, met: false }, failed]);
  expect(lines).toHaveLength(5);
  expect(lines[2]).toMatch(/^copy +\| 1 GiB \| 0\.71 +\| 3,000 GB\/s \| .* \| 0\.97 +\| ≥ 0\.85 \| met$/);
  expect(lines[3]).toMatch(/\| 0\.50 +\| ≥ 0\.85 \| MISSED$/);
  expect(lines[4]).toMatch(/^rows \| +\| – +\| failed +\| X: no +\| – +\| +\| MISSED$/);
  const columns = (line: string) => [...line.matchAll(/ \| /g)].map(({ index }) => index).slice(0, 6);
  for (const line of lines) expect(columns(line)).toEqual(columns(lines[0]!));
});

test("a row that throws becomes a missed row and does not end the others", async () => {
  const found = await attempt("attention", () => Promise.reject(new Error("first line\nsecond line")));
  expect(found).toMatchObject({
    case: "attention",
    figure: "failed",
    limit: "Error: first line",
    met: false,
  });
  expect(await attempt("copy", async () => row)).toBe(row);
});

test("groups are named one by one", () => {
  expect(groupsNamed(undefined)).toEqual(groupNames);
  expect(groupsNamed("memory, products")).toEqual(["memory", "products"]);
  expect(() => groupsNamed("memory,none")).toThrow(/got "none"; use: /);
});

test("asked for by name where no GPU can be seen, the bench says why and exits 2", async () => {
  const main = fileURLToPath(new URL("../../../bench/main.ts", import.meta.url));
  const env = { ...process.env, CUDA_VISIBLE_DEVICES: "" };
  const failed = promisify(execFile)(process.execPath, [main, "cuda"], { env });
  await expect(failed).rejects.toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringMatching(/^cuda cannot be measured here: .+\. (Install|Check) .+/),
  });
});
