/**
 * @file Writes predictions: the columns of a source and one more, `probability`, in the order of the source.
 *
 * A text file's values are written as they stand in it: in CSV always, in Parquet and NDJSON as numbers, dates or booleans
 * in those columns where that is the same text in every row.
 *
 * Parquet, CSV (`.csv`, `.tsv`, also `.gz`) or NDJSON (`.ndjson`, `.jsonl`, `.json`) by the file's ending. The file appears
 * whole or not at all: it is written beside its place and renamed.
 */
import { rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { makeFolder } from "../../../base/makeFolder.ts";
import { ParetoError } from "../../../base/errors.ts";
import { wrapDuckdbError } from "../source/duckdbErrors.ts";
import { fileError } from "../../../base/fileErrors.ts";
import { holdTemporary } from "../../../base/temporaryPaths.ts";
import { aggregateColumns } from "../schema/numericColumns.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import { quoteName, quoteText } from "../source/sqlText.ts";

/** Name of the column that predictions add. */
const PROBABILITY = "probability";

function copyOptions(path: string): string {
  const name = path.toLowerCase();
  const plain = name.replace(/\.gz$/, "");
  const packed = plain === name ? "" : ", COMPRESSION gzip";
  if (name.endsWith(".parquet")) return "FORMAT parquet";
  if (plain.endsWith(".csv")) return `FORMAT csv, HEADER${packed}`;
  if (plain.endsWith(".tsv")) return `FORMAT csv, HEADER, DELIMITER '\t'${packed}`;
  if (/\.(ndjson|jsonl|json)$/.test(plain)) return `FORMAT json${packed}`;
  throw new ParetoError({
    code: "DATA_OUTPUT_FORMAT",
    where: path,
    message: `the ending of the output file must name a known format, got ${path}`,
    fix: "Name it .parquet, .csv, .tsv, .ndjson, or .csv.gz and the like.",
  });
}

/** Refuses a file of no known format before anything is predicted. @throws ParetoError DATA_OUTPUT_FORMAT */
export function requirePredictionFormat(path: string): void {
  copyOptions(path);
}

/** The columns of `data` that say what stands in the source. */
async function writtenColumns(source: Source, options: string): Promise<string[]> {
  const { columns, format, query } = source;
  if (options.startsWith("FORMAT csv")) return columns.map(({ written }) => written);
  const kept = new Set(columns.map(({ sql }) => sql));
  const doubtful: SourceColumn[] = [];
  for (const column of columns) {
    const { sql, written, type } = column;
    // JSON has lists, objects and numbers of its own. Parquet has no HUGEINT.
    const same = /\]$|^JSON$/.test(type) || (format === "json" && query === null && type === "DOUBLE");
    if (sql === written || same) continue;
    if (type === "VARCHAR" || (type === "HUGEINT" && options.startsWith("FORMAT parquet"))) kept.delete(sql);
    else doubtful.push(column);
  }
  const found = await aggregateColumns(source, doubtful, {
    of: ({ sql, written }) => [`count_if(CAST(${sql} AS VARCHAR) IS DISTINCT FROM ${written}) AS ${sql}`],
    from: () => "data",
  });
  for (const { sql } of doubtful) if (found[sql] !== 0) kept.delete(sql);
  return columns.map(({ sql, written }) => (kept.has(sql) ? sql : written));
}

/** Refuses a source that has a column of the name that predictions get. @throws ParetoError DATA_COLUMN_DUPLICATE */
function refuseProbabilityColumn(source: Source): void {
  if (source.column(PROBABILITY) === null) return;
  const name = `${PROBABILITY}_before`;
  throw new ParetoError({
    code: "DATA_COLUMN_DUPLICATE",
    where: source.name,
    message: `predictions add a column that the source already has, got "${PROBABILITY}"`,
    fix: `Rename the source's column with a query: --sql 'SELECT * RENAME (${PROBABILITY} AS ${name}) FROM source'.`,
  });
}

/**
 * Writes a source with its probabilities.
 * @param probabilities one for each row of the source, in its order, in pieces of any length
 * @returns rows written
 * @throws ParetoError DATA_OUTPUT_FORMAT, DATA_COLUMN_DUPLICATE, DATA_PREDICTION_COUNT, FILE_DISK_FULL, FILE_REFUSED
 */
export async function writePredictions(
  source: Source,
  probabilities: AsyncIterable<Float32Array>,
  path: string,
): Promise<number> {
  const options = copyOptions(path);
  refuseProbabilityColumn(source);
  const partial = `${path}.partial`;
  const release = holdTemporary(partial);
  const table = `predictions_${process.hrtime.bigint()}`;
  try {
    await makeFolder(dirname(path));
    await source.database.run(`CREATE TABLE ${table} (p FLOAT)`, path);
    const written = await source.database.appendFloats(table, probabilities, path);
    if (written !== source.rows) {
      throw new ParetoError({
        code: "DATA_PREDICTION_COUNT",
        where: path,
        message: `there must be one probability for each of the ${source.rows} rows, got ${written}`,
        fix: "Predict the same source that is written.",
      });
    }
    const sqlOf = await writtenColumns(source, options);
    const columns = source.columns.map(({ name }, i) => `d.${sqlOf[i]!} AS ${quoteName(name)}`).join(", ");
    await source.database.run(
      `COPY (SELECT ${columns}, p.p AS ${PROBABILITY} FROM data AS d JOIN ${table} AS p ON d.row = p.rowid ` +
        `ORDER BY d.row) TO ${quoteText(partial)} (${options})`,
      path,
    );
    await rename(partial, path);
    return written;
  } catch (error) {
    await rm(partial, { force: true });
    source.database.signal?.throwIfAborted();
    if (error instanceof ParetoError) throw error;
    throw error instanceof Error && "code" in error ? fileError(error, path) : wrapDuckdbError(error, path);
  } finally {
    release();
    if (!source.database.signal?.aborted) await source.database.run(`DROP TABLE IF EXISTS ${table}`, path);
  }
}
