/** @file The k-mer baselines against their definitions on small sets. */
import { describe, expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import type { SequenceSet } from "../../../../src/protein/sequenceSet.ts";
import { BASELINE_NAMES, measureBaseline } from "../../../../src/protein/kmer/baselines.ts";
import { KmerFeatures } from "../../../../src/protein/kmer/kmerFeatures.ts";
import { distinctKmers, kmerCount } from "../../../../src/protein/kmer/kmers.ts";
import { predictLogistic, trainLogistic } from "../../../../src/protein/kmer/logistic.ts";
import { predictNaiveBayes, trainNaiveBayes } from "../../../../src/protein/kmer/naiveBayes.ts";
import { nearestByKmers } from "../../../../src/protein/kmer/nearest.ts";
import type { KmerSimilarity } from "../../../../src/protein/kmer/nearest.ts";
import { split } from "../../../../src/protein/splits/split.ts";
import { mostProbable } from "../../../../src/run/metrics/multiclass.ts";
import { relatedSequences, sequenceSet } from "../../../support/protein/sequences.ts";

const sequences = relatedSequences(3, 4, 60);
const set = sequenceSet(sequences);
const parts = split(set, "random", 1);

const kmersOf = (residues: string, k: number): string[] =>
  Array.from({ length: Math.max(0, residues.length - k + 1) }, (_, i) => residues.slice(i, i + k));

const labelsOf = (scores: Float32Array): Int32Array => mostProbable(scores, set.families.length);

const accuracy = (labels: Int32Array, rows: Uint32Array, of: SequenceSet = set): number =>
  labels.filter((label, i) => label === of.labels[rows[i]!]).length / rows.length;

test("distinct k-mers are the residue ids in base 22, each once", () => {
  const small = sequenceSet([
    { residues: "ACACX", label: 0 },
    { residues: "A", label: 0 },
  ]);
  const { kmers, starts } = distinctKmers(small, Uint32Array.of(1, 0), 2);
  expect([...kmers]).toEqual([22 + 2, 2 * 22 + 1, 2 * 22 + 21]);
  expect([...starts]).toEqual([0, 0, 3]);
});

test("features are square roots of counts, of length 1", () => {
  const features = new KmerFeatures(
    sequenceSet([
      { residues: "AAAAC", label: 0 },
      { residues: "AC", label: 0 },
    ]),
    3,
  );
  features.load(0);
  expect(features.count).toBe(2);
  expect([...features.values.subarray(0, 2)]).toEqual([Math.sqrt(2 / 3), Math.sqrt(1 / 3)].map(Math.fround));
  features.load(1);
  expect(features.count).toBe(0);
  features.load(0);
  expect([...features.kmers.subarray(0, 2)]).toEqual([22 * 22 + 22 + 1, 22 * 22 + 22 + 2]);
});

test.each([1, 0.1])("naive Bayes with smoothing %d chooses by the formula", (smoothing) => {
  const scores = predictNaiveBayes(trainNaiveBayes(set, parts.train, { smoothing }), set, parts.test);
  const expected = Int32Array.from(parts.test, (row) => {
    const scores = set.families.map((_, family) => {
      const rows = [...parts.train].filter((r) => set.labels[r] === family);
      const held = rows.flatMap((r) => kmersOf(sequences[r]!.residues, 3));
      return kmersOf(sequences[row]!.residues, 3).reduce(
        (score, kmer) => {
          const count = held.filter((other) => other === kmer).length;
          return score + Math.log((count + smoothing) / (held.length + smoothing * kmerCount(3)));
        },
        Math.log(rows.length / parts.train.length),
      );
    });
    return scores.indexOf(Math.max(...scores));
  });
  expect(labelsOf(scores)).toEqual(expected);
});

describe("the nearest training sequence", () => {
  const measures: Record<KmerSimilarity, (shared: number, a: number, b: number) => number> = {
    containment: (shared, a, b) => shared / Math.min(a, b),
    jaccard: (shared, a, b) => shared / (a + b - shared),
    larger: (shared, a, b) => shared / Math.max(a, b),
  };

  test.each(Object.keys(measures) as KmerSimilarity[])("by %s is that of all pairs", (similarity) => {
    const { scores, similarity: found } = nearestByKmers(set, parts.train, parts.test, { similarity });
    const labels = labelsOf(scores);
    for (const [q, row] of parts.test.entries()) {
      const own = new Set(kmersOf(sequences[row]!.residues, 4));
      const all = [...parts.train].map((other) => {
        const kmers = new Set(kmersOf(sequences[other]!.residues, 4));
        return measures[similarity]([...own].filter((kmer) => kmers.has(kmer)).length, own.size, kmers.size);
      });
      const most = Math.max(...all);
      expect(found[q]).toBe(Math.fround(most));
      if (most > 0) expect(labels[q]).toBe(set.labels[parts.train[all.indexOf(most)]!]);
    }
  });

  test("a query like nothing gets the largest family", () => {
    const odd = sequenceSet([
      { residues: "ACDEFGH", label: 0 },
      { residues: "KLMNPQR", label: 1 },
      { residues: "KLMNPQW", label: 1 },
      { residues: "WWWWWWW", label: 0 },
      { residues: "AC", label: 0 },
    ]);
    const { scores, similarity } = nearestByKmers(odd, Uint32Array.of(0, 1, 2), Uint32Array.of(3, 4));
    expect([...scores]).toEqual([0, 1, 0, 1]);
    expect([...similarity]).toEqual([0, 0]);
  });
});

describe("logistic regression", () => {
  test("learns families, and is the same for the same seed", () => {
    const model = trainLogistic(set, parts.train, parts.validation, { seed: 1 });
    expect(accuracy(labelsOf(predictLogistic(model, set, parts.train)), parts.train)).toBeGreaterThan(0.97);
    expect(accuracy(labelsOf(predictLogistic(model, set, parts.test)), parts.test)).toBeGreaterThan(0.6);
    expect(trainLogistic(set, parts.train, parts.validation, { seed: 1 })).toEqual(model);
  });

  test("keeps the epoch with the lowest validation loss and stops when it rises", () => {
    const losses: number[] = [];
    const odd = { ...set, labels: new Rng(9).shuffle(Int32Array.from(set.labels)) };
    const model = trainLogistic(odd, parts.train, parts.validation, {
      seed: 1,
      epochs: 60,
      patience: 2,
      onEpoch: (_, loss) => losses.push(loss),
    });
    expect(model.validationLoss).toBe(Math.min(...losses));
    expect(losses[model.epoch - 1]).toBe(model.validationLoss);
    expect(losses.length).toBe(model.epoch + 2);
  });

  test("finds nothing in shuffled labels", () => {
    const rng = new Rng(9);
    const labels = rng.shuffle(Int32Array.from(set.labels));
    const shuffled = { ...set, labels };
    const model = trainLogistic(shuffled, parts.train, parts.validation, { seed: 1 });
    expect(
      accuracy(labelsOf(predictLogistic(model, shuffled, parts.test)), parts.test, shuffled),
    ).toBeLessThan(0.5);
  });
});

test("every baseline is measured on the test part, as well as it predicts", () => {
  for (const name of BASELINE_NAMES) {
    const { test, parameters } = measureBaseline(name, set, parts, 1);
    expect(test.rows).toBe(parts.test.length);
    expect(test.accuracy).toBeGreaterThan(0.5);
    expect(test.top3).toBeGreaterThanOrEqual(test.accuracy);
    expect(parameters).toBeGreaterThan(0);
  }
  const { test } = measureBaseline("nearest-containment", set, parts, 1);
  const labels = labelsOf(nearestByKmers(set, parts.train, parts.test).scores);
  expect(test.accuracy).toBeCloseTo(accuracy(labels, parts.test), 12);
});
