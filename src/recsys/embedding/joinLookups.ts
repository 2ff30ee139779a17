/** @file The lookups of a batch's parts, copied into a staging buffer as those of one batch: inputs in order of the parts. */
import type { Lookups } from "../data/batches/clickBatch.ts";

/** What was copied. */
export interface JoinedLookups {
  /** Inputs of all parts. */
  size: number;
  /** Whether every bag holds exactly one id; `offsets` is then not written. */
  isOneHot: boolean;
  /** First input of each part, and the end, `[parts + 1]`. */
  starts: number[];
}

/**
 * Copies lookups, table by table.
 * @param counts the lookups of each part, checked
 * @param ids `[lookups]`
 * @param offsets `[T * size + 1]`; a single part's are copied as they are, those of several begin at 0
 */
export function joinLookups(
  parts: readonly Lookups[],
  counts: readonly number[],
  ids: Int32Array,
  offsets: Int32Array,
): JoinedLookups {
  const starts = [0];
  for (const part of parts) starts.push(starts.at(-1)! + part.size);
  const size = starts.at(-1)!;
  const isOneHot = parts.every((part) => part.offsets === null);
  const [first] = parts;
  if (parts.length === 1) {
    const { ids: from, offsets: bags, tables } = first!;
    ids.set(from.length === counts[0] ? from : from.subarray(0, counts[0]));
    if (bags !== null) offsets.set(bags.subarray(0, tables * size + 1));
    return { size, isOneHot, starts };
  }
  let [id, bag] = [0, 0];
  for (let table = 0; table < first!.tables; table++) {
    for (const part of parts) {
      const from = bagStart(part, table * part.size);
      const to = bagStart(part, (table + 1) * part.size);
      ids.set(part.ids.subarray(from, to), id);
      if (!isOneHot) {
        for (let b = 0; b < part.size; b++) {
          offsets[bag++] = id + bagStart(part, table * part.size + b) - from;
        }
      }
      id += to - from;
    }
  }
  if (!isOneHot) offsets[bag] = id;
  return { size, isOneHot, starts };
}

function bagStart({ offsets }: Lookups, bag: number): number {
  return offsets === null ? bag : offsets[bag]!;
}
