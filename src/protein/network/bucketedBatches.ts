/**
 * @file Batches of sequences of like length, padded to one of a few lengths. Most proteins are shorter than the longest
 * that a network reads, and work grows with the padded length: on HF73 four lengths save two fifths of it. The order
 * depends on the seed and the epoch only.
 */
import { Rng } from "../../base/rng.ts";
import type { SequenceSet } from "../sequenceSet.ts";

/** A batch; rows behind `size` are decoys, with label {@link DECOY}, and then padding: length 1, label −1. */
export interface BucketBatch {
  size: number;
  /** Columns (T). */
  length: number;
  /** `[B, T]`. */
  ids: Int32Array;
  /** `[B]`. */
  lengths: Int32Array;
  /** `[B]`. */
  labels: Int32Array;
  /** `[size]`: which sequences of the set these are. */
  rows: Uint32Array;
}

/** The label of a sequence that is of no family. */
export const DECOY = -2;
/** Epoch e shuffles by this stream of the seed plus e, apart from the streams of weights and dropout. */
const SHUFFLE_STREAM = 0x71000000;
/** The same for the residues of decoys. */
const DECOY_STREAM = 0x73000000;
/** The same for flanks. */
const FLANK_STREAM = 0x74000000;
const BUCKETS = 4;
/** No bucket is shorter: below, a step costs more than its residues. */
const SHORTEST = 32;

/** The padded lengths for sequences of up to `length` residues: equal steps, in multiples of 4. */
export function bucketLengths(length: number): number[] {
  const steps = Array.from(
    { length: BUCKETS - 1 },
    (_, i) => 4 * Math.ceil(((i + 1) * length) / BUCKETS / 4),
  ).filter((step) => step >= SHORTEST && step < length);
  return [...new Set(steps), length];
}

/** The residues that a sequence of this length keeps. */
const kept = (set: SequenceSet, row: number, limit: number): number =>
  Math.min(set.offsets[row + 1]! - set.offsets[row]!, limit);

/**
 * Batches of some rows of a set. Sequences gather in buckets by length, in the order of the rows, and leave as a batch
 * when a bucket is full; what is left at the end is batched by rising length.
 * @param lengths rising; longer sequences keep their first `lengths.at(-1)` residues
 * @param shuffle orders the rows first
 * @param decoys so many rows of a full batch, at its end, are made of its first sequences, shuffled and reversed in turn
 * @param flanks this share of the sequences stand between residues that belong to no family, as a domain does in its
 * protein: those of other sequences of the batch, in any order. A sequence gets up to as many as it has itself.
 */
export function* bucketedBatches(
  set: SequenceSet,
  rows: Uint32Array,
  {
    batchSize,
    lengths,
    shuffle,
    decoys = 0,
    flanks = 0,
  }: {
    batchSize: number;
    lengths: readonly number[];
    shuffle?: { seed: number; epoch: number };
    decoys?: number;
    flanks?: number;
  },
): Generator<BucketBatch> {
  const size = batchSize - decoys;
  const rng = new Rng(shuffle?.seed ?? 0, DECOY_STREAM + (shuffle?.epoch ?? 0));
  const flankRng = new Rng(shuffle?.seed ?? 0, FLANK_STREAM + (shuffle?.epoch ?? 0));
  /** Residues with their flanks, of rows that have any. */
  const widths = new Map<number, number>();
  const make = (taken: readonly number[], length: number): BucketBatch => {
    const batch = makeBatch(set, taken, batchSize, length);
    if (flanks > 0) addFlanks(batch, widths, flankRng);
    if (decoys > 0) addDecoys(batch, Math.min(taken.length, decoys), rng);
    return batch;
  };
  const order = rows.slice();
  if (shuffle) new Rng(shuffle.seed, SHUFFLE_STREAM + shuffle.epoch).shuffle(order);
  const longest = lengths.at(-1)!;
  const bucketOf = (row: number) => {
    const length = widths.get(row) ?? kept(set, row, longest);
    return lengths.findIndex((limit) => length <= limit);
  };
  const buckets: number[][] = lengths.map(() => []);
  for (const row of order) {
    if (flanks > 0 && flankRng.uniform() < flanks) {
      const length = kept(set, row, longest);
      widths.set(row, length + flankRng.integer(Math.min(length, longest - length) + 1));
    }
    const place = bucketOf(row);
    const bucket = buckets[place]!;
    bucket.push(row);
    if (bucket.length < size) continue;
    yield make(bucket, lengths[place]!);
    buckets[place] = [];
  }
  const rest = buckets.flat();
  for (let start = 0; start < rest.length; start += size) {
    const taken = rest.slice(start, start + size);
    yield make(taken, lengths[Math.max(...taken.map(bucketOf))]!);
  }
}

/** How many batches {@link bucketedBatches} gives. */
export function batchCount(rows: number, batchSize: number, decoys = 0): number {
  // A bucket leaves when it is full and the rest is joined, so only the very last batch is short.
  return Math.ceil(rows / (batchSize - decoys));
}

/** Moves sequences into the middle of others' residues. */
function addFlanks(batch: BucketBatch, widths: Map<number, number>, rng: Rng): void {
  const { size, length, ids, lengths, rows } = batch;
  const original = ids.slice();
  const counts = lengths.slice();
  for (let i = 0; i < size; i++) {
    const width = widths.get(rows[i]!);
    const count = counts[i]!;
    if (width === undefined || width === count) continue;
    const before = rng.integer(width - count + 1);
    const at = i * length;
    for (let t = 0; t < width; t++) {
      const other = rng.integer(size);
      ids[at + t] = original[other * length + rng.integer(counts[other]!)]!;
    }
    ids.set(original.subarray(at, at + count), at + before);
    lengths[i] = width;
  }
}

/** Puts decoys behind the sequences of a batch: they have the composition of real ones, and no family. */
function addDecoys({ size, length, ids, lengths, labels }: BucketBatch, count: number, rng: Rng): void {
  for (let i = 0; i < count; i++) {
    const residues = ids.slice(i * length, i * length + lengths[i]!);
    if (i % 2 === 0) rng.shuffle(residues);
    else residues.reverse();
    ids.set(residues, (size + i) * length);
    lengths[size + i] = residues.length;
    labels[size + i] = DECOY;
  }
}

function makeBatch(
  set: SequenceSet,
  rows: readonly number[],
  batchSize: number,
  length: number,
): BucketBatch {
  const ids = new Int32Array(batchSize * length);
  const lengths = new Int32Array(batchSize).fill(1);
  const labels = new Int32Array(batchSize).fill(-1);
  for (const [i, row] of rows.entries()) {
    const from = set.offsets[row]!;
    const count = kept(set, row, length);
    ids.set(set.ids.subarray(from, from + count), i * length);
    lengths[i] = count;
    labels[i] = set.labels[row]!;
  }
  return { size: rows.length, length, ids, lengths, labels, rows: Uint32Array.from(rows) };
}
