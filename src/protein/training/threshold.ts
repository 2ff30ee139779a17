/**
 * @file The probability below which a sequence counts as of no known family, chosen on the validation part: on its
 * sequences, and on decoys made of them.
 */
import { Rng } from "../../base/rng.ts";
import type { SequenceSet } from "../encodedSequences.ts";

/** Share of validation sequences that pass at least. */
const PASSING = 0.95;
/** Share of decoys that are to be flagged, where the first allows it. */
const FLAGGED = 0.99;
/** A family has at least so much of the probability, where the first allows it. */
const LEAST = 0.5;
/** Apart from the streams of training. */
const DECOY_STREAM = 0x75000000;

/** A threshold, and what it does on the validation part. */
export interface Threshold {
  threshold: number;
  /** Share of the validation sequences that pass. */
  passing: number;
  /** Share of their decoys that do not. */
  flagged: number;
}

/**
 * Chooses a threshold: 0.5, or more where 99 % of the decoys are not flagged by that, but never more than what 95 % of
 * the sequences pass by their largest probability, right or wrong, for all of them belong to known families. A network
 * that learnt from decoys tells them so well that far more than 95 % pass; one that did not gets the 95 %.
 * @param known `[N, classes]`, probabilities of validation sequences @param decoys `[M, classes]`
 */
export function calibratedThreshold(known: Float32Array, decoys: Float32Array, classes: number): Threshold {
  const [passing, flagged] = [highest(known, classes), highest(decoys, classes)];
  const most = passing[Math.floor((1 - PASSING) * passing.length)] ?? 0;
  const least = flagged[Math.ceil(FLAGGED * flagged.length)] ?? 0;
  const threshold = Math.min(most, Math.max(LEAST, least));
  return {
    threshold,
    passing: passing.filter((p) => p >= threshold).length / Math.max(1, passing.length),
    flagged: flagged.filter((p) => p < threshold).length / Math.max(1, flagged.length),
  };
}

/** The largest probability of each row, rising. */
function highest(probabilities: Float32Array, classes: number): Float32Array {
  const tops = new Float32Array(probabilities.length / classes);
  for (let row = 0; row < tops.length; row++) {
    tops[row] = Math.max(...probabilities.subarray(row * classes, (row + 1) * classes));
  }
  return tops.sort();
}

/** Decoys of some rows, one of each: their first `length` residues, shuffled and reversed in turn. */
export function decoysOf(set: SequenceSet, rows: Uint32Array, length: number): SequenceSet {
  const parts = Array.from(rows, (row) => {
    const from = set.offsets[row]!;
    return set.ids.slice(from, Math.min(set.offsets[row + 1]!, from + length));
  });
  const rng = new Rng(0, DECOY_STREAM);
  const offsets = new Float64Array(rows.length + 1);
  parts.forEach((part, i) => {
    if (i % 2 === 0) rng.shuffle(part);
    else part.reverse();
    offsets[i + 1] = offsets[i]! + part.length;
  });
  const ids = new Uint8Array(offsets.at(-1)!);
  parts.forEach((part, i) => ids.set(part, offsets[i]));
  const { families } = set;
  const pick = (values: readonly string[]) => Array.from(rows, (row) => values[row]!);
  return {
    ids,
    offsets,
    labels: Int32Array.from(rows, (row) => set.labels[row]!),
    count: rows.length,
    families,
    names: pick(set.names),
    species: pick(set.species),
  };
}
