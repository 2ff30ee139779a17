/**
 * @file Sequences as ids in one array, and padded batches of them.
 *
 * 343,580 sequences of HF73 take 48 MB of ids, which is why they are held in memory; a batch is padded to a fixed
 * length only when it is made.
 */
import { Rng } from "../engine/rng.ts";
import { encodeInto, PADDING } from "./alphabet.ts";

/** Sequences with labels. */
export interface SequenceSet {
  /** The residue ids (1..21) of all sequences, one after the other. */
  ids: Uint8Array;
  /** `[count + 1]`: sequence i is `ids[offsets[i] .. offsets[i + 1])`. */
  offsets: Float64Array;
  /** `[count]`: an index into `families`. */
  labels: Int32Array;
  count: number;
  families: string[];
  /** `[count]`: the ids of the records. */
  names: string[];
  /** `[count]`: species codes or names; the empty text where a header names none. */
  species: string[];
}

/** Builds a {@link SequenceSet} one sequence at a time. */
export class SequenceSetBuilder {
  #ids = new Uint8Array(1 << 16);
  #used = 0;
  readonly #ends: number[] = [];
  readonly #labels: number[] = [];
  readonly #names: string[] = [];
  readonly #species: string[] = [];

  /** @param residues cleaned letters @param label an index into the families given to {@link build} */
  add(residues: string, label: number, name: string, species = ""): void {
    const end = this.#used + residues.length;
    if (end > this.#ids.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#ids.length));
      grown.set(this.#ids.subarray(0, this.#used));
      this.#ids = grown;
    }
    encodeInto(residues, this.#ids, this.#used);
    this.#used = end;
    this.#ends.push(end);
    this.#labels.push(label);
    this.#names.push(name);
    this.#species.push(species);
  }

  /** The set of all that was added. */
  build(families: readonly string[]): SequenceSet {
    const offsets = new Float64Array(this.#ends.length + 1);
    offsets.set(this.#ends, 1);
    return {
      ids: this.#ids.slice(0, this.#used),
      offsets,
      labels: Int32Array.from(this.#labels),
      count: this.#labels.length,
      families: [...families],
      names: this.#names,
      species: this.#species,
    };
  }
}

/** How to make batches. */
export interface SequenceBatchOptions {
  batchSize: number;
  /** Columns of a batch; longer sequences keep their first `length` residues. */
  length: number;
  /** Order by a seed and an epoch; without it rows come as given. */
  shuffle?: { seed: number; epoch: number };
}

/** `batchSize` sequences, padded on the right. Every batch owns its arrays. */
export interface SequenceBatch {
  /** Rows that hold sequences; the rest of the last batch has padding only, length 1 and label 0. */
  size: number;
  /** `[B, L]` */
  ids: Int32Array;
  /** `[B]`: residues before the padding, 1..L. */
  lengths: Int32Array;
  /** `[B]` */
  labels: Int32Array;
  /** `[size]`: which sequences of the set these are. */
  rows: Uint32Array;
}

/** Epoch e shuffles by this stream of the seed plus e, apart from the streams of weights and dropout. */
const SHUFFLE_STREAM = 0x70000000;

/**
 * Batches of a set.
 * @param rows which sequences; null for all
 */
export function* batches(
  set: SequenceSet,
  rows: Uint32Array | null,
  options: SequenceBatchOptions,
): Generator<SequenceBatch> {
  const { batchSize, length, shuffle } = options;
  const order = rows === null ? Uint32Array.from({ length: set.count }, (_, i) => i) : rows.slice();
  if (shuffle !== undefined) new Rng(shuffle.seed, SHUFFLE_STREAM + shuffle.epoch).shuffle(order);
  for (let start = 0; start < order.length; start += batchSize) {
    const taken = order.slice(start, start + batchSize);
    const ids = new Int32Array(batchSize * length).fill(PADDING);
    const lengths = new Int32Array(batchSize).fill(1);
    const labels = new Int32Array(batchSize);
    for (let i = 0; i < taken.length; i++) {
      const row = taken[i]!;
      const from = set.offsets[row]!;
      const kept = Math.min(set.offsets[row + 1]! - from, length);
      for (let j = 0; j < kept; j++) ids[i * length + j] = set.ids[from + j]!;
      lengths[i] = kept;
      labels[i] = set.labels[row]!;
    }
    yield { size: taken.length, ids, lengths, labels, rows: taken };
  }
}
