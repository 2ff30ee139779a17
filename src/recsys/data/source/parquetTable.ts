/**
 * @file A Parquet source in place: its columns, its rows, and the number of each row by file and position.
 */
import { ParetoError } from "../../../base/errors.ts";
import { refuseDifferent, refuseDuplicates } from "./csvHeader.ts";
import type { Database } from "./duckdb.ts";
import { firstLine } from "../../../base/fileErrors.ts";
import { positionalNames } from "./stageToParquet.ts";
import { quoteList, quoteText } from "./sqlText.ts";

/** Names of a Parquet file's columns, as stored. */
async function topNames(database: Database, file: string): Promise<string[]> {
  let rows: { name: string; children: number | null }[];
  try {
    rows = await database.rows(
      `SELECT name, num_children AS children FROM parquet_schema(${quoteText(file)})`,
      file,
    );
  } catch (error) {
    throw new ParetoError({
      code: "DATA_PARQUET_DAMAGED",
      where: file,
      message: `the Parquet file is truncated or damaged, got ${firstLine(error)}`,
      fix: "Write or copy the file again; a copy that was cut off lacks the footer at its end.",
      cause: error,
    });
  }
  const names: string[] = [];
  let at = 1;
  const skip = (): void => {
    const children = rows[at++]?.children ?? 0;
    for (let i = 0; i < children; i++) skip();
  };
  while (at < rows.length) {
    names.push(rows[at]!.name);
    skip();
  }
  return names;
}

/** A view's text over Parquet files. */
export interface ParquetTable {
  names: string[];
  /** A SELECT giving columns c0, c1, … and `row`, the stable number of a row. */
  sql: string;
  rows: number;
}

/**
 * Describes Parquet files.
 * @throws ParetoError DATA_PARQUET_DAMAGED, DATA_COLUMN_DUPLICATE, DATA_COLUMNS_DIFFER
 */
export async function describeParquet(database: Database, files: readonly string[]): Promise<ParquetTable> {
  const stored = await topNames(database, files[0]!);
  refuseDuplicates(stored, files[0]!);
  for (const file of files.slice(1)) refuseDifferent(stored, await topNames(database, file), file);
  const counts = await database.rows<{ rows: number }>(
    `SELECT num_rows AS rows FROM parquet_file_metadata(${quoteList(files)})`,
    files[0]!,
  );
  let rows = 0;
  const offsets = counts.map((count) => (rows += count.rows) - count.rows);
  const read = `read_parquet(${quoteList(files)}${files.length > 1 ? ", union_by_name = true" : ""})`;
  const described = await database.columnNames(`SELECT * FROM ${read}`, files[0]!);
  // Columns beyond the stored ones come from the folders' names (`day=3/…`).
  const names = described.map((name, i) => stored[i] ?? name);
  const list = positionalNames(names.length);
  const row =
    files.length > 1
      ? `[${offsets.join(", ")}][CAST(t.file_index AS BIGINT) + 1] + t.file_row_number`
      : "t.file_row_number";
  const clash = names.some((name) => /^(file_row_number|file_index)$/i.test(name));
  // A column of that name hides DuckDB's own; a window numbers the rows in file order, on one thread.
  const sql = clash
    ? `SELECT ${list}, row_number() OVER () - 1 AS row FROM ${read} AS t(${list})`
    : `SELECT ${list}, CAST(${row} AS BIGINT) AS row FROM ${read} AS t(${list})`;
  return { names, sql, rows };
}
