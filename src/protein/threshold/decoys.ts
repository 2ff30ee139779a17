/** @file Decoys: sequences with the composition of real ones, and of no family. */
import { Rng } from "../../base/rng.ts";
import type { SequenceSet } from "../sequenceSet.ts";

/** Apart from the streams of training. */
const DECOY_STREAM = 0x75000000;

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
