/**
 * @file Labelled sequences as ids in one array: 343,580 of them take 48 MB, and a batch pads only what it takes.
 */

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

/** For each family its rows, ascending. */
export function rowsByFamily(set: SequenceSet): Uint32Array[] {
  const counts = new Uint32Array(set.families.length);
  for (const label of set.labels) counts[label]!++;
  const rows = Array.from(counts, (count) => new Uint32Array(count));
  counts.fill(0);
  for (let row = 0; row < set.count; row++) {
    const label = set.labels[row]!;
    rows[label]![counts[label]!++] = row;
  }
  return rows;
}
