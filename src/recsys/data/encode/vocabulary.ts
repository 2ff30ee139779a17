/**
 * @file From categorical values to ids: vocabularies of the training part, kept as Parquet files, or hashing.
 *
 * A vocabulary gives id 0 to what is unknown or missing, then 1, 2, … by falling count in the training part, ties by
 * value (numbers by size, text by bytes); values seen fewer than `minCount` times stay unknown. DuckDB builds it, spilling
 * to disk. Hashing gives id 0 to what is missing and 1 + md5(text) mod (buckets − 1) to the rest, md5's low 64 bits, so it is equal
 * on every machine and version.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { CategoricalField } from "../batches/clickBatch.ts";
import { categoryKind, elementType, valueSql, valueTypeOf } from "../schema/columnTypes.ts";
import type { CategoryKind, ValueType } from "../schema/columnTypes.ts";
import { findSalt, type Salt } from "./categoryKeys.ts";
import { namesRead, type Source, type SourceColumn } from "../source/source.ts";
import type { Split } from "./split.ts";
import { quoteText } from "../source/sqlText.ts";

/** A categorical field and what is needed to encode it. */
export interface EncodedField extends CategoricalField {
  /** What its values were in training. */
  kind: CategoryKind;
  /** How values are compared; a column of another type is converted. */
  valueType: ValueType;
}

/** The scalar value of a field in a scan of `data`; a list's elements are in a column `v` of an unnesting scan. */
export function fieldValueSql(column: SourceColumn, field: Pick<EncodedField, "kind" | "valueType">): string {
  const element = elementType(column.type);
  return element === null ? valueSql(column.sql, column.type, field) : valueSql("v", element, field);
}

/** The id of a value under hashing. */
export function hashSql(value: string, buckets: number): string {
  return (
    `CASE WHEN ${value} IS NULL THEN 0 ELSE ` +
    `1 + CAST(md5_number_lower(CAST(${value} AS VARCHAR)) % ${Math.max(1, buckets - 1)} AS INTEGER) END`
  );
}

/** The values of a field, a column `value`, FROM rows; of lists, their elements. @param carried a further column, or "" */
export function fieldValues(
  column: SourceColumn,
  field: Pick<EncodedField, "kind" | "valueType">,
  from: string,
  carried = "",
): string {
  const table =
    elementType(column.type) === null ? from : `(SELECT unnest(${column.sql}) AS v${carried} FROM ${from})`;
  return `SELECT ${fieldValueSql(column, field)} AS value${carried} FROM ${table}`;
}

/** A vocabulary, and what its values are looked up by in the source that it was built of. */
export interface BuiltVocabulary {
  field: EncodedField;
  salt: Salt;
}

/**
 * Builds the vocabulary of a column in the file `path`.
 * @param connection of the caller alone: it gets a temporary table
 * @throws ParetoError FILE_DISK_FULL, DATA_MEMORY, DATA_READ
 */
export async function buildVocabulary(
  { database }: Pick<Source, "database">,
  split: Split,
  column: SourceColumn,
  minCount: number,
  path: string,
  connection: DuckDBConnection,
): Promise<BuiltVocabulary> {
  const where = `vocabulary of "${column.name}"`;
  const valueType = valueTypeOf(column.type);
  const kind = categoryKind(column.type);
  // Values of the other parts count 0 times; they are there so that their keys are known to differ from all others.
  const read = namesRead([column]).join(", ");
  const from = `(SELECT ${read}, ${split.trainSql} AS trains FROM ${split.from([column])})`;
  const values = fieldValues(column, { kind, valueType }, from, ", trains");
  await database.run(
    `CREATE OR REPLACE TEMP TABLE counted AS SELECT value, CAST(count_if(trains) AS BIGINT) AS count FROM (${values}) GROUP BY value`,
    where,
    connection,
  );
  const { salt } = await findSalt(database, "counted", valueType, where, connection);
  const kept = `value IS NOT NULL AND count >= ${Math.max(1, minCount)}`;
  const sorted = `(SELECT value, count FROM counted WHERE ${kept} ORDER BY count DESC, value)`;
  await database.run(
    `COPY (SELECT value, count, CAST(row_number() OVER () AS INTEGER) AS id FROM ${sorted}) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION snappy)`,
    where,
    connection,
  );
  const [size] = await database.rows<{ values: number }>(
    `SELECT count(*) AS values FROM counted WHERE ${kept}`,
    where,
    connection,
  );
  await database.run("DROP TABLE counted", where, connection);
  const field: EncodedField = {
    name: column.name,
    encoding: "vocabulary",
    cardinality: size!.values + 1,
    multiHot: elementType(column.type) !== null,
    kind,
    valueType,
  };
  return { field, salt };
}
