/** @file Quality of class predictions: accuracy, F1 over classes, top-k accuracy. */

/**
 * Share of rows with round(p) = y. A probability of exactly one half rounds to 0, as NumPy rounds it.
 * @param probabilities `[N]` @param labels `[N]`, 0 or 1
 * @returns NaN for no rows
 */
export function binaryAccuracy(probabilities: ArrayLike<number>, labels: ArrayLike<number>): number {
  let right = 0;
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i]!;
    // A NaN is never right, whatever the label.
    if (labels[i] === 1 ? p > 0.5 : p <= 0.5) right++;
  }
  return right / probabilities.length;
}

/** F1 of several classes, averaged in the two usual ways. */
export interface F1Scores {
  /** Plain mean over the classes that occur as a label or as a prediction. */
  macro: number;
  /** Mean weighted by how often the class is the label. */
  weighted: number;
}

/**
 * F1 = 2·TP / (2·TP + FP + FN) per class, averaged.
 * @param predicted `[N]` class numbers @param labels `[N]` class numbers @param classes how many classes there are
 * @returns NaN for no rows
 */
export function f1Scores(predicted: ArrayLike<number>, labels: ArrayLike<number>, classes: number): F1Scores {
  const hits = new Float64Array(classes);
  const asPrediction = new Float64Array(classes);
  const asLabel = new Float64Array(classes);
  for (let i = 0; i < labels.length; i++) {
    const guess = predicted[i]!;
    const truth = labels[i]!;
    asPrediction[guess]!++;
    asLabel[truth]!++;
    if (guess === truth) hits[truth]!++;
  }
  let sum = 0;
  let present = 0;
  let weighted = 0;
  for (let c = 0; c < classes; c++) {
    const total = asPrediction[c]! + asLabel[c]!;
    if (total === 0) continue;
    const f1 = (2 * hits[c]!) / total;
    present++;
    sum += f1;
    weighted += f1 * asLabel[c]!;
  }
  return { macro: sum / present, weighted: weighted / labels.length };
}

/**
 * Share of rows whose true class is among the k best scores. Classes tied with the true one count as better
 * only where their number is lower, as a stable sort by falling score would have it.
 * @param scores `[N, classes]` row-major @param labels `[N]` class numbers
 * @returns NaN for no rows
 */
export function topKAccuracy(
  scores: Float32Array | Float64Array,
  labels: ArrayLike<number>,
  classes: number,
  k: number,
): number {
  let right = 0;
  for (let row = 0; row < labels.length; row++) {
    const truth = labels[row]!;
    const own = scores[row * classes + truth]!;
    let better = Number.isNaN(own) ? k : 0;
    for (let c = 0; c < classes && better < k; c++) {
      const score = scores[row * classes + c]!;
      if (score > own || (score === own && c < truth)) better++;
    }
    if (better < k) right++;
  }
  return right / labels.length;
}
