/**
 * @file What DuckDB's types mean to a CTR model, and the SQL that brings a column to a number or to a categorical value.
 * Pure text; all expressions are over the view `data` of a source.
 */
import type { SourceColumn } from "../source/source.ts";

/** Kinds of columns. `other`: structs, maps, nested lists, blobs, times of day. */
export type ColumnKind = "integer" | "real" | "boolean" | "text" | "time" | "list" | "other";

const INTEGERS = /^(U?TINYINT|U?SMALLINT|U?INTEGER|U?BIGINT|U?HUGEINT)$/;

function scalarKind(type: string): ColumnKind {
  if (INTEGERS.test(type)) return "integer";
  if (/^(FLOAT|DOUBLE|DECIMAL)/.test(type)) return "real";
  if (type === "BOOLEAN") return "boolean";
  if (/^(VARCHAR|UUID|ENUM|JSON)/.test(type)) return "text";
  if (/^(DATE|TIMESTAMP)/.test(type)) return "time";
  return "other";
}

/** The type of a list's elements, or null for other types. `INTEGER[]` and `INTEGER[3]` both hold INTEGER. */
export function elementType(type: string): string | null {
  return /\[\d*\]$/.test(type) && !type.startsWith("ENUM(") ? type.replace(/\[\d*\]$/, "") : null;
}

/** The kind of a DuckDB type. */
export function columnKind(type: string): ColumnKind {
  const element = elementType(type);
  if (element === null) return scalarKind(type);
  const kind = elementType(element) === null ? scalarKind(element) : "other";
  return kind === "other" ? "other" : "list";
}

/** The largest finite 32-bit float: beyond it a value counts as infinite. */
const FLOAT_MAX = "3.4028234e38";

/** A DOUBLE, NULL where missing, NaN, infinite or not a number. Times become seconds since 1970. */
export function numberSql(column: SourceColumn): string {
  const kind = columnKind(column.type);
  if (kind === "integer" && !column.type.endsWith("HUGEINT")) return `CAST(${column.sql} AS DOUBLE)`;
  const value =
    kind === "time"
      ? `epoch(CAST(${column.sql} AS TIMESTAMP))`
      : kind === "boolean"
        ? `CAST(CAST(${column.sql} AS INTEGER) AS DOUBLE)`
        : `TRY_CAST(${column.sql} AS DOUBLE)`;
  return `CASE WHEN abs(${value}) <= ${FLOAT_MAX} THEN ${value} END`;
}

/** How a vocabulary stores its values. */
export type ValueType = "BIGINT" | "VARCHAR";

/** The value type of a categorical column: whole numbers as BIGINT, all else as text. */
export function valueTypeOf(type: string): ValueType {
  const scalar = elementType(type) ?? type;
  return INTEGERS.test(scalar) && !/^(UBIGINT|U?HUGEINT)$/.test(scalar) ? "BIGINT" : "VARCHAR";
}

/**
 * A categorical value of type `wanted`, NULL where missing or of another kind.
 * @param sql an expression of DuckDB type `type`, a scalar
 */
export function valueSql(sql: string, type: string, wanted: ValueType): string {
  if (wanted === "VARCHAR") return type === "VARCHAR" ? sql : `CAST(${sql} AS VARCHAR)`;
  if (scalarKind(type) === "real")
    return `CASE WHEN ${sql} = trunc(${sql}) THEN TRY_CAST(${sql} AS BIGINT) END`;
  return valueTypeOf(type) === "BIGINT" ? `CAST(${sql} AS BIGINT)` : `TRY_CAST(${sql} AS BIGINT)`;
}
