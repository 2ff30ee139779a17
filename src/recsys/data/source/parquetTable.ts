/**
 * @file A Parquet source in place: its columns, those of its folders' names, its rows, and the number of each row by file
 * and position.
 */
import { ParetoError } from "../../../base/errors.ts";
import { refuseDifferent, refuseDuplicates } from "./csvHeader.ts";
import type { Database } from "./duckdb.ts";
import { firstLine } from "../../../base/fileErrors.ts";
import { TypeDecider } from "../schema/decideTypes.ts";
import type { Partition } from "./hive.ts";
import type { ReadableFiles } from "./readableFiles.ts";
import { partitionNotice, partitionTexts, positionalNames, textSql } from "./stageText.ts";
import { quoteList, quoteText } from "./sqlText.ts";

/** Names of a Parquet file's columns, as stored. */
async function topNames(database: Database, path: string, file: string): Promise<string[]> {
  let rows: { name: string; children: number | null }[];
  try {
    rows = await database.rows(
      `SELECT name, num_children AS children FROM parquet_schema(${quoteText(path)})`,
      file,
    );
  } catch (error) {
    if (!(error instanceof ParetoError) || error.code !== "DATA_READ") throw error;
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
  notices: string[];
}

/**
 * Describes Parquet files.
 * @param textColumns partitions that are to stay text
 * @throws ParetoError DATA_PARQUET_DAMAGED, DATA_COLUMN_DUPLICATE, DATA_COLUMNS_DIFFER
 */
export async function describeParquet(
  database: Database,
  { paths, names: files }: ReadableFiles,
  partitions: readonly Partition[],
  textColumns: readonly string[],
): Promise<ParquetTable> {
  const stored = await topNames(database, paths[0]!, files[0]!);
  refuseDuplicates(stored, files[0]!);
  for (const [i, path] of paths.entries())
    if (i > 0) refuseDifferent(stored, await topNames(database, path, files[i]!), files[i]!);
  const counts = await database.rows<{ rows: number }>(
    `SELECT num_rows AS rows FROM parquet_file_metadata(${quoteList(paths)})`,
    files[0]!,
  );
  let rows = 0;
  const offsets = counts.map((count) => (rows += count.rows) - count.rows);
  const union = paths.length > 1 ? ", union_by_name = true" : "";
  const read = `read_parquet(${quoteList(paths)}, hive_partitioning = false${union})`;
  const list = positionalNames(stored.length);
  const row =
    paths.length > 1
      ? `[${offsets.join(", ")}][CAST(t.file_index AS BIGINT) + 1] + t.file_row_number`
      : "t.file_row_number";
  const clash = stored.some((name) => /^(file_row_number|file_index)$/i.test(name));
  const added = clash ? [] : partitions.filter(({ name }) => !stored.includes(name));
  const notices = partitions
    .filter((partition) => !added.includes(partition))
    .map(({ name }) => partitionNotice(name));
  // A column of that name hides DuckDB's own; a window numbers the rows in file order, on one thread.
  if (clash) {
    const sql = `SELECT ${list}, row_number() OVER () - 1 AS row FROM ${read} AS t(${list})`;
    return { names: stored, sql, notices };
  }
  const texts = partitionTexts(added, "t.file_index").map((text, i) => `, ${text} AS t${i}`);
  const inner = `SELECT ${list}${texts.join("")}, CAST(${row} AS BIGINT) AS row FROM ${read} AS t(${list})`;
  if (added.length === 0) return { names: stored, sql: inner, notices };
  const typed = await typesOf(database, added, files[0]!, textColumns);
  notices.push(...typed.notices);
  const columns = typed.sql.map((sql, i) => `, ${sql} AS c${stored.length + i}`);
  return {
    names: [...stored, ...added.map(({ name }) => name)],
    sql: `SELECT ${list}${columns.join("")}, row FROM (${inner})`,
    notices,
  };
}

/** What the values of partitions are, as those of a text file; SQL over their texts t0, t1, … */
async function typesOf(
  database: Database,
  partitions: readonly Partition[],
  where: string,
  textColumns: readonly string[],
): Promise<{ sql: string[]; notices: string[] }> {
  const values = partitions[0]!.values.map((_, file) => {
    const texts = partitions.map(({ values }) => textSql(values[file] ?? null));
    return `(${texts.join(", ")}, ${file})`;
  });
  const names = partitions.map((_, i) => `t${i}`).join(", ");
  const casts = partitions.map((_, i) => `CAST(t${i} AS VARCHAR) AS t${i}`).join(", ");
  const from = `(SELECT ${casts}, file_row_number FROM (VALUES ${values.join(", ")}) AS v(${names}, file_row_number))`;
  const decider = new TypeDecider(database, from, where, { delimiter: "", textColumns, forms: {} });
  const columns = await decider.decide(partitions.map(({ name }) => name));
  return { sql: columns.map(({ sql }) => sql), notices: decider.notices };
}
