/** @file What the kernels of a model's caches are specialised by. */
import type { KvDType, KvShape } from "./buffers.ts";

/** A model as its attention over caches knows it. */
export interface KvModel extends KvShape {
  /** Logits lose a slope with each position of distance. */
  readonly hasAlibi: boolean;
  /** How heads are turned, and what a turn multiplies them by; null when they are not. */
  readonly rotary: { readonly dim: number; readonly isInterleaved: boolean; readonly factor: number } | null;
  /** Tokens that a query sees, itself included; null for all. */
  readonly slidingWindow: number | null;
  /** Some text may number its entries anew. */
  readonly isRenumbered: boolean;
}

/** Threads of a block of the kernels of a step. */
export const STEP_THREADS = 128;
/** Slots that a lane group of a step has in flight, at most; the sums of many query heads leave registers for fewer. */
const mostPasses = (group: number) => (group > 4 ? 2 : 4);
/** Slots of a tile of a step that are enough. */
const TILE_SLOTS = 64;

const elements: Record<KvDType, { name: string; bytes: number }> = {
  float32: { name: "float", bytes: 4 },
  float16: { name: "float16", bytes: 2 },
  bfloat16: { name: "bfloat16", bytes: 2 },
};

/** Elements that move in one access: the widest vector that divides a head, up to 16 bytes. */
export function vectorOf({ headDim, dtype }: KvShape): number {
  const most = 16 / elements[dtype].bytes;
  return headDim % most === 0 ? most : headDim % (most / 2) === 0 ? most / 2 : 1;
}

/** Macros of every kernel over caches. */
export function shapeMacros(shape: KvShape, threads: number): Record<string, number | string> {
  return {
    ELEMENT: elements[shape.dtype].name,
    D: shape.headDim,
    KV_HEADS: shape.kvHeads,
    GROUP: shape.heads / shape.kvHeads,
    THREADS: threads,
  };
}

/** Macros of the kernels that know positions. */
export function positionMacros({ hasAlibi, rotary, isRenumbered }: KvModel): Record<string, number> {
  return {
    ...(hasAlibi && { ALIBI: 1 }),
    ...(rotary && { ROTARY: rotary.dim }),
    ...(rotary?.isInterleaved && { INTERLEAVED: 1 }),
    ...(isRenumbered && { RENUMBERED: 1, TURN_FACTOR: rotary?.factor ?? 1 }),
  };
}

/** How the threads of a step's block share a slot: lanes a slot, vectors a lane, slots a lane group has in flight. */
export function laneMacros(shape: KvShape): Record<string, number> {
  const vectors = shape.headDim / vectorOf(shape);
  const LANES = Math.min(32, 2 ** Math.ceil(Math.log2(vectors)));
  const groups = STEP_THREADS / LANES;
  return {
    LANES,
    PIECES: Math.ceil(vectors / LANES),
    PASSES: Math.min(mostPasses(shape.heads / shape.kvHeads), Math.max(1, Math.floor(TILE_SLOTS / groups))),
  };
}
