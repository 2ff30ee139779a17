/**
 * @file Opens click logs: Parquet in place; CSV, JSON, Criteo text and the result of a query through one staged Parquet
 * file. Whatever the input, the rest of the data layer sees one view, `data`, with columns c0, c1, … and `row`, the
 * number of the row (file order, then order in the file), which no column of the user's can hide.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ParetoError } from "../../../base/errors.ts";
import { refuseDuplicates } from "./csvHeader.ts";
import { Database } from "./duckdb.ts";
import type { DatabaseOptions } from "./duckdb.ts";
import { firstLine, fileError } from "../../../base/fileErrors.ts";
import { describeParquet } from "./parquetTable.ts";
import { findSourceFiles } from "./sourceFiles.ts";
import type { SourceFormat } from "./sourceFiles.ts";
import { quoteName, quoteText } from "./sqlText.ts";
import { decideJsonTypes } from "../schema/jsonTypes.ts";
import { TypeDecider, type TextColumn } from "../schema/decideTypes.ts";
import type { NumberForm } from "../schema/numberForm.ts";
import { positionalNames, stageToParquet } from "./stageToParquet.ts";

/** What to read, and how. */
export interface SourceOptions extends DatabaseOptions {
  /** Files, folders or globs; the order of rows follows the order given. May be empty when `sql` names its files. */
  paths: readonly string[];
  /** A query over the view `source`, the table of `paths`, or over files directly. */
  sql?: string;
  /** Read as this format, whatever the files' names say. */
  format?: SourceFormat;
  /** What to do with CSV rows of too many or too few fields (default `error`). */
  onBadRow?: "error" | "skip";
  /** Columns of text files to read as text whatever they look like, e.g. {@link Encoder.textColumns}. */
  textColumns?: readonly string[];
  /** Decimal sign of the numbers in text files (default: what each column's values show). */
  decimal?: "." | ",";
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
  readonly #directory: string;

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
    directory: string;
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
    this.#directory = fields.directory;
  }

  /** The column of this name, or null. */
  column(name: string): SourceColumn | null {
    return this.columns.find((column) => column.name === name) ?? null;
  }

  /** Closes the database and removes staged files. */
  async dispose(): Promise<void> {
    this.database.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

/**
 * Opens a source.
 * @throws ParetoError FILE_MISSING, DATA_FILE_EMPTY, DATA_PARQUET_DAMAGED, DATA_CSV_ROW, DATA_CSV_HEADER,
 *   DATA_COLUMN_DUPLICATE, DATA_COLUMNS_DIFFER, DATA_EMPTY, DATA_SQL, DATA_READ, FILE_DISK_FULL, DUCKDB_MISSING
 */
export async function openSource(options: SourceOptions): Promise<Source> {
  const { files, format } = await findSourceFiles(options.paths, options.format);
  if (files.length === 0 && options.sql === undefined) {
    throw new ParetoError({
      code: "FILE_MISSING",
      where: "openSource",
      message: "a source needs at least one file or a query, got none",
      fix: "Name a Parquet, CSV or JSON file.",
    });
  }
  const parent = options.tempDirectory ?? tmpdir();
  let directory: string;
  try {
    await mkdir(parent, { recursive: true });
    directory = await mkdtemp(join(parent, "pareto-source-"));
  } catch (error) {
    throw fileError(error, parent);
  }
  let database: Database | null = null;
  try {
    database = await Database.open(directory, options);
    return await read(database, directory, files, format, options);
  } catch (error) {
    database?.close();
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function read(
  database: Database,
  directory: string,
  files: readonly string[],
  format: SourceFormat,
  options: SourceOptions,
): Promise<Source> {
  const name = options.paths.length > 0 ? options.paths.join(", ") : "query";
  const notices: string[] = [];
  let names: string[] = [];
  let skippedRows = 0;
  let texts: TextColumn[] | null = null;
  if (format === "parquet" && files.length > 0) {
    const table = await describeParquet(database, files);
    names = table.names;
    await database.run(`CREATE VIEW data AS ${table.sql}`, name);
  } else if (files.length > 0) {
    const staged = await stageToParquet(database, files, directory, {
      format,
      onBadRow: options.onBadRow ?? "error",
    });
    names = staged.names;
    skippedRows = staged.skippedRows;
    const from = `read_parquet(${quoteText(staged.path)})`;
    if (format === "json") {
      const decided = await decideJsonTypes(database, from, name, names);
      texts = decided.columns;
      notices.push(...decided.notices);
    } else {
      const kept = options.textColumns ?? [];
      const decider = new TypeDecider(database, from, name, {
        delimiter: staged.delimiter,
        ...(options.decimal !== undefined && { decimal: options.decimal }),
        textColumns:
          format === "criteo" ? [...kept, ...names.filter((column) => column.startsWith("C"))] : kept,
        forms: options.numberForms ?? {},
      });
      texts = await decider.decide(names);
      notices.push(...decider.notices);
    }
    await viewTexts(database, staged.path, texts);
  }
  if (options.sql !== undefined) {
    names = await runQuery(database, directory, names, options.sql);
    texts = null;
  }
  if (skippedRows > 0) notices.push(`${skippedRows} malformed rows were skipped.`);
  const types = await database.rows<{ column_type: string }>("DESCRIBE data", name);
  const columns = names.map((column, i): SourceColumn => {
    const sql = `c${i}`;
    const { form, reason } = texts?.[i] ?? { form: null, reason: "" };
    const written = texts === null ? sql : `t${i}`;
    return { name: column, type: types[i]!.column_type, sql, written, form, reason };
  });
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
  const query = options.sql ?? null;
  return new Source({ name, files, format, query, columns, rows, skippedRows, notices, database, directory });
}

async function viewStaged(database: Database, path: string, columns: number): Promise<void> {
  const list = positionalNames(columns);
  await database.run(
    `CREATE OR REPLACE VIEW data AS SELECT ${list}, file_row_number AS row FROM read_parquet(${quoteText(path)})`,
    "staged rows",
  );
}

/** The view of a text file: c0, c1, … as decided, t0, t1, … as they stand. */
async function viewTexts(database: Database, path: string, columns: readonly TextColumn[]): Promise<void> {
  const list = [...columns.map(({ sql }, i) => `${sql} AS c${i}`), ...columns.map(({ text }) => text)];
  await database.run(
    `CREATE OR REPLACE VIEW data AS SELECT ${list.join(", ")}, file_row_number AS row FROM read_parquet(${quoteText(path)})`,
    "staged rows",
  );
}

/** Runs the user's query once, keeping the order of its result. */
async function runQuery(
  database: Database,
  directory: string,
  names: readonly string[],
  sql: string,
): Promise<string[]> {
  const query = sql.trim().replace(/;\s*$/, "");
  const path = join(directory, "query.parquet");
  try {
    if (names.length > 0) {
      const list = names.map((name, i) => `c${i} AS ${quoteName(name)}`).join(", ");
      await database.run(`CREATE VIEW source AS SELECT ${list} FROM data`, "source");
    }
    const found = await database.columnNames(query, "query");
    refuseDuplicates(found, "query");
    const from = `(${query}\n) AS t(${positionalNames(found.length)})`;
    const types = await database.rows<{ column_type: string }>(`DESCRIBE SELECT * FROM ${from}`, "query");
    // Parquet has no such whole numbers, and DuckDB would write floats instead.
    const list = types.map(({ column_type: type }, i) =>
      /^U?HUGEINT$/.test(type) ? `CAST(c${i} AS DECIMAL(38, 0)) AS c${i}` : `c${i}`,
    );
    await database.run(
      `COPY (SELECT ${list.join(", ")} FROM ${from}) TO ${quoteText(path)} ` +
        "(FORMAT parquet, COMPRESSION snappy)",
      "query",
    );
    await database.run("DROP VIEW IF EXISTS source", "query");
    await viewStaged(database, path, found.length);
    return found;
  } catch (error) {
    if (error instanceof ParetoError && error.code !== "DATA_READ") throw error;
    throw new ParetoError({
      code: "DATA_SQL",
      where: "query",
      message: `the query was refused by DuckDB, got ${error instanceof ParetoError ? firstLine(error.cause) : firstLine(error)}`,
      fix: 'Write a SELECT over the view "source", or over files by their quoted paths.',
      cause: error,
    });
  }
}
