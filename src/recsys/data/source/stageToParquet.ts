/**
 * @file Reads CSV, JSON and Criteo text once, into a Parquet file that later stages read as often as they like.
 *
 * Rows keep their order (file by file, then line by line). Types are inferred from the first rows and, when a later row
 * disagrees, from all of them. Rows with too many or too few fields are an error that names file and row, or are skipped
 * and counted. JSON: a malformed line is always an error.
 */
import { join } from "node:path";
import { ParetoError } from "../../../base/errors.ts";
import { readCsvHeader, readFirstRecord, refuseDifferent, refuseReordered } from "./csvHeader.ts";
import type { CsvHeader } from "./csvHeader.ts";
import type { Database } from "./duckdb.ts";
import { isRemote } from "./sourceFiles.ts";
import type { SourceFormat } from "./sourceFiles.ts";
import { quoteList, quoteText } from "./sqlText.ts";

/** A table in a Parquet file whose columns are c0, c1, …, named apart. */
export interface StagedTable {
  path: string;
  names: string[];
  /** Rows left out because they were malformed. */
  skippedRows: number;
}

/** How text is read. */
export interface TextOptions {
  format: SourceFormat;
  onBadRow: "error" | "skip";
  /** Columns to keep as text whatever they look like. */
  textColumns: readonly string[];
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
    const read = `read_json(${quoteList(files)}, union_by_name = true`;
    const names = await copyWithRetry(database, read, path, where, null);
    return { path, names, skippedRows: 0 };
  }
  const header = options.format === "criteo" ? await criteoHeader(files[0]!) : await commonHeader(files);
  const read =
    options.format === "criteo" ? criteoReader(files, header) : csvReader(files, header, options.textColumns);
  const names = await copyWithRetry(
    database,
    read,
    path,
    where,
    options.format === "criteo" ? header.names : null,
  );
  if (options.format === "csv" && header.names.length > 0 && names.length !== header.names.length) {
    throw new ParetoError({
      code: "DATA_CSV_HEADER",
      where,
      message: `rows must have as many fields as the header has names, ${header.names.length}, got ${names.length}`,
      fix: "Give every field a name in the first line; a delimiter at the end of each line counts as a field.",
    });
  }
  const skippedRows = await checkRejects(database, options.onBadRow, where, options.format !== "criteo");
  return { path, names: header.names.length > 0 ? header.names : names, skippedRows };
}

async function commonHeader(files: readonly string[]): Promise<CsvHeader> {
  if (isRemote(files[0]!)) return { delimiter: "", names: [] };
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

function csvReader(files: readonly string[], header: CsvHeader, textColumns: readonly string[]): string {
  const kept = textColumns.filter((name) => header.names.includes(name));
  const types = kept.map((name) => `${quoteText(name)}: 'VARCHAR'`).join(", ");
  return [
    `read_csv(${quoteList(files)}, header = true, store_rejects = true`,
    header.delimiter === "" ? "" : `, delim = ${quoteText(header.delimiter)}, quote = '"', escape = '"'`,
    `, nullstr = ['', 'NULL', 'null', '\\N']`,
    kept.length > 0 ? `, types = {${types}}` : "",
  ].join("");
}

function criteoReader(files: readonly string[], header: CsvHeader): string {
  const columns = header.names.map((name) => `'${name}': '${name.startsWith("C") ? "VARCHAR" : "BIGINT"}'`);
  return (
    `read_csv(${quoteList(files)}, header = false, store_rejects = true, auto_detect = false, delim = '\\t', ` +
    `quote = '', escape = '', nullstr = '', columns = {${columns.join(", ")}}`
  );
}

/** Copies a reader's rows to Parquet; when types guessed from the first rows fail, once more with types from all. */
async function copyWithRetry(
  database: Database,
  read: string,
  path: string,
  where: string,
  fixedNames: readonly string[] | null,
): Promise<string[]> {
  const attempt = async (sample: string): Promise<string[]> => {
    const from = `${read}${sample})`;
    const names = fixedNames ?? (await database.columnNames(`SELECT * FROM ${from}`, where));
    // A carriage return before the line feed would else belong to the last field.
    const list =
      fixedNames === null ? "*" : `* REPLACE (rtrim(c${names.length - 1}, chr(13)) AS c${names.length - 1})`;
    await database.run(
      `COPY (SELECT ${list} FROM ${from} AS t(${positionalNames(names.length)})) TO ${quoteText(path)} ` +
        `(FORMAT parquet, COMPRESSION snappy)`,
      where,
    );
    return [...names];
  };
  if (fixedNames !== null) return attempt("");
  const all = ", sample_size = -1";
  let names: string[];
  try {
    names = await attempt("");
  } catch (error) {
    if (read.startsWith("read_json")) return attempt(all);
    throw error;
  }
  if (!(await hasRejects(database))) return names;
  const casts = await database.rows(
    "SELECT 1 AS found FROM reject_errors WHERE error_type = 'CAST' LIMIT 1",
    where,
  );
  if (casts.length === 0) return names;
  await database.run("DROP TABLE reject_errors; DROP TABLE reject_scans", where);
  return attempt(all);
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
