/** @file The random split: of each family the same shares, so that every family stands in every part. */
import { Rng } from "../../base/rng.ts";
import { rowsByFamily, type SequenceSet } from "../sequenceSet.ts";
import { TEST, TRAIN, VALIDATION, type Parts } from "./parts.ts";

const RANDOM_STREAM = 0x73706c74;

/** Shuffles each family, of three sequences or more, by the seed and cuts it at 80 % and 90 %. */
export function splitAtRandom(set: SequenceSet, seed: number): Parts {
  const parts = new Uint8Array(set.count).fill(TRAIN);
  const rng = new Rng(seed, RANDOM_STREAM);
  for (const rows of rowsByFamily(set)) {
    rng.shuffle(rows);
    // One sequence at least in each part; from 8 sequences on the shares see to that by themselves.
    const first = Math.min(Math.max(1, Math.round(rows.length * 0.8)), rows.length - 2);
    const second = Math.min(Math.max(first + 1, Math.round(rows.length * 0.9)), rows.length - 1);
    for (const row of rows.subarray(first, second)) parts[row] = VALIDATION;
    for (const row of rows.subarray(second)) parts[row] = TEST;
  }
  return parts;
}
