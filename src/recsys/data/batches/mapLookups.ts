/** @file Cuts some inputs out of a batch's lookups, replacing ids on the way; the copy lies on shared memory. */
import type { Lookups } from "./clickBatch.ts";

/**
 * The lookups of the inputs at `selection`, in that order, each id replaced.
 * @param replace new id of a table's id; the id itself by default
 */
export function mapLookups(
  lookups: Lookups,
  selection: Uint32Array,
  replace: (table: number, id: number) => number = (_, id) => id,
): Lookups {
  const { offsets, size, tables } = lookups;
  const bags = tables * selection.length;
  const starts = offsets === null ? null : int32(bags + 1);
  let total = bags;
  if (offsets !== null) {
    total = 0;
    for (let bag = 0; bag < bags; bag++) {
      const from = Math.floor(bag / selection.length) * size + selection[bag % selection.length]!;
      total += offsets[from + 1]! - offsets[from]!;
      starts![bag + 1] = total;
    }
  }
  const ids = int32(total);
  let next = 0;
  for (let table = 0; table < tables; table++) {
    for (const input of selection) {
      const bag = table * size + input;
      const end = offsets === null ? bag + 1 : offsets[bag + 1]!;
      for (let k = offsets === null ? bag : offsets[bag]!; k < end; k++) {
        ids[next++] = replace(table, lookups.ids[k]!);
      }
    }
  }
  return { size: selection.length, tables, ids, offsets: starts };
}

function int32(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * length));
}
