/** @file All figures of a CTR model on one part of the data, from its logits. */
import { auc } from "./auc.ts";
import { calibrationError } from "./calibration.ts";
import { binaryAccuracy } from "./classification.ts";
import { isConstantPrediction } from "./constantPrediction.ts";
import { logLossFromLogits } from "./logLoss.ts";

/** Quality of a binary classifier on a set of rows. */
export interface BinaryMetrics {
  /** NaN when the rows are all of one class. */
  auc: number;
  logLoss: number;
  accuracy: number;
  calibrationError: number;
  /** Whether every row got the same probability: the model has collapsed. */
  constant: boolean;
  rows: number;
}

/**
 * Computes every binary metric.
 * @param logits `[N]`
 * @param labels `[N]`, 0 or 1
 */
export function binaryMetrics(logits: Float32Array | Float64Array, labels: ArrayLike<number>): BinaryMetrics {
  const probabilities = Float64Array.from(logits, (z) => 1 / (1 + Math.exp(-z)));
  return {
    auc: auc(logits, labels),
    logLoss: logLossFromLogits(logits, labels),
    accuracy: binaryAccuracy(probabilities, labels),
    calibrationError: calibrationError(probabilities, labels),
    constant: isConstantPrediction(probabilities),
    rows: logits.length,
  };
}
