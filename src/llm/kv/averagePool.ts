/**
 * @file The average of SnapKV's votes over neighbouring positions (arXiv 2404.14469).
 */

/**
 * Replaces each of the first `count` scores by the mean over an odd width around it, with zeros beyond the ends
 * counted in the mean, and the scores after them by zero.
 */
export function averagePool(scores: Float32Array, count: number, width: number): void {
  scores.fill(0, count);
  if (width <= 1) return;
  const votes = Float64Array.from(scores.subarray(0, count));
  const reach = (width - 1) / 2;
  for (let at = 0; at < count; at++) {
    let sum = 0;
    for (let near = Math.max(0, at - reach); near <= Math.min(count - 1, at + reach); near++) {
      sum += votes[near]!;
    }
    scores[at] = sum / width;
  }
}
