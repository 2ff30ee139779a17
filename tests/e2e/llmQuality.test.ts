/** @file The bench of quality as it is run, on tiny models that know nothing: it goes through everything, and says so. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { QualityFile } from "../../bench/llmQuality/qualityFile.ts";
import { WORDS } from "../../src/llm/tasks/words.ts";
import { writeWordModel } from "../support/llm/wordModel.ts";
import { Workspace } from "./cli.ts";

const BENCH = join(import.meta.dirname, "../../bench/main.ts");

let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
  await writeWordModel(work.path("models/recall-rotary"));
  await writeWordModel(work.path("models/shakespeare"));
  const words = Array.from({ length: 4000 }, (_, i) => WORDS[6 + ((i * i + 7 * i) % (WORDS.length - 6))]);
  await writeFile(work.path("text.txt"), words.join(" "));
});
afterAll(() => work.remove());

test("measures every exam of the models that are there, and constant noise as no noise", async () => {
  const options =
    "llmQuality --small --models models --text text.txt --items 2 --max-seqs 2 --seeds 1 --tokens 136 --threads 1";
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [BENCH, ...options.split(" "), "--out", "quality.json"],
    { cwd: work.directory, maxBuffer: 2 ** 24 },
  );
  expect(stderr).toContain("recall-alibi is left out");
  const file = JSON.parse(await readFile(work.path("quality.json"), "utf8")) as QualityFile;
  expect(JSON.parse(stdout.trimEnd().split("\n").at(-1)!)).toEqual(file);
  const names = ({ model, task, protocol }: QualityFile["curves"][number]) => [model, task, protocol];
  expect(file.curves.map(names)).toEqual([
    ["recall-rotary", "recall", "in-prompt"],
    ["recall-rotary", "recall", "after"],
    ["recall-rotary", "copy", "in-prompt"],
    ["recall-rotary", "variable", "in-prompt"],
    ["recall-rotary", "delayed-recall", "after"],
    ["shakespeare", "text", null],
  ]);
  expect(file.ablations.map(names)).toEqual([
    ["recall-rotary", "recall", "in-prompt"],
    ["shakespeare", "text", null],
  ]);
  const variant = (name: string) => file.ablations[1]!.arms.find(({ policy }) => policy === name)!;
  expect(variant("noise constant").mean).toBeCloseTo(variant("noise none").mean, 4);
  expect(variant("as the paper has it").fromDefault).toEqual({ mean: 0, low: 0, high: 0 });
  expect(Math.abs(variant("new positions").fromDefault!.mean)).toBeGreaterThan(1e-3);
  // Who asks after evidence that came late finds the authors' masks among the policies.
  expect(file.curves[4]!.arms.map(({ policy }) => policy)).toContain("the authors' masks");
});
