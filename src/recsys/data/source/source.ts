/**
 * @file Opens click logs: Parquet in place; CSV, JSON, Criteo text, tables of databases and the result of a query through
 * one staged Parquet file. Whatever the input, the rest of the data layer sees one view, `data`, with columns c0, c1, … and `row`, the
 * number of the row (file order, then order in the file), which no column of the user's can hide.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeFolder } from "../../../base/makeFolder.ts";
import { ParetoError } from "../../../base/errors.ts";
import type { CsvOptions } from "./csvOptions.ts";
import { attachDatabase, severalTables } from "./databaseFile.ts";
import { Database } from "./duckdb.ts";
import type { DatabaseOptions } from "./duckdb.ts";
import { fileError } from "../../../base/fileErrors.ts";
import { holdTemporary } from "../../../base/temporaryPaths.ts";
import { describeParquet } from "./parquetTable.ts";
import { stageQuery } from "./queryTable.ts";
import { readableFiles } from "./readableFiles.ts";
import { isRowIndex, ROW_INDEX } from "./rowIndex.ts";
import { findSourceFiles } from "./sourceFiles.ts";
import type { FileFormat, SourceFiles, SourceFormat } from "./sourceFiles.ts";
import { quoteName, quoteText } from "./sqlText.ts";
import { decideJsonTypes } from "../schema/jsonTypes.ts";
import { TypeDecider, type TextColumn } from "../schema/decideTypes.ts";
import type { NumberForm } from "../schema/numberForm.ts";
import { positionalNames, stageText } from "./stageText.ts";

/** What to read, and how. */
export interface SourceOptions extends DatabaseOptions {
  /**
   * Files, folders or globs, or one database of DuckDB; the order of rows follows the order given. May be empty when `sql`
   * names its files.
   */
  paths: readonly string[];
  /** A query over the view `source`, the table of `paths`, over the tables of a database, or over files directly. */
  sql?: string;
  /** Read as this format (default: what the files' bytes and names say). */
  format?: FileFormat;
  /** How CSV files are written, where it is not to be found from them. */
  csv?: CsvOptions;
  /** What to do with CSV rows of too many or too few fields (default `error`). */
  onBadRow?: "error" | "skip";
  /** Columns of text files to read as text whatever they look like, e.g. {@link Encoder.textColumns}. */
  textColumns?: readonly string[];
  /** How numbers are written in columns of text files, where all of a column's values agree, e.g. {@link Encoder.numberForms}. */
  numberForms?: Readonly<Record<string, NumberForm>>;
  /** Folder for spilled and staged data (default: a new folder in the system's, removed on dispose). */
  tempDirectory?: string;
}

/** A column of a source. */
export interface SourceColumn {
  name: string;
  /** DuckDB's type, e.g. `BIGINT`, `VARCHAR`, `INTEGER[]`. */
  type: string;
  /** Its name in the view `data`. */
  sql: string;
  /** Name in the view `data` of its values as they stand in the file: the text, for text files; else `sql`. */
  written: string;
  /** How its numbers are written, for numbers in text; else null. */
  form: NumberForm | null;
  /** Why it has its type, where that is not plain to see; else "". */
  reason: string;
}

/** An open source. Holds a database, so {@link Source.dispose} it. */
export class Source {
  /** The paths as given, for messages. */
  readonly name: string;
  readonly files: readonly string[];
  readonly format: SourceFormat;
  /** The query, or null. */
  readonly query: string | null;
  readonly columns: readonly SourceColumn[];
  readonly rows: number;
  /** Malformed rows that were left out. */
  readonly skippedRows: number;
  /** Things the user should know, one sentence each. */
  readonly notices: readonly string[];
  readonly database: Database;
  readonly #stage: StageFolder;
  /** SQL of a SELECT of some columns, where the view `data` would take DuckDB longer to plan. */
  readonly #select: ((columns: readonly SourceColumn[]) => string) | null;

  constructor(fields: {
    name: string;
    files: readonly string[];
    format: SourceFormat;
    query: string | null;
    columns: readonly SourceColumn[];
    rows: number;
    skippedRows: number;
    notices: readonly string[];
    database: Database;
    stage: StageFolder;
    select: ((columns: readonly SourceColumn[]) => string) | null;
  }) {
    this.name = fields.name;
    this.files = fields.files;
    this.format = fields.format;
    this.query = fields.query;
    this.columns = fields.columns;
    this.rows = fields.rows;
    this.skippedRows = fields.skippedRows;
    this.notices = fields.notices;
    this.database = fields.database;
    this.#stage = fields.stage;
    this.#select = fields.select;
  }

  /** What to read FROM to have the `sql` of these columns, and `row`: the view `data`, or as much of it as they need. */
  from(columns: readonly SourceColumn[]): string {
    return this.#select === null ? "data" : `(${this.#select(columns)})`;
  }

  /** The column of this name, or null. */
  column(name: string): SourceColumn | null {
    return this.columns.find((column) => column.name === name) ?? null;
  }

  /** Closes the database and removes staged files. */
  async dispose(): Promise<void> {
    this.database.close();
    await this.#stage.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

/**
 * Opens a source.
 * @throws ParetoError FILE_MISSING, DATA_FILE_EMPTY, DATA_PARQUET_DAMAGED, DATA_CSV_ROW, DATA_CSV_HEADER,
 *   DATA_COLUMN_DUPLICATE, DATA_COLUMNS_DIFFER, DATA_EMPTY, DATA_SQL, DATA_READ, FILE_DISK_FULL, DUCKDB_MISSING,
 *   DATA_COMPRESSION, DATA_TEXT_ENCODING, DATA_TEXT_NUL, DATA_FORMAT_UNKNOWN, DATA_FORMATS_MIXED, DATA_TABLES,
 *   DATA_EXTENSION, DATA_LOCKED; the signal's reason when it is aborted
 */
export async function openSource(options: SourceOptions): Promise<Source> {
  const found = await findSourceFiles(options.paths, options.format);
  if (found.files.length === 0 && options.sql === undefined) {
    throw new ParetoError({
      code: "FILE_MISSING",
      where: "openSource",
      message: "a source needs at least one file or a query, got none",
      fix: "Name a Parquet, CSV or JSON file.",
    });
  }
  const stage = await makeStage(options.tempDirectory ?? tmpdir());
  let database: Database | null = null;
  try {
    database = await Database.open(stage.directory, options);
    return await read(database, stage, found, options);
  } catch (error) {
    database?.close();
    await stage.remove();
    throw error;
  }
}

/** A folder for what is staged. */
interface StageFolder {
  directory: string;
  remove(): Promise<void>;
}

async function makeStage(parent: string): Promise<StageFolder> {
  try {
    await makeFolder(parent);
    const directory = await mkdtemp(join(parent, "pareto-source-"));
    const release = holdTemporary(directory);
    return {
      directory,
      remove: async () => {
        await rm(directory, { recursive: true, force: true });
        release();
      },
    };
  } catch (error) {
    throw fileError(error, parent, "Set the environment variable TMPDIR to a folder that can be written.");
  }
}

async function read(
  database: Database,
  folder: StageFolder,
  found: SourceFiles,
  options: SourceOptions,
): Promise<Source> {
  const { files, format } = found;
  const { directory } = folder;
  const name = options.paths.length > 0 ? options.paths.join(", ") : "query";
  const notices = [...found.notices];
  const stage = { database, directory, name, notices, options };
  let table: StagedSource = { names: [], texts: null, skippedRows: 0 };
  if (format === "duckdb" || format === "sqlite") {
    table = await readDatabase(stage, files[0]!.path, format);
  } else {
    if (files.length > 0) table = await readFiles(stage, found);
    if (options.sql !== undefined) {
      const hasSource = table.names.length > 0;
      if (hasSource) {
        const list = table.names.map((column, i) => `c${i} AS ${quoteName(column)}`).join(", ");
        await database.run(`CREATE VIEW source AS SELECT ${list} FROM data`, "source");
      }
      const { path, names } = await stageQuery(database, directory, options.sql, "query");
      await database.run("DROP VIEW IF EXISTS source", "query");
      await viewStaged(database, path, names.length);
      table = { ...table, names, texts: null };
    }
  }
  const { names, texts, skippedRows } = table;
  if (skippedRows > 0) notices.push(`${skippedRows} malformed rows were skipped.`);
  const types = await database.rows<{ column_type: string }>("DESCRIBE data", name);
  const columns: SourceColumn[] = [];
  for (const [i, column] of names.entries()) {
    const sql = `c${i}`;
    const { form, reason } = texts?.[i] ?? { form: null, reason: "" };
    const written = texts === null ? sql : `t${i}`;
    const type = types[i]!.column_type;
    const isIndex = await isRowIndex(database, { name: column, type, sql }, name);
    columns.push({ name: column, type, sql, written, form, reason: isIndex ? ROW_INDEX : reason });
  }
  const [counted] = await database.rows<{ rows: number }>("SELECT count(*) AS rows FROM data", name);
  const rows = counted!.rows;
  if (rows === 0) {
    throw new ParetoError({
      code: "DATA_EMPTY",
      where: name,
      message: `there is no row to read, got 0 rows${skippedRows > 0 ? ` and ${skippedRows} malformed ones, which were skipped` : ""}`,
      fix: "Give a file with a header and rows, or a query that returns some.",
    });
  }
  return new Source({
    name,
    files: files.map(({ path }) => path),
    format,
    query: options.sql ?? null,
    columns,
    rows,
    skippedRows,
    notices,
    database,
    stage: folder,
    select: texts === null || table.from === undefined ? null : selectTexts(table.from, texts),
  });
}

/** What reading needs. */
interface Stage {
  database: Database;
  directory: string;
  name: string;
  notices: string[];
  options: SourceOptions;
}

/** What the view `data` has been made of. */
interface StagedSource {
  names: string[];
  /** Of text files. */
  texts: TextColumn[] | null;
  /** What `texts` are read FROM. */
  from?: string;
  skippedRows: number;
}

async function readDatabase(
  { database, directory, name, options: { sql } }: Stage,
  file: string,
  format: "duckdb" | "sqlite",
): Promise<StagedSource> {
  const { onlyTable, tables, detach } = await attachDatabase(database, file, format);
  if (onlyTable === null && sql === undefined) throw severalTables(file, tables);
  if (onlyTable !== null && !tables.includes("source"))
    await database.run(`CREATE TEMP VIEW source AS ${onlyTable}`, name);
  const staged = await stageQuery(database, directory, sql ?? onlyTable!, sql === undefined ? file : "query");
  await database.run("DROP VIEW IF EXISTS temp.source", name);
  await detach();
  await viewStaged(database, staged.path, staged.names.length);
  return { names: staged.names, texts: null, skippedRows: 0 };
}

async function readFiles(stage: Stage, { files, format, partitions }: SourceFiles): Promise<StagedSource> {
  const { database, directory, name, notices, options } = stage;
  const csv = options.csv ?? {};
  const readable = await readableFiles(files, directory, csv, options.signal);
  notices.push(...readable.notices);
  if (format === "parquet") {
    const table = await describeParquet(database, readable, partitions, options.textColumns ?? []);
    notices.push(...table.notices);
    await database.run(`CREATE VIEW data AS ${table.sql}`, name);
    return { names: table.names, texts: null, skippedRows: 0 };
  }
  const staged = await stageText(database, readable, directory, {
    format,
    onBadRow: options.onBadRow ?? "error",
    csv,
    partitions,
  });
  const { names, skippedRows } = staged;
  notices.push(...staged.notices);
  const { from } = staged;
  let texts: TextColumn[];
  if (format === "json") {
    const decided = await decideJsonTypes(database, from, name, names);
    texts = decided.columns;
    notices.push(...decided.notices);
  } else {
    const kept = options.textColumns ?? [];
    const decider = new TypeDecider(database, from, name, {
      delimiter: staged.delimiter,
      ...(csv.decimal !== undefined && { decimal: csv.decimal }),
      ...(csv.thousands !== undefined && { group: csv.thousands }),
      textColumns:
        format === "criteo" ? [...kept, ...names.filter((column) => column.startsWith("C"))] : kept,
      forms: options.numberForms ?? {},
    });
    texts = await decider.decide(names);
    notices.push(...decider.notices);
  }
  await viewTexts(database, from, texts);
  return { names, texts, from, skippedRows };
}

async function viewStaged(database: Database, path: string, columns: number): Promise<void> {
  const list = positionalNames(columns);
  await database.run(
    `CREATE OR REPLACE VIEW data AS SELECT ${list}, file_row_number AS row FROM read_parquet(${quoteText(path)})`,
    "staged rows",
  );
}

/** The view of a text file: c0, c1, … as decided, t0, t1, … as they stand. */
async function viewTexts(database: Database, from: string, columns: readonly TextColumn[]): Promise<void> {
  const list = [...columns.map(({ sql }, i) => `${sql} AS c${i}`), ...columns.map(({ text }) => text)];
  await database.run(
    `CREATE OR REPLACE VIEW data AS SELECT ${list.join(", ")}, file_row_number AS row FROM ${from}`,
    "staged rows",
  );
}

/** A SELECT of what some columns read of the view that {@link viewTexts} makes. */
function selectTexts(
  from: string,
  texts: readonly TextColumn[],
): (columns: readonly SourceColumn[]) => string {
  return (columns) => {
    const list = namesRead(columns).map((name) =>
      name.startsWith("c") ? `${texts[Number(name.slice(1))]!.sql} AS ${name}` : name,
    );
    return `SELECT ${[...list, "file_row_number AS row"].join(", ")} FROM ${from}`;
  };
}

/** The names in `data` that the SQL of columns reads: `c3`, or `c3` and `t3` of an expression. */
export function namesRead(columns: readonly SourceColumn[]): string[] {
  return [...new Set(columns.flatMap(({ sql }) => sql.match(/\b[ct][0-9]+\b/g) ?? []))];
}
