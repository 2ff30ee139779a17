/** @file Sorts chosen rows by where they lie, so that a move between memories goes through each table once, in order. */
import { ParetoError } from "../../base/errors.ts";

/** Chosen rows in order of table and row. */
export interface RowLists {
  /** Index in the order in which they were given, and row within its table, of each row, `[K]`. */
  indices: Int32Array;
  rows: Int32Array;
  /** Table of each index, `[K]`. */
  tables: Uint16Array;
  /** Ranges of the lists that belong to one table. */
  groups: { table: number; first: number; count: number }[];
  /** Chosen rows of each table, `[T]`. */
  rowsOfTable: number[];
}

/**
 * Sorts rows.
 * @param globalRows row of each index, numbered over all tables laid end to end
 * @param where named in errors
 * @throws ParetoError HOT_ROW_DUPLICATE, HOT_ROW_OUT_OF_RANGE
 */
export function rowLists(globalRows: Uint32Array, cardinalities: readonly number[], where: string): RowLists {
  const count = globalRows.length;
  // Sorting numbers is far faster than sorting by a comparison: row · K + index is exact below 2^53.
  const keys = new Float64Array(count);
  for (let index = 0; index < count; index++) keys[index] = globalRows[index]! * count + index;
  keys.sort();
  const lists: RowLists = {
    indices: new Int32Array(count),
    rows: new Int32Array(count),
    tables: new Uint16Array(count),
    groups: [],
    rowsOfTable: cardinalities.map(() => 0),
  };
  let table = 0;
  let firstRow = 0;
  let last = -1;
  for (let i = 0; i < count; i++) {
    const row = Math.floor(keys[i]! / count);
    const index = keys[i]! - row * count;
    if (row === last)
      throw rowError("HOT_ROW_DUPLICATE", where, "a row must be listed once", row, "list each row once");
    last = row;
    while (table < cardinalities.length && row >= firstRow + cardinalities[table]!) {
      firstRow += cardinalities[table++]!;
    }
    if (table === cardinalities.length) {
      throw rowError(
        "HOT_ROW_OUT_OF_RANGE",
        where,
        `tables have ${firstRow} rows in all`,
        row,
        "number rows over all tables",
      );
    }
    if (lists.groups.at(-1)?.table !== table) lists.groups.push({ table, first: i, count: 0 });
    lists.groups.at(-1)!.count++;
    lists.rowsOfTable[table]!++;
    lists.indices[i] = index;
    lists.rows[i] = row - firstRow;
    lists.tables[index] = table;
  }
  return lists;
}

function rowError(code: string, where: string, rule: string, received: number, fix: string): ParetoError {
  return new ParetoError({ code, where, message: `${rule}, got ${received}`, fix });
}
