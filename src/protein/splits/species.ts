/** @file The species split: all sequences of a species stand in one part. */
import { createHash } from "node:crypto";
import type { SequenceSet } from "../sequenceSet.ts";
import { proteinOfId } from "../families/familyOfHeader.ts";
import { TEST, TRAIN, VALIDATION, type Parts } from "./parts.ts";

/** The part of a species: the first 32 bits of the MD5 of its code, as a share of 2^32, below .8, below .9, or above. */
function partOf(code: string): number {
  const digest = createHash("md5").update(code).digest("hex");
  const share = Number.parseInt(digest.slice(0, 8), 16) / 2 ** 32;
  return share < 0.8 ? TRAIN : share < 0.9 ? VALIDATION : TEST;
}

/** Divides by species; a sequence whose header names none goes by its protein's id. */
export function splitBySpecies(set: SequenceSet): Parts {
  const partOfCode = new Map<string, number>();
  const parts = new Uint8Array(set.count);
  for (let row = 0; row < set.count; row++) {
    const code = set.species[row]! || proteinOfId(set.names[row]!);
    let part = partOfCode.get(code);
    if (part === undefined) {
      part = partOf(code);
      partOfCode.set(code, part);
    }
    parts[row] = part;
  }
  return parts;
}
