/**
 * @file Reads CSV, JSON and Criteo text once, into a Parquet file that later stages read as often as they like.
 *
 * Rows keep their order (file by file, then line by line). CSV and Criteo fields are staged as the text that they are:
 * DuckDB would guess types from the first rows and then cast loosely, so {@link TypeDecider} decides them from all rows.
 * Rows with too many or too few fields are an error that names file and row, or are skipped and counted. JSON: a
 * malformed line is always an error.
 */
import { join } from "node:path";
import { ParetoError } from "../../../base/errors.ts";
import { readCsvHeader, readFirstRecord, refuseDifferent, refuseReordered } from "./csvHeader.ts";
import type { CsvHeader } from "./csvHeader.ts";
import type { Database } from "./duckdb.ts";
import { isRemote } from "./sourceFiles.ts";
import type { SourceFormat } from "./sourceFiles.ts";
import { quoteList, quoteText } from "./sqlText.ts";

/** A table in a Parquet file: columns t0, t1, … of text, named apart; for JSON also their types, k0, k1, … */
export interface StagedTable {
  path: string;
  names: string[];
  /** What separates the fields; "" where nothing does. */
  delimiter: string;
  /** Rows left out because they were malformed. */
  skippedRows: number;
}

/** How text is read. */
export interface TextOptions {
  format: SourceFormat;
  onBadRow: "error" | "skip";
}

const CRITEO_DENSE = Array.from({ length: 13 }, (_, i) => `I${i + 1}`);
const CRITEO_CATEGORICAL = Array.from({ length: 26 }, (_, i) => `C${i + 1}`);

/** `c0, c1, …`: the names that columns have inside the data layer, so that no name of the user's can clash. */
export function positionalNames(count: number): string {
  return Array.from({ length: count }, (_, i) => `c${i}`).join(", ");
}

/** Reads text files into `directory`/staged.parquet. @throws ParetoError DATA_CSV_ROW, DATA_CSV_HEADER, DATA_READ, … */
export async function stageToParquet(
  database: Database,
  files: readonly string[],
  directory: string,
  options: TextOptions,
): Promise<StagedTable> {
  const path = join(directory, "staged.parquet");
  const where = files.length === 1 ? files[0]! : `${files[0]!} and ${files.length - 1} more`;
  if (options.format === "json") {
    const names = await stageJson(database, files, path, where);
    return { path, names, delimiter: "", skippedRows: 0 };
  }
  const header =
    options.format === "criteo" ? await criteoHeader(files[0]!) : await commonHeader(database, files, where);
  const read = options.format === "criteo" ? criteoReader(files, header) : csvReader(files, header);
  const last = `t${header.names.length - 1}`;
  // A carriage return before the line feed would else belong to the last field.
  const list = options.format === "criteo" ? `* REPLACE (rtrim(${last}, chr(13)) AS ${last})` : "*";
  await database.run(`COPY (SELECT ${list} FROM ${read}) TO ${quoteText(path)} (${PARQUET})`, where);
  const skippedRows = await checkRejects(database, options.onBadRow, where, options.format !== "criteo");
  return { path, names: header.names, delimiter: header.delimiter, skippedRows };
}

async function commonHeader(database: Database, files: readonly string[], where: string): Promise<CsvHeader> {
  if (isRemote(files[0]!)) {
    const read = `read_csv(${quoteList(files)}, header = true, all_varchar = true)`;
    return { delimiter: ",", names: await database.columnNames(`SELECT * FROM ${read}`, where) };
  }
  const header = await readCsvHeader(files[0]!);
  for (const file of files.slice(1)) {
    const { names } = await readCsvHeader(file);
    refuseDifferent(header.names, names, file);
    // DuckDB would read the fields by position.
    refuseReordered(header.names, names, file);
  }
  return header;
}

async function criteoHeader(file: string): Promise<CsvHeader> {
  const fields = (await readFirstRecord(file)).split("\t").length;
  const names = [...CRITEO_DENSE, ...CRITEO_CATEGORICAL];
  // The published test files lack the label.
  return { delimiter: "\t", names: fields === 39 ? names : ["label", ...names] };
}

const PARQUET = "FORMAT parquet, COMPRESSION snappy";

/** Columns t0, t1, … of text. */
function textColumns(names: readonly string[]): string {
  return `columns = {${names.map((_, i) => `'t${i}': 'VARCHAR'`).join(", ")}}`;
}

function csvReader(files: readonly string[], { delimiter, names }: CsvHeader): string {
  return (
    `read_csv(${quoteList(files)}, header = true, auto_detect = false, store_rejects = true, ` +
    `delim = ${quoteText(delimiter)}, quote = '"', escape = '"', nullstr = '', ${textColumns(names)})`
  );
}

function criteoReader(files: readonly string[], { names }: CsvHeader): string {
  return (
    `read_csv(${quoteList(files)}, header = false, auto_detect = false, store_rejects = true, delim = '\\t', ` +
    `quote = '', escape = '', nullstr = '', ${textColumns(names)})`
  );
}

/** Copies the objects of JSON files, each field as its text and its JSON type; the fields are those of all objects. */
async function stageJson(
  database: Database,
  files: readonly string[],
  path: string,
  where: string,
): Promise<string[]> {
  const from = `read_json(${quoteList(files)}, union_by_name = true, sample_size = -1, maximum_depth = 1)`;
  const names = await database.columnNames(`SELECT * FROM ${from}`, where);
  const fields = names.map((_, i) => `j${i} ->> '$' AS t${i}, json_type(j${i}) AS k${i}`);
  const list = names.map((_, i) => `j${i}`).join(", ");
  await database.run(
    `COPY (SELECT ${fields.join(", ")} FROM ${from} AS s(${list})) TO ${quoteText(path)} (${PARQUET})`,
    where,
  );
  return names;
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
  header: boolean,
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
  const row = first!.line - (header ? 1 : 0);
  throw new ParetoError({
    code: "DATA_CSV_ROW",
    where: `${first!.path}:${first!.line}`,
    message: `row ${row} is malformed (${first!.message.replace(/\s+/g, " ").trim()}; ${bad} such row${bad === 1 ? "" : "s"}), got ${first!.text}`,
    fix: "Correct the row, or skip malformed rows with --on-bad-row skip, which counts them.",
  });
}
