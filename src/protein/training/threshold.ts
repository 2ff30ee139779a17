/** @file The probability below which a sequence counts as of no known family. */

/** Share of validation sequences that pass. */
const PASSING = 0.95;

/**
 * The largest threshold that lets 95 % of the validation sequences pass by their largest probability, right or wrong:
 * all of them belong to known families.
 * @param probabilities `[N, classes]`
 */
export function calibratedThreshold(probabilities: Float32Array, classes: number): number {
  const tops = new Float32Array(probabilities.length / classes);
  for (let row = 0; row < tops.length; row++) {
    tops[row] = Math.max(...probabilities.subarray(row * classes, (row + 1) * classes));
  }
  tops.sort();
  return tops[Math.floor((1 - PASSING) * tops.length)] ?? 0;
}
