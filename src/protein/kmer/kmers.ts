/** @file k-mers of sequences as numbers: the residue ids as digits of base 22, the first the highest. */
import { ALPHABET_SIZE } from "../alphabet.ts";
import type { SequenceSet } from "../sequenceSet.ts";

/** How many numbers k-mers may take. @param k at most 6 */
export function kmerCount(k: number): number {
  return ALPHABET_SIZE ** k;
}

/**
 * Writes the k-mers of one sequence in order, repeats included.
 * @param out receives them from 0
 * @returns how many there are: length - k + 1, or 0
 */
export function writeKmers(set: SequenceSet, row: number, k: number, out: Uint32Array): number {
  const from = set.offsets[row]!;
  const length = set.offsets[row + 1]! - from;
  if (length < k) return 0;
  const modulus = ALPHABET_SIZE ** k;
  let kmer = 0;
  for (let i = 0; i < k - 1; i++) kmer = kmer * ALPHABET_SIZE + set.ids[from + i]!;
  for (let i = k - 1; i < length; i++) {
    kmer = (kmer * ALPHABET_SIZE + set.ids[from + i]!) % modulus;
    out[i - k + 1] = kmer;
  }
  return length - k + 1;
}

/** Residues of the longest sequence. */
export function longest(set: SequenceSet): number {
  let most = 0;
  for (let row = 0; row < set.count; row++) {
    most = Math.max(most, set.offsets[row + 1]! - set.offsets[row]!);
  }
  return most;
}

/**
 * The distinct k-mers of some sequences.
 * @returns `kmers` of sequence `rows[i]` at `starts[i] .. starts[i + 1]`
 */
export function distinctKmers(
  set: SequenceSet,
  rows: Uint32Array,
  k: number,
): { kmers: Uint32Array; starts: Float64Array } {
  let total = 0;
  for (const row of rows) total += Math.max(0, set.offsets[row + 1]! - set.offsets[row]! - k + 1);
  const all = new Uint32Array(total);
  const starts = new Float64Array(rows.length + 1);
  const lastSeen = new Uint32Array(kmerCount(k));
  const scratch = new Uint32Array(longest(set));
  let used = 0;
  for (let i = 0; i < rows.length; i++) {
    const count = writeKmers(set, rows[i]!, k, scratch);
    for (let j = 0; j < count; j++) {
      const kmer = scratch[j]!;
      if (lastSeen[kmer] === i + 1) continue;
      lastSeen[kmer] = i + 1;
      all[used++] = kmer;
    }
    starts[i + 1] = used;
  }
  return { kmers: all.subarray(0, used), starts };
}
