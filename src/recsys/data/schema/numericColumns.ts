/**
 * @file Checks of the columns that a model takes as numbers, in training and on new rows alike: text in them is an error,
 * NaN and infinite values are missing and counted.
 */
import { ParetoError } from "../../../base/errors.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import { columnKind, notNumberSql, numberSql } from "./columnTypes.ts";

/** Columns that one query looks at: DuckDB plans wide queries in more than linear time. */
const COLUMNS_PER_QUERY = 128;

/** Aggregates of each column. */
interface Aggregates {
  /** Expressions of a column that the aggregates use, each `… AS name${i}`: what is used twice is computed once. */
  values?: (column: SourceColumn, index: number) => string[];
  /** Aggregates of a column, each `… AS name${i}`. */
  of: (column: SourceColumn, index: number) => string[];
  /** What to read FROM, of these columns (default all rows). */
  from?: (columns: readonly SourceColumn[]) => string;
}

/** Runs aggregates over all rows for each of the columns. @throws ParetoError DATA_READ, DATA_MEMORY */
export async function aggregateColumns(
  source: Source,
  columns: readonly SourceColumn[],
  { values, of, from = (part) => source.from(part) }: Aggregates,
): Promise<Record<string, number | string | null>> {
  const queries: string[] = [];
  for (let at = 0; at < columns.length; at += COLUMNS_PER_QUERY) {
    const part = columns.slice(at, at + COLUMNS_PER_QUERY);
    const list = part.flatMap((column, i) => of(column, at + i));
    let table = from(part);
    if (values !== undefined) {
      table = `(SELECT ${part.flatMap((column, i) => values(column, at + i)).join(", ")} FROM ${table})`;
    }
    queries.push(`SELECT ${list.join(", ")} FROM ${table}`);
  }
  const rows = await source.database.rowsOfAll<Record<string, number | string | null>>(queries, source.name);
  return Object.assign({}, ...rows.flat()) as Record<string, number | string | null>;
}

/** Refuses columns in which a value is no number. @throws ParetoError DATA_NOT_NUMERIC, of the first such value */
export async function checkNumeric(source: Source, columns: readonly SourceColumn[]): Promise<void> {
  const doubtful = columns.filter((column) => notNumberSql(column) !== "false");
  const found = await aggregateColumns(source, doubtful, {
    values: (column, i) => [`${notNumberSql(column)} AS not${i}`, `row AS row${i}`],
    of: (_, i) => [`count_if(not${i}) AS bad${i}`, `min(row${i}) FILTER (not${i}) AS first${i}`],
  });
  for (const [i, column] of doubtful.entries()) {
    const bad = Number(found[`bad${i}`]);
    if (bad === 0) continue;
    const row = Number(found[`first${i}`]);
    const [first] = await source.database.rows<{ value: string }>(
      `SELECT CAST(${column.written} AS VARCHAR) AS value FROM data WHERE row = ${row}`,
      source.name,
    );
    throw new ParetoError({
      code: "DATA_NOT_NUMERIC",
      where: `${source.name}, column "${column.name}", row ${row + 1}`,
      message: `a dense column must hold numbers; ${bad} value${bad === 1 ? "" : "s"} of "${column.name}" ${bad === 1 ? "is" : "are"} none, the first in row ${row + 1}, got "${first!.value}"`,
      fix: "Correct the values, or convert the column with a query; where the model is not trained yet, it may be named as categorical.",
    });
  }
}

/** A notice for each column of numbers in which values are NaN or infinite. */
export async function nonFiniteNotices(source: Source, columns: readonly SourceColumn[]): Promise<string[]> {
  const real = columns.filter((column) => columnKind(column.type) === "real");
  const found = await aggregateColumns(source, real, {
    of: (column, i) => [`count(${column.sql}) - count(${numberSql(column)}) AS odd${i}`],
  });
  return real.flatMap((column, i) => {
    const odd = Number(found[`odd${i}`]);
    return odd > 0 ? [nonFiniteNotice(column.name, odd)] : [];
  });
}

/** What is said of values that are NaN or infinite. */
export function nonFiniteNotice(name: string, count: number): string {
  return `Column "${name}" holds ${count} NaN or infinite values, treated as missing.`;
}
