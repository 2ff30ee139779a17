/** @file Figures of a classifier of three classes, by hand. */
import { expect, test } from "vitest";
import { mostProbable, multiclassMetrics } from "../../../../src/run/metrics/multiclass.ts";

/** Rows: label, then probabilities of the three classes. */
const ROWS = [
  [0, 0.8, 0.1, 0.1],
  [0, 0.6, 0.3, 0.1],
  [0, 0.2, 0.7, 0.1],
  [1, 0.1, 0.8, 0.1],
  [1, 0.5, 0.4, 0.1],
  [2, 0.4, 0.4, 0.2],
] as const;
const labels = ROWS.map(([label]) => label);
const probabilities = Float32Array.from(ROWS.flatMap(([, ...p]) => p));

test("the first of equally probable classes is the prediction", () => {
  expect([...mostProbable(probabilities, 3)]).toEqual([0, 0, 1, 1, 0, 0]);
});

test("accuracy, F1 and the table of classes are those of the confusion matrix", () => {
  const found = multiclassMetrics(probabilities, labels, 3);
  expect(found.rows).toBe(6);
  expect(found.accuracy).toBeCloseTo(3 / 6, 12);
  // Class 0: 2 hits of 3 labels and 4 predictions; class 1: 1 of 2 and 2; class 2: none of 1 and 0.
  const [f0, f1] = [4 / 7, 2 / 4];
  expect(found.macroF1).toBeCloseTo((f0 + f1 + 0) / 3, 12);
  expect(found.weightedF1).toBeCloseTo((3 * f0 + 2 * f1) / 6, 12);
  expect(found.top3).toBe(1);
  expect(found.classes).toEqual([
    { support: 3, precision: 2 / 4, recall: 2 / 3, f1: f0 },
    { support: 2, precision: 1 / 2, recall: 1 / 2, f1 },
    { support: 1, precision: Number.NaN, recall: 0, f1: 0 },
  ]);
  expect(found.confusions).toEqual([
    { label: 2, predicted: 0, count: 1, share: 1 },
    { label: 1, predicted: 0, count: 1, share: 1 / 2 },
    { label: 0, predicted: 1, count: 1, share: 1 / 3 },
  ]);
});

test("log loss and calibration error follow the probabilities", () => {
  const found = multiclassMetrics(probabilities, labels, 3);
  const own = ROWS.map(([label, ...p]) => -Math.log(p[label]!));
  expect(found.logLoss).toBeCloseTo(own.reduce((a, b) => a + b) / 6, 6);
  // Bins of a fifteenth: 0.8 twice, both right; 0.6 right; 0.7 wrong; 0.5 wrong; 0.4 wrong.
  const gap = Math.abs(0.8 + 0.8 - 2) + Math.abs(0.6 - 1) + 0.7 + 0.5 + 0.4;
  expect(found.calibrationError).toBeCloseTo(gap / 6, 6);
});
