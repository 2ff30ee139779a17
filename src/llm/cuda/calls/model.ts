/** @file What the kernels of a model's caches are specialised by. */
import { type AttendTuning, SPLITS_MAX } from "./attendTuning.ts";
import type { KvDType, KvShape } from "./buffers.ts";

/** A model as its attention over caches knows it. */
export interface KvModel extends KvShape {
  /** Logits lose a slope with each position of distance. */
  readonly hasAlibi: boolean;
  /** How heads are turned, and what a turn multiplies them by; null when they are not. */
  readonly rotary: { readonly dim: number; readonly isInterleaved: boolean; readonly factor: number } | null;
  /** Tokens that a query of each layer sees, itself included; null for all. */
  readonly slidingWindow: (layer: number) => number | null;
  /** Some sequence may number its entries anew. */
  readonly isRenumbered: boolean;
}

/** Threads of a block of the kernels of a step. */
export const DECODE_THREADS = 128;

/** Bytes of keys and values that a block has under way, at most; fewer where queries and sums take much room. */
const RING_BYTES = 32_768;
const MANY_SUMS = 1024;

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

/** How the threads of a step's block share a slot: lanes a slot, vectors a lane, slots a lane group has in a tile. */
export function attendMacros(shape: KvShape, tuning: AttendTuning): Record<string, number> {
  const { threads, passes, stages } = tuning;
  const isWide = (shape.heads / shape.kvHeads) * shape.headDim > MANY_SUMS;
  const chunk = isWide ? Math.min(32, tuning.chunk) : tuning.chunk;
  const vector = vectorOf(shape);
  const vectors = shape.headDim / vector;
  const LANES = Math.max(threads / chunk, Math.min(32, 2 ** Math.ceil(Math.log2(vectors))));
  const PIECES = Math.ceil(vectors / LANES);
  const slots = (chunk * LANES) / threads;
  const vectorBytes = 2 * threads * PIECES * vector * elements[shape.dtype].bytes;
  const fitting = Math.floor((isWide ? RING_BYTES / 2 : RING_BYTES) / vectorBytes);
  const PASSES = Math.min(passes, slots, 2 ** Math.floor(Math.log2(Math.max(1, fitting / 2))));
  return {
    CHUNK: chunk,
    LANES,
    PIECES,
    PASSES,
    STAGES: Math.max(2, Math.min(stages, Math.floor(fitting / PASSES))),
    SPLITS: SPLITS_MAX,
  };
}
