/** @file `pareto protein baselines` on a small folder of families. */
import { mkdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { relatedSequences } from "../unit/protein/sequences.ts";
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
  baseline: string;
  accuracy: number;
  rows: number;
}

test("measures every method on every split, the same for the same seed", async () => {
  const measure = async (...options: string[]): Promise<Result[]> => {
    const { done } = await work.json(["protein", "baselines", "families", "--quiet", ...options]);
    expect(done["families"]).toBe(4);
    return (done["results"] as (Result & { seconds: number })[]).map(({ seconds: _, ...result }) => result);
  };
  const results = await measure();
  expect(new Set(results.map(({ split }) => split))).toEqual(new Set(["random", "species", "cluster"]));
  expect(new Set(results.map(({ baseline }) => baseline)).size).toBe(results.length / 3);
  for (const { accuracy } of results.filter(({ split }) => split === "random")) {
    expect(accuracy).toBeGreaterThan(0.5);
  }
  expect(await measure()).toEqual(results);
  const [capped] = await measure("--split", "random", "--cap", "40");
  expect(capped!.rows).toBe(16);
});

test("says what is missing", async () => {
  const { status, stderr } = await work.run(["protein", "baselines"]);
  expect(status).toBe(2);
  expect(stderr).toContain("CLI_SOURCE");
  const alone = await work.run(["protein", "baselines", "families/family0.fa"]);
  expect(alone.status).toBe(2);
  expect(alone.stderr).toContain("PROTEIN_ONE_FAMILY");
});
