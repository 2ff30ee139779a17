/** @file Mean binary cross-entropy (log loss), from logits, summed in float64. */

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
