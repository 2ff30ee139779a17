/**
 * @file The device memory of evicting KV caches: what it is called, how large it is and how it is laid out. Whoever
 * holds a model allocates it; the calls of this folder launch over it.
 *
 * Launches of a decode step are static: all that changes from step to step, and from sequence to sequence, lies in device
 * memory (sequence records, slabs, settings), so that a recorded graph of launches stays right when a sequence grows, ends or
 * moves. A **slab** is one allocation that holds the cache of one layer of one sequence; the table of slabs says where
 * it is, so that maxSequences grow, fork and end alone.
 */
import { dtypeBytes } from "../../../base/dtype.ts";
import { attendTuning } from "./attendTuning.ts";

/** Element types of keys and values. */
export type KvDType = "float32" | "float16" | "bfloat16";

/** Sizes of a model's caches. */
export interface KvShape {
  readonly layers: number;
  /** Query heads. */
  readonly heads: number;
  /** Divides `heads`. */
  readonly kvHeads: number;
  readonly headDim: number;
  readonly dtype: KvDType;
}

/** A piece of memory within an allocation. */
export interface Part {
  readonly offsetBytes: number;
  readonly bytes: number;
}

/** Where a slab's parts lie; `bytes` is that of the whole. Its base is a multiple of 256 bytes. */
export interface SlabLayout {
  readonly bytes: number;
  /** int32 `[kvHeads]`: live entries. Zero them when a sequence begins. */
  readonly lengths: Part;
  /** int32 `[kvHeads, capacity]`: true positions. */
  readonly positions: Part;
  /** float32 `[kvHeads, capacity]` */
  readonly scores: Part;
  /** int32 `[kvHeads, capacity]`: the order of live entries by position, where a policy numbers entries anew. */
  readonly ranks: Part;
  /** `[kvHeads, capacity, headDim]` of the dtype. */
  readonly keys: Part;
  /** `[kvHeads, capacity, headDim]` of the dtype. */
  readonly values: Part;
}

/** Parts of a slab begin at multiples of this. */
const PART_ALIGNMENT = 256;

/** 32-bit words of an entry of the table of slabs: address (low, high), capacity, unused. */
export const SLAB_WORDS = 4;

/** 32-bit words of a sequence's record. */
export const RECORD_WORDS = 8;

/** What each word of a sequence's record is. */
export const recordWord = {
  /** Tokens of the sequence that were read, kept or not. */
  tokensSeen: 0,
  /** Tokens decoded since the prompt: 0 after it. */
  step: 1,
  seedLow: 2,
  seedHigh: 3,
  stream: 4,
  /** Set to 1 + layer when a logit was not finite. */
  fault: 5,
} as const;

/** 32-bit words that a policy takes on the device, for one layer of one sequence; see `settings.ts`. */
export const SETTINGS_WORDS = 24;

/** The layout of the cache of one layer of one sequence with room for so many entries a head. */
export function slabLayout({ kvHeads, headDim, dtype }: KvShape, capacity: number): SlabLayout {
  let bytes = 0;
  const part = (size: number): Part => {
    const offsetBytes = bytes;
    bytes = Math.ceil((bytes + size) / PART_ALIGNMENT) * PART_ALIGNMENT;
    return { offsetBytes, bytes: size };
  };
  const entries = kvHeads * capacity;
  const lengths = part(4 * kvHeads);
  const positions = part(4 * entries);
  const scores = part(4 * entries);
  const ranks = part(4 * entries);
  const keys = part(entries * headDim * dtypeBytes(dtype));
  const values = part(entries * headDim * dtypeBytes(dtype));
  return { bytes, lengths, positions, scores, ranks, keys, values };
}

/** Bytes of the memory that all layers' launches share, for so many maxSequences. */
export interface SequenceBuffers {
  /** Words `[layers, maxSequences, SLAB_WORDS]`. */
  readonly slabs: number;
  /** Words `[layers, maxSequences, SETTINGS_WORDS]`. */
  readonly settings: number;
  /** Words `[maxSequences, RECORD_WORDS]`. */
  readonly records: number;
}

/** Sizes of the memory of maxSequences. */
export function sequenceBuffers({ layers }: KvShape, maxSequences: number): SequenceBuffers {
  return {
    slabs: 4 * layers * maxSequences * SLAB_WORDS,
    settings: 4 * layers * maxSequences * SETTINGS_WORDS,
    records: 4 * maxSequences * RECORD_WORDS,
  };
}

/** Bytes of the scratch of a decode step; all layers use the same. */
export interface DecodeBuffers {
  /** int32 `[rows]`: the sequence of each row, −1 for a row that is idle. */
  readonly rowSequences: number;
  /** int32 `[rows]`: written by {@link advanceCall}, the position that the row's token takes in learned embeddings. */
  readonly positions: number;
  /** float32 `[rows, heads, capacity]`: logits, then noisy ones. */
  readonly logits: number;
  /** float32 `[rows, heads, splits, headDim + 4]`: sums of the blocks that share a head. */
  readonly partials: number;
  /** int32 `[rows, kvHeads + 1]`: blocks that are done. Zero them once; every launch leaves zeros. */
  readonly arrivals: number;
}

/**
 * Sizes of the scratch of a step of up to `rows` rows whose slabs have room for up to `capacity` entries.
 * @param blocks that a launch should have
 */
export function decodeBuffers(
  shape: KvShape,
  rows: number,
  capacity: number,
  { blocks } = attendTuning,
): DecodeBuffers {
  const { heads, kvHeads, headDim } = shape;
  return {
    rowSequences: 4 * rows,
    positions: 4 * rows,
    logits: 4 * rows * heads * capacity,
    // Heads are split until there are as many blocks, so that there are never more than these.
    partials: 4 * (heads / kvHeads) * (blocks + rows * kvHeads) * (headDim + 4),
    arrivals: 4 * rows * (kvHeads + 1),
  };
}

/** Bytes of the scratch of one sequence's prompt or turn in one layer; all sequences and layers use the same in turn. */
export interface PrefillBuffers {
  /** A slab with room for `entries`: what is kept already and what is new. Its keys are rotated. */
  readonly region: SlabLayout;
  /** `[heads, rows, headDim]` of the dtype: rotated queries. */
  readonly queries: number;
  /** float32 `[heads, rows]`: the logarithm of each row's sum, for scores. */
  readonly rowSums: number;
  /** `[kvHeads, entries, headDim]` of the dtype: keys as they are cached where a policy numbers entries anew. */
  readonly unrotated: number;
  /** int32 `[kvHeads, entries]`: the slots that stay. */
  readonly kept: number;
  /** int32 `[kvHeads]`: how many stay. */
  readonly keptCounts: number;
  /** float32 `[kvHeads, entries]`: votes before they are averaged; sums over layers that decide together. */
  readonly votes: number;
}

/**
 * Sizes of the scratch of a prompt.
 * @param rows new tokens, padding included
 * @param entries kept entries and new tokens, padding included; at least `rows`
 */
export function prefillBuffers(shape: KvShape, rows: number, entries: number): PrefillBuffers {
  const { heads, kvHeads, headDim, dtype } = shape;
  return {
    region: slabLayout(shape, entries),
    queries: heads * rows * headDim * dtypeBytes(dtype),
    rowSums: 4 * heads * rows,
    unrotated: kvHeads * entries * headDim * dtypeBytes(dtype),
    kept: 4 * kvHeads * entries,
    keptCounts: 4 * kvHeads,
    votes: 4 * kvHeads * entries,
  };
}
