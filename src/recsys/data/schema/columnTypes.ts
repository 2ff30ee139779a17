/**
 * @file What DuckDB's types mean to a CTR model, and the SQL that brings a column to a number or to a categorical value.
 * Pure text; all expressions are over the view `data` of a source.
 */
import type { SourceColumn } from "../source/source.ts";
import { missingNumberSql, plainNumberSql } from "./valueClass.ts";

/** Kinds of columns. `other`: structs, maps, JSON, nested lists, blobs, times of day. */
export type ColumnKind = "integer" | "real" | "boolean" | "text" | "time" | "list" | "other";

const VALUES_OF_64_BITS = /^U?(TINYINT|SMALLINT|INTEGER|BIGINT)$/;
const INTEGERS = /^(U?TINYINT|U?SMALLINT|U?INTEGER|U?BIGINT|U?HUGEINT)$/;

function scalarKind(type: string): ColumnKind {
  if (INTEGERS.test(type) || /^DECIMAL\(\d+,0\)$/.test(type)) return "integer";
  if (/^(FLOAT|DOUBLE|DECIMAL)/.test(type)) return "real";
  if (type === "BOOLEAN") return "boolean";
  if (/^(VARCHAR|UUID|ENUM)/.test(type)) return "text";
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
  if (kind === "integer" && VALUES_OF_64_BITS.test(column.type)) return `CAST(${column.sql} AS DOUBLE)`;
  const value =
    kind === "time"
      ? `epoch(${column.sql})`
      : kind === "boolean"
        ? `CAST(CAST(${column.sql} AS INTEGER) AS DOUBLE)`
        : kind === "text"
          ? plainNumberSql(`CAST(${column.sql} AS VARCHAR)`)
          : `TRY_CAST(${column.sql} AS DOUBLE)`;
  return `CASE WHEN abs(${value}) <= ${FLOAT_MAX} THEN ${value} END`;
}

/** Whether a value is there and is no number, nor an infinity or NaN, nor a mark of absence such as `NA`. */
export function notNumberSql(column: SourceColumn): string {
  const kind = columnKind(column.type);
  if (kind === "other" || kind === "list") return `${column.sql} IS NOT NULL`;
  if (kind !== "text") return "false";
  const text = `CAST(${column.sql} AS VARCHAR)`;
  return `(NOT ${missingNumberSql(text)} AND ${plainNumberSql(text)} IS NULL)`;
}

/**
 * The column whose values are the categories: numbers and times that a text file holds are categories as they are
 * written, so `1.50` and `1.5` differ.
 */
export function categoricalColumn(column: SourceColumn): SourceColumn {
  const kind = columnKind(column.type);
  const isAsWritten = kind === "integer" || kind === "boolean" || kind === "text" || kind === "list";
  if (column.written === column.sql || isAsWritten) return column;
  return {
    ...column,
    type: "VARCHAR",
    sql: `CASE WHEN ${column.sql} IS NOT NULL THEN ${column.written} END`,
  };
}

/** How a vocabulary stores its values. */
export type ValueType = "BIGINT" | "VARCHAR";

/** What the values of a categorical column were in training; decides how values of another column are compared with them. */
export type CategoryKind = "integer" | "real" | "boolean" | "text" | "time";

/** The kind of a categorical column's values, of its elements for a list. */
export function categoryKind(type: string): CategoryKind {
  const kind = scalarKind(elementType(type) ?? type);
  return kind === "other" || kind === "list" ? "text" : kind;
}

/** The value type of a categorical column: whole numbers as BIGINT, all else as text. */
export function valueTypeOf(type: string): ValueType {
  return /^(U?(TINYINT|SMALLINT|INTEGER)|BIGINT)$/.test(elementType(type) ?? type) ? "BIGINT" : "VARCHAR";
}

/** The whole number that a float or decimal is, as BIGINT; NULL where it is none, or so large that floats are rounded. */
function wholeSql(sql: string): string {
  return `CASE WHEN abs(${sql}) <= ${2 ** 53} AND ${sql} = trunc(${sql}) THEN TRY_CAST(${sql} AS BIGINT) END`;
}

/** The whole number that a text is: `12`, `-3`, `12.0`; NULL for `012`, `+12`, `1e1`. */
function wholeTextSql(sql: string): string {
  const whole = `regexp_extract(trim(${sql}, ' \t'), '^(-?[1-9][0-9]*|0)(?:[.]0+)?$', 1)`;
  return `TRY_CAST(nullif(${whole}, '') AS BIGINT)`;
}

/**
 * A categorical value as a vocabulary of kind `wanted` holds it; NULL where missing or not of that kind.
 * @param sql an expression of DuckDB type `type`, a scalar
 */
export function valueSql(
  sql: string,
  type: string,
  wanted: { kind: CategoryKind; valueType: ValueType },
): string {
  const kind = scalarKind(type);
  const text = type === "VARCHAR" ? sql : `CAST(${sql} AS VARCHAR)`;
  if (wanted.valueType === "BIGINT") {
    if (kind === "real") return wholeSql(sql);
    return kind === "text" ? wholeTextSql(text) : `TRY_CAST(${sql} AS BIGINT)`;
  }
  if (kind === wanted.kind) return text;
  if (wanted.kind === "integer" && kind === "real") return `CAST(${wholeSql(sql)} AS VARCHAR)`;
  if (wanted.kind === "real" && kind === "integer") return `CAST(CAST(${sql} AS DOUBLE) AS VARCHAR)`;
  if (wanted.kind === "real" && kind === "text") return `CAST(${plainNumberSql(text)} AS VARCHAR)`;
  if (wanted.kind === "boolean") {
    return `CASE WHEN lower(trim(${text})) IN ('true', '1', '1.0') THEN 'true' WHEN lower(trim(${text})) IN ('false', '0', '0.0') THEN 'false' END`;
  }
  return text;
}
