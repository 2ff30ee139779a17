/** @file The result of a query as a staged Parquet file, its rows in the order of the result. */
import { join } from "node:path";
import { ParetoError } from "../../../base/errors.ts";
import { firstLine } from "../../../base/fileErrors.ts";
import { refuseDuplicates } from "./csvHeader.ts";
import type { Database } from "./duckdb.ts";
import { quoteText } from "./sqlText.ts";
import { positionalNames } from "./stageText.ts";

/** A staged result: columns c0, c1, … */
export interface QueryTable {
  path: string;
  names: string[];
}

/**
 * Runs a query once.
 * @param where named by an error: `query`, or the file that it reads
 * @throws ParetoError DATA_SQL, DATA_COLUMN_DUPLICATE, DATA_EXTENSION, DATA_MEMORY, FILE_DISK_FULL
 */
export async function stageQuery(
  database: Database,
  directory: string,
  sql: string,
  where: string,
): Promise<QueryTable> {
  const query = sql.trim().replace(/;\s*$/, "");
  const path = join(directory, "query.parquet");
  try {
    const names = await database.columnNames(query, where);
    refuseDuplicates(names, where);
    const from = `(${query}\n) AS t(${positionalNames(names.length)})`;
    const types = await database.rows<{ column_type: string }>(`DESCRIBE SELECT * FROM ${from}`, where);
    // Parquet has no such whole numbers, and DuckDB would write floats instead.
    const list = types.map(({ column_type: type }, i) =>
      /^U?HUGEINT$/.test(type) ? `CAST(c${i} AS DECIMAL(38, 0)) AS c${i}` : `c${i}`,
    );
    await database.run(
      `COPY (SELECT ${list.join(", ")} FROM ${from}) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION snappy)`,
      where,
    );
    return { path, names };
  } catch (error) {
    if (!(error instanceof ParetoError) || error.code !== "DATA_READ") throw error;
    throw new ParetoError({
      code: "DATA_SQL",
      where,
      message: `the query was refused by DuckDB, got ${firstLine(error.cause)}`,
      fix: 'Write a SELECT over the view "source", over the tables of a database, or over files by their quoted paths.',
      cause: error,
    });
  }
}
