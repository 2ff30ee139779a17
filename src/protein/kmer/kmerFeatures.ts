/** @file A sequence as a sparse vector: the square roots of its k-mer counts, scaled to length 1. */
import type { SequenceSet } from "../sequenceSet.ts";
import { kmerCount, longest, writeKmers } from "./kmers.ts";

/** One sequence at a time, in arrays that are used again. */
export class KmerFeatures {
  /** The first `count` are the distinct k-mers of the loaded sequence. */
  readonly kmers: Uint32Array;
  /** Their values. */
  readonly values: Float32Array;
  /** 0 for a sequence shorter than k. */
  count = 0;
  readonly #set: SequenceSet;
  readonly #k: number;
  readonly #all: Uint32Array;
  /** For each k-mer its place in `kmers`, right only where that place holds the k-mer. */
  readonly #places: Uint32Array;

  constructor(set: SequenceSet, k: number) {
    const most = longest(set);
    this.#set = set;
    this.#k = k;
    this.#all = new Uint32Array(most);
    this.kmers = new Uint32Array(most);
    this.values = new Float32Array(most);
    this.#places = new Uint32Array(kmerCount(k));
  }

  /** Loads a row of the set. */
  load(row: number): void {
    const { kmers, values } = this;
    const total = writeKmers(this.#set, row, this.#k, this.#all);
    let count = 0;
    for (let i = 0; i < total; i++) {
      const kmer = this.#all[i]!;
      const place = this.#places[kmer]!;
      if (place < count && kmers[place] === kmer) {
        values[place]!++;
        continue;
      }
      this.#places[kmer] = count;
      kmers[count] = kmer;
      values[count++] = 1;
    }
    // The squares of the square roots sum to the number of k-mers.
    for (let i = 0; i < count; i++) values[i] = Math.sqrt(values[i]! / total);
    this.count = count;
  }
}
