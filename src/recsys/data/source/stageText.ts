/**
 * @file Reads CSV, JSON and Criteo text once, into a table or Parquet file that later stages read as often as they like.
 *
 * Rows keep their order (file by file, then line by line). CSV and Criteo fields are staged as the text that they are:
 * DuckDB would guess types from the first rows and then cast loosely, so {@link TypeDecider} decides them from all rows.
 * Rows with too many or too few fields are an error that names file and row, or are skipped and counted. JSON: a
 * malformed line is always an error.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { ParetoError } from "../../../base/errors.ts";
import { readCsvHeader, readRecords, refuseDifferent, refuseReordered } from "./csvHeader.ts";
import type { CsvHeader } from "./csvHeader.ts";
import type { CsvOptions } from "./csvOptions.ts";
import type { Database } from "./duckdb.ts";
import type { Partition } from "./hive.ts";
import type { ReadableFiles } from "./readableFiles.ts";
import { isRemote } from "./sourceFiles.ts";
import type { SourceFormat } from "./sourceFiles.ts";
import { quoteList, quoteText } from "./sqlText.ts";

/** A staged table: columns t0, t1, … of text, named apart; for JSON also their types, k0, k1, … */
export interface StagedTable {
  /** What to read FROM: the columns and `file_row_number`, the number of a row. */
  from: string;
  names: string[];
  /** What separates the fields; "" where nothing does. */
  delimiter: string;
  /** Rows left out because they were malformed. */
  skippedRows: number;
  /** Things the user should know. */
  notices: string[];
}

/** How text is read. */
export interface TextOptions {
  format: SourceFormat;
  onBadRow: "error" | "skip";
  csv: CsvOptions;
  /** Columns that stand in the names of folders. */
  partitions: readonly Partition[];
}

const CRITEO_DENSE = Array.from({ length: 13 }, (_, i) => `I${i + 1}`);
const CRITEO_CATEGORICAL = Array.from({ length: 26 }, (_, i) => `C${i + 1}`);

/** `c0, c1, …`: the names that columns have inside the data layer, so that no name of the user's can clash. */
export function positionalNames(count: number): string {
  return Array.from({ length: count }, (_, i) => `c${i}`).join(", ");
}

/** A text or NULL. */
export const textSql = (value: string | null) => (value === null ? "NULL" : quoteText(value));

/** SQL of the values of partitions, text. @param fileIndex the number of a row's file */
export function partitionTexts(partitions: readonly Partition[], fileIndex: string): string[] {
  return partitions.map(({ values }) => {
    const texts = values.map(textSql);
    return `CAST([${texts.join(", ")}] AS VARCHAR[])[CAST(${fileIndex} AS BIGINT) + 1]`;
  });
}

/** What is said of a folder's key that is not used. */
export function partitionNotice(name: string): string {
  return `The files have a column "${name}" of their own: what their folders' names say of it is left out.`;
}

/** Text files of at most so many bytes become a table of DuckDB's, which spills to disk as everything else; larger ones Parquet. */
const TABLE_BYTES = 64 * 2 ** 20;

/** Keeps the rows of a query. @returns what to read them FROM */
async function stage(
  database: Database,
  select: string,
  paths: readonly string[],
  directory: string,
  where: string,
): Promise<string> {
  const sizes = await Promise.all(paths.map((path) => (isRemote(path) ? null : stat(path))));
  const bytes = sizes.reduce((sum, found) => sum + (found?.size ?? Infinity), 0);
  if (bytes <= TABLE_BYTES) {
    await database.run(`CREATE OR REPLACE TABLE staged AS ${select}`, where);
    return "(SELECT *, rowid AS file_row_number FROM staged)";
  }
  const path = quoteText(join(directory, "staged.parquet"));
  await database.run(`COPY (${select}) TO ${path} (FORMAT parquet, COMPRESSION snappy)`, where);
  return `read_parquet(${path})`;
}

/** Reads text files once. @throws ParetoError DATA_CSV_ROW, DATA_CSV_HEADER, DATA_READ, … */
export async function stageText(
  database: Database,
  files: ReadableFiles,
  directory: string,
  { format, onBadRow, csv, partitions }: TextOptions,
): Promise<StagedTable> {
  const { paths, names: given } = files;
  const where = given.length === 1 ? given[0]! : `${given[0]!} and ${given.length - 1} more`;
  const added = (names: readonly string[]) => partitions.filter(({ name }) => !names.includes(name));
  const finish = (
    names: string[],
    rest: Pick<StagedTable, "from" | "delimiter" | "skippedRows">,
  ): StagedTable => ({
    names: [...names, ...added(names).map(({ name }) => name)],
    ...rest,
    notices: partitions.filter(({ name }) => names.includes(name)).map(({ name }) => partitionNotice(name)),
  });
  if (format === "json") {
    const { names, select } = await selectJson(database, files, where, added);
    const from = await stage(database, select, paths, directory, where);
    return finish(names, { from, delimiter: "", skippedRows: 0 });
  }
  const header =
    format === "criteo" ? await criteoHeader(paths[0]!) : await commonHeader(database, files, where, csv);
  const { names, delimiter } = header;
  const last = `t${names.length - 1}`;
  // A carriage return before the line feed would else belong to the last field.
  const list = format === "criteo" ? `* REPLACE (rtrim(${last}, chr(13)) AS ${last})` : "*";
  const more = partitionTexts(added(names), "file_index").map(
    (text, i) => `, ${text} AS t${names.length + i}`,
  );
  const select = `SELECT ${list}${more.join("")} FROM ${csvReader(paths, header)}`;
  const from = await stage(database, select, paths, directory, where);
  const skippedRows = await checkRejects(database, onBadRow, where, files, header);
  return finish(names, { from, delimiter, skippedRows });
}

async function commonHeader(
  database: Database,
  { paths, names: files }: ReadableFiles,
  where: string,
  csv: CsvOptions,
): Promise<CsvHeader> {
  if (isRemote(paths[0]!)) {
    const delimiter = csv.delim ?? ",";
    const { quote = '"', escape = quote, header: hasNames = true, skip = 0 } = csv;
    const options = `header = ${hasNames}, all_varchar = true, delim = ${quoteText(delimiter)}, skip = ${skip}`;
    const found = await database.columnNames(
      `SELECT * FROM read_csv(${quoteList(paths)}, ${options})`,
      where,
    );
    const names = hasNames ? found : found.map((_, i) => `c${i}`);
    return { delimiter, quote, escape, names, hasNames, skip };
  }
  const header = await readCsvHeader(paths[0]!, files[0]!, csv);
  for (const [i, path] of paths.entries()) {
    if (i === 0) continue;
    const other = await readCsvHeader(path, files[i]!, csv);
    if (!header.hasNames) refuseOtherWidth(header.names, other.names, files[i]!);
    refuseDifferent(header.names, other.names, files[i]!);
    // DuckDB would read the fields by position.
    refuseReordered(header.names, other.names, files[i]!);
    refuseOtherStart(header, other, files[i]!);
  }
  return header;
}

/** @throws ParetoError DATA_COLUMNS_DIFFER */
function refuseOtherWidth(first: readonly string[], other: readonly string[], where: string): void {
  if (first.length === other.length) return;
  throw new ParetoError({
    code: "DATA_COLUMNS_DIFFER",
    where,
    message: `CSV files without names must have the same number of columns, ${first.length}, got ${other.length}`,
    fix: "Bring the files to the same columns.",
  });
}

/** @throws ParetoError DATA_COLUMNS_DIFFER */
function refuseOtherStart(first: CsvHeader, other: CsvHeader, where: string): void {
  if (first.delimiter === other.delimiter && first.skip === other.skip) return;
  const shown = ({ delimiter, skip }: CsvHeader) =>
    `fields between ${JSON.stringify(delimiter)} after ${skip} other lines`;
  throw new ParetoError({
    code: "DATA_COLUMNS_DIFFER",
    where,
    message: `the CSV files of a source must be written alike; the first has ${shown(first)}, got ${shown(other)}`,
    fix: "Bring the files to one form, or convert them to Parquet.",
  });
}

async function criteoHeader(path: string): Promise<CsvHeader> {
  const none = { quote: "", escape: "" };
  const [first] = await readRecords(path, 1, none);
  const fields = first!.split("\t").length;
  const names = [...CRITEO_DENSE, ...CRITEO_CATEGORICAL];
  // The published test files lack the label.
  return {
    delimiter: "\t",
    ...none,
    names: fields === 39 ? names : ["label", ...names],
    hasNames: false,
    skip: 0,
  };
}

/** Local files are unpacked by now, whatever their names say. */
const packing = (paths: readonly string[], none: "none" | "uncompressed") =>
  isRemote(paths[0]!) ? "auto" : none;

/** Columns t0, t1, … of text. */
function textColumns(names: readonly string[]): string {
  return `columns = {${names.map((_, i) => `'t${i}': 'VARCHAR'`).join(", ")}}`;
}

function csvReader(paths: readonly string[], header: CsvHeader): string {
  const { delimiter, quote, escape, names, hasNames, skip } = header;
  return (
    `read_csv(${quoteList(paths)}, header = ${hasNames}, skip = ${skip}, auto_detect = false, store_rejects = true, ` +
    `hive_partitioning = false, compression = '${packing(paths, "none")}', delim = ${quoteText(delimiter)}, quote = ${quoteText(quote)}, ` +
    `escape = ${quoteText(escape)}, nullstr = '', ${textColumns(names)})`
  );
}

/** A SELECT of the objects of JSON files, each field as its text and its JSON type; the fields are those of all objects. */
async function selectJson(
  database: Database,
  { paths }: ReadableFiles,
  where: string,
  added: (names: readonly string[]) => Partition[],
): Promise<{ names: string[]; select: string }> {
  const from = `read_json(${quoteList(paths)}, hive_partitioning = false, compression = '${packing(paths, "uncompressed")}', union_by_name = true, sample_size = -1, maximum_depth = 1)`;
  const names = await database.columnNames(`SELECT * FROM ${from}`, where);
  const fields = names.map((_, i) => `j${i} ->> '$' AS t${i}, json_type(j${i}) AS k${i}`);
  for (const [i, text] of partitionTexts(added(names), "s.file_index").entries())
    fields.push(`${text} AS t${names.length + i}, 'VARCHAR' AS k${names.length + i}`);
  const list = names.map((_, i) => `j${i}`).join(", ");
  return { names, select: `SELECT ${fields.join(", ")} FROM ${from} AS s(${list})` };
}

async function hasRejects(database: Database): Promise<boolean> {
  const found = await database.rows(
    "SELECT 1 AS found FROM duckdb_tables() WHERE table_name = 'reject_errors'",
    "rejected rows",
  );
  return found.length > 0;
}

/** Throws on the first malformed row, or counts them all. */
async function checkRejects(
  database: Database,
  onBadRow: "error" | "skip",
  where: string,
  files: ReadableFiles,
  { hasNames, skip }: CsvHeader,
): Promise<number> {
  if (!(await hasRejects(database))) return 0;
  const errors =
    "reject_errors AS e JOIN (SELECT DISTINCT scan_id, file_id, file_path FROM reject_scans) AS s USING (scan_id, file_id)";
  const [counted] = await database.rows<{ bad: number }>(
    `SELECT count(*) AS bad FROM (SELECT DISTINCT file_path, line FROM ${errors})`,
    where,
  );
  const bad = counted?.bad ?? 0;
  if (bad === 0 || onBadRow === "skip") return bad;
  const [first] = await database.rows<{
    path: string;
    line: number;
    message: string;
    text: string;
    column: string | null;
  }>(
    `SELECT file_path AS path, line, error_message AS message, left(csv_line, 200) AS text, column_name AS column ` +
      `FROM ${errors} ORDER BY e.scan_id, e.file_id, line LIMIT 1`,
    where,
  );
  const row = first!.line - skip - (hasNames ? 1 : 0);
  const at = files.paths.indexOf(first!.path);
  throw new ParetoError({
    code: "DATA_CSV_ROW",
    where: `${files.names[at] ?? first!.path}:${first!.line}`,
    message: `row ${row} is malformed (${first!.message.replace(/\s+/g, " ").trim()}; ${bad} such row${bad === 1 ? "" : "s"}), got ${first!.text}`,
    fix: "Correct the row, or skip malformed rows with --on-bad-row skip, which counts them.",
  });
}
