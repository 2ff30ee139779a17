/** @file How far predicted probabilities are from observed rates. */

/**
 * Expected calibration error: rows are put into equal bins of predicted probability; the mean over rows of
 * |mean prediction − share of positives| of the bin (Naeini, Cooper and Hauskrecht, AAAI'15).
 *
 * @param probabilities `[N]` in [0, 1]
 * @param labels `[N]`, 0 or 1
 * @param bins defaults to 20
 * @returns between 0 and 1; NaN for no rows
 */
export function calibrationError(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  bins = 20,
): number {
  const gap = new Float64Array(bins);
  for (let i = 0; i < probabilities.length; i++) {
    const p = probabilities[i]!;
    if (Number.isNaN(p)) return Number.NaN;
    const bin = Math.min(Math.max(Math.floor(p * bins), 0), bins - 1);
    gap[bin]! += p - labels[i]!;
  }
  // n_bin/N · |Σp/n_bin − Σy/n_bin| = |Σ(p − y)| / N, so the counts cancel.
  return gap.reduce((sum, difference) => sum + Math.abs(difference), 0) / probabilities.length;
}
