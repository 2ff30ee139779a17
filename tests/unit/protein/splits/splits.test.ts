/** @file The three splits: whole, disjoint, reproducible, and tight in what each promises to keep together. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { proteinOfId } from "../../../../src/protein/families/familyOfHeader.ts";
import type { SequenceSet } from "../../../../src/protein/sequenceSet.ts";
import { clusterSequences } from "../../../../src/protein/splits/clusters.ts";
import { split, SPLIT_NAMES } from "../../../../src/protein/splits/split.ts";
import type { SequenceSplit } from "../../../../src/protein/splits/split.ts";
import { relatedSequences, sequenceSet } from "../../../support/protein/sequences.ts";

const set = sequenceSet(relatedSequences(1, 6, 100));

/** `[count]`: 0, 1 or 2, or -1 where a row is in no part. */
function partOfRow(rows: SequenceSplit, count: number): number[] {
  const parts = Array<number>(count).fill(-1);
  for (const [part, name] of (["train", "validation", "test"] as const).entries()) {
    for (const row of rows[name]) {
      expect(parts[row]).toBe(-1);
      parts[row] = part;
    }
  }
  return parts;
}

/** Expects that rows of one key never stand in two parts. */
function expectTogether(keys: readonly unknown[], parts: readonly number[]): void {
  const partOfKey = new Map<unknown, number>();
  for (const [row, key] of keys.entries()) {
    if (parts[row]! < 0) continue;
    expect(partOfKey.get(key) ?? parts[row]).toBe(parts[row]);
    partOfKey.set(key, parts[row]!);
  }
}

describe.each(SPLIT_NAMES)("the %s split", (name) => {
  test("puts every row in one part, in ascending order", () => {
    const rows = split(set, name, 1);
    expect(partOfRow(rows, set.count)).not.toContain(-1);
    for (const part of Object.values(rows)) expect([...part]).toEqual([...part].sort((a, b) => a - b));
    expect(rows.train.length).toBeGreaterThan(0.6 * set.count);
    expect(rows.test.length).toBeGreaterThan(0);
    expect(rows.validation.length).toBeGreaterThan(0);
  });

  test("is the same for the same seed", () => {
    expect(split(set, name, 7)).toEqual(split(set, name, 7));
    if (name !== "species") expect(split(set, name, 8)).not.toEqual(split(set, name, 7));
  });

  test("leaves out, when strict, what shares a protein with an earlier part, and nothing else", () => {
    const rows = split(set, name, 1);
    const strict = split(set, name, 1, { strict: true });
    const parts = partOfRow(strict, set.count);
    const proteins = set.names.map(proteinOfId);
    expectTogether(proteins, parts);
    expect(strict.train).toEqual(rows.train);
    const trained = new Set([...rows.train].map((row) => proteins[row]));
    expect([...strict.validation]).toEqual(
      [...rows.validation].filter((row) => !trained.has(proteins[row]!)),
    );
  });
});

test("the random split takes 80, 10 and 10 % of each family", () => {
  const rows = split(set, "random", 1);
  for (let label = 0; label < 6; label++) {
    const counts = [rows.train, rows.validation, rows.test].map(
      (part) => part.filter((row) => set.labels[row] === label).length,
    );
    expect(counts).toEqual([80, 10, 10]);
  }
});

test("the species split keeps species together, by the MD5 of their codes", () => {
  expectTogether(set.species, partOfRow(split(set, "species", 1), set.count));
  // Computed by another tool: the MD5 of HUMAN begins at .638 of its range, of ARATH at .831, of YEAST at .983.
  const expected = { HUMAN: 0, ECOLI: 0, DROME: 0, ARATH: 1, CHICK: 1, YEAST: 2, BOVIN: 2, RAT: 2 };
  const codes = Object.keys(expected);
  const parts = partOfRow(
    split(
      sequenceSet(codes.map((species, i) => ({ residues: "ACDEF", label: i % 2, species }))),
      "species",
      1,
    ),
    codes.length,
  );
  expect(Object.fromEntries(codes.map((code, i) => [code, parts[i]]))).toEqual(expected);
});

test("without species each protein goes its own way, whole", () => {
  const nameless: SequenceSet = { ...set, species: set.species.map(() => "") };
  const parts = partOfRow(split(nameless, "species", 1), set.count);
  expectTogether(nameless.names.map(proteinOfId), parts);
  expect(new Set(parts).size).toBe(3);
});

/** Clusters by the definition: every pair compared, links followed. */
function clustersByDefinition(sequences: readonly { residues: string; label: number }[]): number[] {
  const kmers = sequences.map(
    ({ residues }) =>
      new Set(Array.from({ length: Math.max(0, residues.length - 3) }, (_, i) => residues.slice(i, i + 4))),
  );
  const cluster = sequences.map((_, i) => i);
  for (let i = 0; i < sequences.length; i++) {
    for (let j = 0; j < i; j++) {
      if (sequences[i]!.label !== sequences[j]!.label) continue;
      const shared = [...kmers[i]!].filter((kmer) => kmers[j]!.has(kmer)).length;
      if (shared === 0 || shared < 0.2 * Math.min(kmers[i]!.size, kmers[j]!.size)) continue;
      const [from, to] = [Math.max(cluster[i]!, cluster[j]!), Math.min(cluster[i]!, cluster[j]!)];
      for (const [row, held] of cluster.entries()) if (held === from) cluster[row] = to;
    }
  }
  return cluster;
}

describe("clusters", () => {
  test("are those of the definition", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 1, max: 40 }), (seed, perFamily) => {
        const sequences = relatedSequences(seed, 3, perFamily);
        expect([...clusterSequences(sequenceSet(sequences))]).toEqual(clustersByDefinition(sequences));
      }),
      { numRuns: 60 },
    );
  });

  test("link at exactly a fifth of the shorter one's 4-mers, and not below", () => {
    // 13 residues have ten 4-mers; ACDEF gives two of them, ACDE one.
    const of = (a: string, b: string): number[] => [
      ...clusterSequences(
        sequenceSet([
          { residues: a, label: 0 },
          { residues: b, label: 0 },
        ]),
      ),
    ];
    expect(of("ACDEFGHIKLMNP", "WWWYYYWYACDEF")).toEqual([0, 0]);
    expect(of("ACDEFGHIKLMNP", "WWWYYYWYWACDE")).toEqual([0, 1]);
    expect(of("ACD", "ACD")).toEqual([0, 1]);
  });

  test("never stand in two parts, fill from the smallest up, and take at most 10 % of a family", () => {
    const clusters = clusterSequences(set);
    const parts = partOfRow(split(set, "cluster", 3), set.count);
    expectTogether([...clusters], parts);
    const size = (row: number): number => clusters.filter((cluster) => cluster === clusters[row]).length;
    for (let label = 0; label < 6; label++) {
      const rows = [...set.labels.keys()].filter((row) => set.labels[row] === label);
      const sizes = (part: number): number[] => rows.filter((row) => parts[row] === part).map(size);
      expect(sizes(1).length).toBeLessThanOrEqual(10);
      expect(sizes(2).length).toBeLessThanOrEqual(10);
      expect(Math.max(0, ...sizes(2))).toBeLessThanOrEqual(Math.min(Infinity, ...sizes(0)));
    }
  });
});

test.each([3, 4, 5, 6, 7, 8, 10, 25])(
  "a family of %i sequences stands in every part of the random split",
  (size) => {
    const small = sequenceSet(relatedSequences(3, 4, size));
    for (const seed of [1, 2, 3]) {
      const rows = split(small, "random", seed);
      expect(partOfRow(rows, small.count)).not.toContain(-1);
      for (const part of Object.values(rows)) {
        expect(new Set(Array.from(part, (row: number) => small.labels[row]!)).size).toBe(
          small.families.length,
        );
      }
    }
  },
);
