/** @file The parts of a split, as numbers in one array. */

/** In {@link Parts}. */
export const TRAIN = 0;
/** In {@link Parts}. */
export const VALIDATION = 1;
/** In {@link Parts}. */
export const TEST = 2;

/** `[count]`: {@link TRAIN}, {@link VALIDATION} or {@link TEST} for each sequence of a set. */
export type Parts = Uint8Array;
