/** @file Mean binary cross-entropy (log loss), from logits or from probabilities, summed in float64. */

/**
 * Mean of −[y·ln σ(z) + (1−y)·ln(1−σ(z))] = max(z, 0) − z·y + ln(1 + e^−|z|), which neither overflows nor
 * loses digits for any finite logit.
 *
 * @param logits `[N]`
 * @param labels `[N]`, 0 or 1
 * @returns NaN for no rows
 */
export function logLossFromLogits(logits: ArrayLike<number>, labels: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const z = logits[i]!;
    sum += Math.max(z, 0) - z * labels[i]! + Math.log1p(Math.exp(-Math.abs(z)));
  }
  return sum / logits.length;
}

/**
 * Log loss of probabilities. A probability is first moved into [clamp, 1 − clamp], so that one sure and wrong
 * answer costs a finite amount.
 *
 * @param probabilities `[N]` in [0, 1]
 * @param labels `[N]`, 0 or 1
 * @param clamp defaults to 1e-7, about half the spacing of float32 below 1
 * @returns NaN for no rows
 */
export function logLossFromProbabilities(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  clamp = 1e-7,
): number {
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) {
    // Math.min and Math.max keep a NaN, so a broken probability shows in the result.
    const p = Math.min(Math.max(probabilities[i]!, clamp), 1 - clamp);
    const y = labels[i]!;
    sum -= y * Math.log(p) + (1 - y) * Math.log1p(-p);
  }
  return sum / probabilities.length;
}
