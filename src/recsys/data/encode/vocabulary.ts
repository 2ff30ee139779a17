/**
 * @file From categorical values to ids: vocabularies of the training part, kept as Parquet files, or hashing.
 *
 * A vocabulary gives id 0 to what is unknown or missing, then 1, 2, … by falling count in the training part, ties by
 * value (numbers by size, text by bytes); values seen fewer than `minCount` times stay unknown. DuckDB builds it, spilling
 * to disk. Hashing gives id 0 to what is missing and 1 + md5(text) mod (buckets − 1) to the rest, md5's low 64 bits, so it is equal
 * on every machine and version.
 */
import type { CategoricalField } from "../batches/clickBatch.ts";
import { categoryKind, elementType, valueSql, valueTypeOf } from "../schema/columnTypes.ts";
import type { CategoryKind, ValueType } from "../schema/columnTypes.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import type { Split } from "./split.ts";
import { quoteText } from "../source/sqlText.ts";

/** A categorical field and what is needed to encode it. */
export interface EncodedField extends CategoricalField {
  /** What its values were in training. */
  kind: CategoryKind;
  /** How values are compared; a column of another type is converted. */
  valueType: ValueType;
  /** Bytes that the vocabulary needs in memory while it is joined, about; 0 under hashing. */
  joinBytes: number;
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

/** Builds the vocabulary of a column in the file `path`. @throws ParetoError FILE_DISK_FULL, DATA_MEMORY, DATA_READ */
export async function buildVocabulary(
  source: Source,
  split: Split,
  column: SourceColumn,
  minCount: number,
  path: string,
): Promise<EncodedField> {
  const valueType = valueTypeOf(column.type);
  const kind = categoryKind(column.type);
  const multiHot = elementType(column.type) !== null;
  const from = multiHot
    ? `(SELECT unnest(${column.sql}) AS v FROM ${split.from([column])} WHERE ${split.trainSql})`
    : `${split.from([column])} WHERE ${split.trainSql}`;
  const counted =
    `SELECT value, count(*) AS count FROM (SELECT ${fieldValueSql(column, { kind, valueType })} AS value FROM ${from}) ` +
    `WHERE value IS NOT NULL GROUP BY value HAVING count(*) >= ${minCount}`;
  await source.database.run(
    `COPY (SELECT value, count, CAST(row_number() OVER (ORDER BY count DESC, value) AS INTEGER) AS id ` +
      `FROM (${counted}) ORDER BY id) TO ${quoteText(path)} (FORMAT parquet, COMPRESSION snappy)`,
    `vocabulary of "${column.name}"`,
  );
  const length = valueType === "VARCHAR" ? "avg(strlen(value))" : "0";
  const [size] = await source.database.rows<{ values: number; length: number | null }>(
    `SELECT count(*) AS values, ${length} AS length FROM read_parquet(${quoteText(path)})`,
    `vocabulary of "${column.name}"`,
  );
  return {
    name: column.name,
    encoding: "vocabulary",
    cardinality: size!.values + 1,
    multiHot,
    kind,
    valueType,
    // A joined row holds value, id, hash and links, and a slot or two of the hash table.
    joinBytes: Math.ceil(size!.values * (64 + Number(size!.length ?? 0))),
  };
}
