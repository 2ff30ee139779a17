/** @file Sorts a hot set by where its rows lie, so that a sync walks each table once, in order. */
import { ParetoError } from "../../base/errors.ts";

/** Hot rows in order of table and row. */
export interface HotLists {
  /** Slot and row within its table of each hot row, `[K]`. */
  slots: Int32Array;
  rows: Int32Array;
  /** Table of each slot, `[K]`. */
  owners: Uint16Array;
  /** Ranges of the lists that belong to one table. */
  groups: { table: number; first: number; count: number }[];
  /** Hot rows of each table, `[T]`. */
  slotsOf: number[];
}

/**
 * Sorts hot rows.
 * @param globalRows row of each slot, numbered over all tables laid end to end
 * @throws ParetoError HOT_ROWS_EMPTY, HOT_ROW_DUPLICATE, HOT_ROW_OUT_OF_RANGE
 */
export function hotLists(globalRows: Uint32Array, cardinalities: readonly number[]): HotLists {
  const count = globalRows.length;
  if (count === 0) throw rowError("HOT_ROWS_EMPTY", "a hot bag needs rows", 0, "train without a hot bag");
  // Sorting numbers is far faster than sorting by a comparison: row · K + slot is exact below 2^53.
  const keys = new Float64Array(count);
  for (let slot = 0; slot < count; slot++) keys[slot] = globalRows[slot]! * count + slot;
  keys.sort();
  const lists: HotLists = {
    slots: new Int32Array(count),
    rows: new Int32Array(count),
    owners: new Uint16Array(count),
    groups: [],
    slotsOf: cardinalities.map(() => 0),
  };
  let table = 0;
  let firstRow = 0;
  let last = -1;
  for (let i = 0; i < count; i++) {
    const row = Math.floor(keys[i]! / count);
    const slot = keys[i]! - row * count;
    if (row === last)
      throw rowError("HOT_ROW_DUPLICATE", "a hot row must have one slot", row, "list each row once");
    last = row;
    while (table < cardinalities.length && row >= firstRow + cardinalities[table]!) {
      firstRow += cardinalities[table++]!;
    }
    if (table === cardinalities.length) {
      throw rowError(
        "HOT_ROW_OUT_OF_RANGE",
        `tables have ${firstRow} rows in all`,
        row,
        "number rows over all tables",
      );
    }
    if (lists.groups.at(-1)?.table !== table) lists.groups.push({ table, first: i, count: 0 });
    lists.groups.at(-1)!.count++;
    lists.slotsOf[table]!++;
    lists.slots[i] = slot;
    lists.rows[i] = row - firstRow;
    lists.owners[slot] = table;
  }
  return lists;
}

function rowError(code: string, rule: string, received: number, fix: string): ParetoError {
  return new ParetoError({ code, where: "HotBag.create", message: `${rule}, got ${received}`, fix });
}
