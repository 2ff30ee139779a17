/** @file How the attention of a decode step is laid out over a GPU. */

/** How a step's attention is laid out: what a GPU is kept busy with. */
export interface AttendTuning {
  /** Of a block. */
  readonly threads: number;
  /** Slots of a chunk, the least that a block takes. */
  readonly chunk: number;
  /** Slots of a group of lanes in a tile, at most. */
  readonly passes: number;
  /** Tiles whose copies are under way, at most. */
  readonly stages: number;
  /** Blocks that a launch should have: heads of sequences are split where they are fewer. */
  readonly blocks: number;
}

/** The layout that is used. */
export const attendTuning: AttendTuning = { threads: 128, chunk: 64, passes: 2, stages: 4, blocks: 264 };

/** Most blocks that share a head's entries. */
export const SPLITS_MAX = 64;
/**
 * Blocks that share a head's entries, of so many heads of sequences whose slabs have room for so many entries. Where it
 * differs, sums are taken in another order.
 */
export function attendSplits({ chunk, blocks }: AttendTuning, pairs: number, capacity: number): number {
  return Math.max(1, Math.min(SPLITS_MAX, Math.ceil(blocks / pairs), Math.ceil(capacity / chunk)));
}
