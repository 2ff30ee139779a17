/** @file `pareto protein train` with the k-mer methods, on a small folder of families. */
import { mkdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BASELINE_NAMES } from "../../src/protein/kmer/baselines.ts";
import { SPLIT_NAMES } from "../../src/protein/splits/split.ts";
import { relatedSequences } from "../support/protein/sequences.ts";
import { Workspace } from "./cli.ts";

let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
  await mkdir(work.path("families"));
  const sequences = relatedSequences(1, 4, 80);
  for (let label = 0; label < 4; label++) {
    const own = sequences.filter((sequence) => sequence.label === label);
    const text = own.map(({ name, species, residues }) => `>${name} OS=${species}\n${residues}\n`).join("");
    await writeFile(work.path("families", `family${label}.fa`), text);
  }
});
afterAll(() => work.remove());

interface Result {
  split: string;
  model: string;
  accuracy: number;
  rows: number;
}

let runs = 0;

/** What a method reaches; each run has a folder of its own. */
async function measure(model: string, split: string, ...options: string[]): Promise<Result> {
  const args = ["protein", "train", "families", "--quiet", "--model", model, "--split", split];
  const { done } = await work.json([...args, "--out", `run${runs++}`, ...options]);
  expect(done["families"]).toBe(4);
  const { accuracy, rows } = done as unknown as Result;
  return { model, split, accuracy, rows };
}

test.each(BASELINE_NAMES)("%s measures every split, the same for the same seed", async (model) => {
  for (const split of SPLIT_NAMES) {
    const result = await measure(model, split);
    if (split === "random") {
      expect(result.accuracy).toBeGreaterThan(0.5);
      expect(await measure(model, split)).toEqual(result);
    }
  }
});

test("the cap bounds the families", async () => {
  expect((await measure(BASELINE_NAMES[0]!, "random", "--cap", "40")).rows).toBe(16);
});
