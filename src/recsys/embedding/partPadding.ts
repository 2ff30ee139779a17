/**
 * @file How many inputs a program of the dense model takes for a part of a batch. Programs have fixed sizes, so a part is
 * padded with inputs of weight 0: a whole batch to the largest size, a part of several to the next eighth of it.
 */

/** Sizes that parts are padded to. */
const SIZES = 8;

/** Inputs from one padded size to the next. */
export function paddingStep(maxBatch: number): number {
  return Math.ceil(maxBatch / SIZES);
}

/**
 * Inputs of the program that computes a part.
 * @param size inputs of the part, 1 to `maxBatch`
 * @param parts of its batch
 */
export function paddedSize(size: number, parts: number, maxBatch: number): number {
  if (parts === 1) return maxBatch;
  const step = paddingStep(maxBatch);
  return Math.min(maxBatch, step * Math.ceil(size / step));
}
