/**
 * @file The HomFam benchmark's files, when PARETO_HOMFAM names their folder: the counts of recipe HF73, its splits, and
 * the baselines' figures.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { SequenceSet } from "../../../../src/protein/sequenceSet.ts";
import { readFamilies } from "../../../../src/protein/families/families.ts";
import { proteinOfId } from "../../../../src/protein/families/familyOfHeader.ts";
import { measureBaseline } from "../../../../src/protein/kmer/baselines.ts";
import type { BaselineName } from "../../../../src/protein/kmer/baselines.ts";
import { clusterSequences } from "../../../../src/protein/splits/clusters.ts";
import { split, SPLIT_NAMES } from "../../../../src/protein/splits/split.ts";
import { residueText } from "../../../support/protein/sequences.ts";

const folder = process.env["PARETO_HOMFAM"];
const title = folder === undefined ? "HomFam (skipped: set PARETO_HOMFAM to its folder)" : "HomFam";

describe.skipIf(folder === undefined)(title, () => {
  let capped: SequenceSet;
  beforeAll(async () => {
    const options = { familyFrom: "file", minimum: 700, cap: 1000, seed: 1 } as const;
    capped = (await readFamilies([folder!], options)).set;
  });

  test("the files are those that the figures were measured on", async () => {
    const names = (await readdir(folder!)).filter((name) => name.endsWith(".fa.gz")).sort();
    const digest = createHash("sha256");
    for (const name of names) {
      const file = createHash("sha256").update(await readFile(join(folder!, name)));
      digest.update(`${file.digest("hex")}  ${name}\n`);
    }
    expect(names.length).toBe(89);
    expect(digest.digest("hex")).toBe("e149936617b73c508f561948ce7420f75bd8997009f3ecb8d1b0a5095ae47cdd");
  });

  test("recipe HF73 gives its counts", async () => {
    const { set, report } = await readFamilies([folder!], { familyFrom: "file", minimum: 700, seed: 1 });
    expect(report).toMatchObject({ files: 89, records: 515_674, distinct: 349_816, ambiguous: 0 });
    expect(report.bad.count).toBe(0);
    expect(set.families.length).toBe(73);
    expect(set.count).toBe(343_580);
    expect(new Set(set.species).size).toBe(5889);
    expect(new Set(set.names.map(proteinOfId)).size).toBe(281_483);
    const count = (cap: number): number =>
      report.families.reduce((sum, f) => sum + Math.min(f.distinct, cap), 0);
    expect([300, 500, 1000, 3000].map(count)).toEqual([21_900, 36_500, 71_473, 171_902]);
    expect(capped.count).toBe(71_473);
  });

  test("clusters of the capped set are as many as stated, give or take the draw", () => {
    const sizes = new Uint32Array(capped.count);
    for (const cluster of clusterSequences(capped)) sizes[cluster]!++;
    const clusters = sizes.filter((size) => size > 0);
    expect(Math.abs(clusters.length - 19_351)).toBeLessThan(200);
    expect(Math.abs(clusters.filter((size) => size === 1).length - 14_128)).toBeLessThan(200);
  });

  test.each(SPLIT_NAMES)("the %s split lets nothing cross that it promises to hold", (name) => {
    const rows = split(capped, name, 1, { strict: true });
    const clusters = name === "cluster" ? clusterSequences(capped) : null;
    const keys: ((row: number) => unknown)[] = [
      (row) => residueText(capped, row),
      (row) => proteinOfId(capped.names[row]!),
    ];
    if (name === "species") keys.push((row) => capped.species[row]);
    if (clusters !== null) keys.push((row) => clusters[row]);
    for (const key of keys) {
      const parts = [rows.train, rows.validation, rows.test].map((part) => new Set(Array.from(part, key)));
      const [train, validation, test] = parts as [Set<unknown>, Set<unknown>, Set<unknown>];
      expect(train.isDisjointFrom(validation)).toBe(true);
      expect(train.isDisjointFrom(test)).toBe(true);
      expect(validation.isDisjointFrom(test)).toBe(true);
    }
  });

  /** Accuracy and macro-F1 of a pilot written in Python with a draw of its own; ours may differ by the draw. */
  const PILOT = {
    random: { naiveBayes: [0.9397, 0.9435], nearest: [0.9027, 0.9133] },
    species: { naiveBayes: [0.917, 0.9276], nearest: [0.8407, 0.871] },
    cluster: { naiveBayes: [0.6023, 0.6076], nearest: [0.5234, 0.5758] },
  };

  test.each(SPLIT_NAMES)("on the %s split the baselines are as good as a pilot's", (name) => {
    const parts = split(capped, name, 1);
    const quality = (baseline: BaselineName): number[] => {
      const { accuracy, macroF1 } = measureBaseline(baseline, capped, parts, 1).test;
      return [accuracy, macroF1];
    };
    const naiveBayes = quality("naive-bayes");
    const nearest = quality("nearest-containment");
    for (const [i, value] of PILOT[name].naiveBayes.entries())
      expect(Math.abs(naiveBayes[i]! - value)).toBeLessThan(0.01);
    for (const [i, value] of PILOT[name].nearest.entries())
      expect(Math.abs(nearest[i]! - value)).toBeLessThan(0.02);
  });
});
