/** @file A model that has collapsed: it gives one answer to everything, which AUC alone hides. */

/**
 * Whether a model answers everything alike: all probabilities within `tolerance` of each other.
 * @param probabilities `[N]`
 * @returns false for fewer than two rows
 */
export function isConstantPrediction(probabilities: ArrayLike<number>, tolerance = 1e-6): boolean {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < probabilities.length; i++) {
    low = Math.min(low, probabilities[i]!);
    high = Math.max(high, probabilities[i]!);
  }
  return probabilities.length > 1 && high - low <= tolerance;
}
