/** @file A run's sequences: families that a split cannot keep in every part are named, with advice that fits. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readProteinData } from "../../../../src/protein/training/readProteinData.ts";
import type { ProteinData } from "../../../../src/protein/training/proteinConfig.ts";
import type { RunEvent } from "../../../../src/run/events.ts";
import { fastaText, madeRecords } from "../../../support/protein/madeFamilies.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-protein-data-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Writes families of so many sequences. */
async function families(sizes: readonly number[]): Promise<void> {
  for (const [f, size] of sizes.entries())
    await writeFile(join(root, `family${f}.fa`), fastaText(madeRecords(f + 1, 1, size)));
}

const read = async (changes: Partial<ProteinData> = {}) => {
  const events: RunEvent[] = [];
  const data: ProteinData = {
    paths: [root],
    familyFrom: "file",
    minimum: 1,
    cap: null,
    split: "random",
    strict: false,
    dataSeed: 1,
    ...changes,
  };
  const { set, parts } = await readProteinData(data, (event) => events.push(event));
  const notices = events.flatMap((event) => (event.event === "notice" ? [event.message] : []));
  return { set, parts, notices };
};

test("families of three sequences stand in every part", async () => {
  await families([3, 30]);
  const { set, parts, notices } = await read();
  expect(notices).toEqual([]);
  for (const part of Object.values(parts))
    expect(new Set(Array.from(part as Uint32Array, (row) => set.labels[row])).size).toBe(2);
});

test("families of fewer are refused by name, and left out by the advice", async () => {
  await families([2, 30, 30]);
  await expect(read()).rejects.toMatchObject({
    code: "PROTEIN_SMALL_FAMILY",
    message: expect.stringContaining("got family0 (2)") as string,
    fix: expect.stringContaining("--min-family 3") as string,
  });
  expect((await read({ minimum: 3 })).set.families).toEqual(["family1", "family2"]);
});

test("families that a harder split keeps out of a part are named, with advice that fits", async () => {
  await families([3, 60, 60]);
  const { set, parts, notices } = await read({ split: "species" });
  for (const part of ["validation", "test"] as const) {
    const seen = new Set(Array.from(parts[part], (row) => set.labels[row]!));
    const missing = set.families.filter((_, f) => !seen.has(f));
    expect(
      notices.filter((text) => text.includes(`no ${part} sequence of ${missing.join(", ")}:`)),
    ).toHaveLength(missing.length === 0 ? 0 : 1);
  }
  expect(notices.length).toBeGreaterThan(0);
  // Every family is one cluster here, so none can be held out.
  await expect(read({ split: "cluster" })).rejects.toMatchObject({
    code: "PROTEIN_EMPTY_PART",
    fix: "Give more sequences, or take --split random.",
  });
});
