/** @file How the gradients of the parts of a batch become one gradient. */

/**
 * Writes the sum of some gradients. The parts' losses are already shares of the whole batch's, so nothing is averaged.
 * Gradients may come from parts on one device, on several, or through a collective from other processes.
 * @param gradients `[P]` each, in the order of the parts
 * @param sum `[P]`, on a SharedArrayBuffer
 */
export type Reduce = (gradients: readonly Float32Array[], sum: Float32Array) => void | Promise<void>;

/** Adds in the order of the parts, in float32, so that the sum does not depend on which part was done first. */
export function sumInOrder(gradients: readonly Float32Array[], sum: Float32Array): void {
  sum.set(gradients[0]!);
  for (const part of gradients.slice(1)) for (let i = 0; i < sum.length; i++) sum[i]! += part[i]!;
}
