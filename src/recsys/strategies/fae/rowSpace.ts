/**
 * @file Global numbers for embedding rows: row r of table t is `offsets[t] + r`.
 *
 * Everything that ranks rows across tables (counts, hot sets, hot indices) is one flat array over this numbering, so
 * it is limited to fewer than 2^32 rows in all, which one typed array can hold.
 */
import { ParetoError } from "../../../base/errors.ts";

/** The tables of a model, laid end to end. */
export interface RowSpace {
  /** Rows of each table, `[T]`. */
  readonly sizes: readonly number[];
  /** First global row of each table and the end, `[T + 1]`. */
  readonly offsets: Float64Array;
  /** Tables (T). */
  readonly tables: number;
  /** Rows of all tables (R). */
  readonly rows: number;
}

/** Most rows that all tables may have together. */
const MAX_ROWS = 2 ** 32 - 1;

/**
 * Lays tables end to end.
 * @param sizes rows of each table
 * @throws ParetoError `FAE_TABLE_ROWS` for a size that is not a whole number ≥ 0, or when all together pass 2^32 − 1
 */
export function rowSpace(sizes: readonly number[]): RowSpace {
  const offsets = new Float64Array(sizes.length + 1);
  for (const [table, size] of sizes.entries()) {
    const end = offsets[table]! + size;
    if (!Number.isInteger(size) || size < 0 || end > MAX_ROWS) {
      throw new ParetoError({
        code: "FAE_TABLE_ROWS",
        where: `table ${table}`,
        message: `tables must have whole numbers of rows, ${MAX_ROWS} at most together, got ${size}`,
        fix: "Hash the widest columns into fewer buckets, or raise the minimum count of their vocabularies.",
      });
    }
    offsets[table + 1] = end;
  }
  return { sizes: [...sizes], offsets, tables: sizes.length, rows: offsets[sizes.length]! };
}

/** The table of a global row, by binary search. */
export function tableOf(space: RowSpace, globalRow: number): number {
  let low = 0;
  let high = space.tables - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (space.offsets[middle]! <= globalRow) low = middle;
    else high = middle - 1;
  }
  return low;
}
