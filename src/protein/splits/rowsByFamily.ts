/** @file The rows of each family of a set. */
import type { SequenceSet } from "../encodedSequences.ts";

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
