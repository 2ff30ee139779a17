/**
 * @file The tables of a database in a file: DuckDB's own, and SQLite's where DuckDB's extension for it is installed.
 *
 * The file is opened for reading only, and closed as soon as what is wanted of it is staged.
 */
import { basename } from "node:path";
import { ParetoError } from "../../../base/errors.ts";
import type { Database } from "./duckdb.ts";
import { quoteName, quoteText } from "./sqlText.ts";

/** An attached database. */
export interface DatabaseFile {
  /** A SELECT of all of its only table; null where it has several. */
  onlyTable: string | null;
  /** Its tables, as a query names them. */
  tables: string[];
  /** Closes the file. */
  detach(): Promise<void>;
}

/** A name that queries may use: that of the file, as DuckDB's own shell does. */
function aliasOf(path: string): string {
  const stem = basename(path).replace(/\.[^.]*$/, "");
  return /^[a-z_]\w*$/i.test(stem) && !/^(memory|main|temp|system|source|data)$/i.test(stem) ? stem : "file";
}

/**
 * Opens a database beside the one in memory, so that queries find its tables by their names.
 * @throws ParetoError DATA_EXTENSION, DATA_LOCKED, DATA_READ; DATA_EMPTY for one without tables
 */
export async function attachDatabase(
  database: Database,
  path: string,
  format: "duckdb" | "sqlite",
): Promise<DatabaseFile> {
  const alias = aliasOf(path);
  const type = format === "sqlite" ? ", TYPE sqlite" : "";
  await database.run(`ATTACH ${quoteText(path)} AS ${quoteName(alias)} (READ_ONLY${type})`, path);
  await database.run(`USE ${quoteName(alias)}`, path);
  const found = await database.rows<{ schema: string; name: string }>(
    `SELECT schema_name AS schema, table_name AS name FROM duckdb_tables() WHERE database_name = ${quoteText(alias)} AND NOT internal ` +
      `UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = ${quoteText(alias)} AND NOT internal ORDER BY ALL`,
    path,
  );
  const tables = found.map(({ schema, name }) =>
    schema === "main" ? shownName(name) : `${shownName(schema)}.${shownName(name)}`,
  );
  if (found.length === 0) {
    throw new ParetoError({
      code: "DATA_EMPTY",
      where: path,
      message: "a database is read by its tables, got one without any",
      fix: "Check the path; an empty database may have been made by a program that was given a wrong one.",
    });
  }
  const [only] = found;
  return {
    onlyTable:
      found.length === 1
        ? `SELECT * FROM ${quoteName(alias)}.${quoteName(only!.schema)}.${quoteName(only!.name)}`
        : null,
    tables,
    detach: async () => {
      await database.run("USE memory", path);
      await database.run(`DETACH ${quoteName(alias)}`, path);
    },
  };
}

const shownName = (name: string) => (/^[a-z_]\w*$/i.test(name) ? name : quoteName(name));

/** The error of a database with several tables of which none is named, code `DATA_TABLES`. */
export function severalTables(path: string, tables: readonly string[]): ParetoError {
  const shown = tables.length > 20 ? [...tables.slice(0, 20), "…"] : tables;
  return new ParetoError({
    code: "DATA_TABLES",
    where: path,
    message: `one of the database's ${tables.length} tables must be named, got ${shown.join(", ")}`,
    fix: `Say which by a query: --sql "SELECT * FROM ${tables[0]!.replaceAll('"', '\\"')}"`,
  });
}
