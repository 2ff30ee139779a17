/** @file All figures of a classifier of several classes, from its probabilities. */
import { calibrationError } from "./calibration.ts";
import { f1Scores, topKAccuracy } from "./classification.ts";

/** Bins of the calibration error. */
const BINS = 15;
/** As in the binary log loss: one sure and wrong answer costs a finite amount. */
const CLAMP = 1e-7;

/** Quality on one class. */
export interface ClassQuality {
  /** Rows with this label. */
  support: number;
  /** Share of the rows given this class that have it as label; NaN when no row was given it. */
  precision: number;
  /** Share of the rows with this label that were given it; NaN without rows. */
  recall: number;
  /** NaN when the class occurs neither as label nor as prediction. */
  f1: number;
}

/** Rows of one class that were taken for another. */
export interface Confusion {
  label: number;
  predicted: number;
  count: number;
  /** Share of the label's rows. */
  share: number;
}

/** Quality of a classifier on a set of rows. */
export interface MulticlassMetrics {
  rows: number;
  accuracy: number;
  /** Plain mean of F1 over the classes that occur. */
  macroF1: number;
  /** Mean of F1 weighted by support. */
  weightedF1: number;
  /** Share of rows whose label is among the three most probable classes. */
  top3: number;
  /** Mean −ln of the label's probability. */
  logLoss: number;
  /** Expected calibration error of the most probable class, over 15 bins. */
  calibrationError: number;
  classes: ClassQuality[];
  /** The pairs with most rows, by falling count: ten at most. */
  confusions: Confusion[];
}

/** The most probable class of each row, the first of equals. @param probabilities `[N, classes]` row-major */
export function mostProbable(probabilities: Float32Array, classes: number): Int32Array {
  const best = new Int32Array(classes === 0 ? 0 : probabilities.length / classes);
  for (let row = 0; row < best.length; row++) {
    let top = 0;
    for (let c = 1; c < classes; c++) {
      if (probabilities[row * classes + c]! > probabilities[row * classes + top]!) top = c;
    }
    best[row] = top;
  }
  return best;
}

/**
 * Computes every metric.
 * @param probabilities `[N, classes]` row-major
 * @param labels `[N]` class numbers
 */
export function multiclassMetrics(
  probabilities: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
): MulticlassMetrics {
  const predicted = mostProbable(probabilities, classes);
  const rows = labels.length;
  const counts = new Float64Array(classes * classes);
  const confidence = new Float64Array(rows);
  const isRight = new Uint8Array(rows);
  let logLoss = 0;
  for (let row = 0; row < rows; row++) {
    const [label, guess] = [labels[row]!, predicted[row]!];
    counts[label * classes + guess]!++;
    confidence[row] = probabilities[row * classes + guess]!;
    isRight[row] = Number(label === guess);
    logLoss -= Math.log(Math.max(probabilities[row * classes + label]!, CLAMP));
  }
  const f1 = f1Scores(predicted, labels, classes);
  return {
    rows,
    accuracy: isRight.reduce((n, right) => n + right, 0) / rows,
    macroF1: f1.macro,
    weightedF1: f1.weighted,
    top3: topKAccuracy(probabilities, labels, classes, 3),
    logLoss: logLoss / rows,
    calibrationError: calibrationError(confidence, isRight, BINS),
    classes: classQualities(counts, classes),
    confusions: worstConfusions(counts, classes, 10),
  };
}

/** @param counts `[label, predicted]` */
function classQualities(counts: Float64Array, classes: number): ClassQuality[] {
  return Array.from({ length: classes }, (_, c) => {
    const hits = counts[c * classes + c]!;
    let support = 0;
    let given = 0;
    for (let other = 0; other < classes; other++) {
      support += counts[c * classes + other]!;
      given += counts[other * classes + c]!;
    }
    return { support, precision: hits / given, recall: hits / support, f1: (2 * hits) / (support + given) };
  });
}

function worstConfusions(counts: Float64Array, classes: number, limit: number): Confusion[] {
  const found: Confusion[] = [];
  for (let label = 0; label < classes; label++) {
    const support = counts.subarray(label * classes, (label + 1) * classes).reduce((a, b) => a + b, 0);
    for (let predicted = 0; predicted < classes; predicted++) {
      const count = counts[label * classes + predicted]!;
      if (label !== predicted && count > 0) found.push({ label, predicted, count, share: count / support });
    }
  }
  return found.sort((a, b) => b.count - a.count || b.share - a.share).slice(0, limit);
}
