/**
 * @file Whether the categories of new rows are those of training: what is said when a column's values match none, or
 * would match but for the way they are written (`1` for `01`, `1.0` for `1`).
 *
 * A few values that are new to a model are no news. Columns that are hashed have no vocabulary to compare with.
 */
import { categoryKind } from "../schema/columnTypes.ts";
import { plainNumberSql } from "../schema/valueClass.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import { quoteText } from "../source/sqlText.ts";
import { fieldValueSql } from "./vocabulary.ts";
import type { EncodedField } from "./vocabulary.ts";

/**
 * A value as a number where it is one that a float tells from all others, else in lower case without blanks: equal for
 * values that differ in writing only. Codes such as `59e16348` are no numbers here.
 */
function meaningSql(text: string): string {
  const isShort = `regexp_full_match(trim(${text}, ' \t'), '[+-]?[0-9]{0,15}[.]?[0-9]{0,6}')`;
  return `coalesce(CASE WHEN ${isShort} THEN CAST(${plainNumberSql(text)} AS VARCHAR) END, lower(trim(${text})))`;
}

/** What to say about the values of one field in a source, or null. @param path its vocabulary */
export async function categoryNotice(
  source: Source,
  column: SourceColumn,
  field: EncodedField,
  path: string,
): Promise<string | null> {
  if (field.encoding === "hash" || field.multiHot) return null;
  const vocabulary = `read_parquet(${quoteText(path)})`;
  const values =
    `SELECT ${fieldValueSql(column, field)} AS value, CAST(${column.written} AS VARCHAR) AS written, count(*) AS rows, ` +
    `min(row) AS row FROM data WHERE ${column.sql} IS NOT NULL GROUP BY ALL`;
  const known = `SELECT ${meaningSql("CAST(value AS VARCHAR)")} AS meaning FROM ${vocabulary}`;
  const [found] = await source.database.rows<{
    present: number | null;
    unknown: number | null;
    alike: number | null;
    first: number | null;
    value: string | null;
  }>(
    `SELECT sum(rows)::BIGINT AS present, (sum(rows) FILTER (unknown))::BIGINT AS unknown, (sum(rows) FILTER (alike))::BIGINT AS alike, ` +
      `min(row) FILTER (alike OR (unknown AND NOT any_alike)) AS first, arg_min(written, row) FILTER (alike OR (unknown AND NOT any_alike)) AS value ` +
      `FROM (SELECT *, bool_or(alike) OVER () AS any_alike FROM (SELECT rows, row, written, v.value IS NULL OR w.value IS NULL AS unknown, ` +
      `(v.value IS NULL OR w.value IS NULL) AND ${meaningSql("written")} IN (${known}) AS alike ` +
      `FROM (${values}) AS v LEFT JOIN ${vocabulary} AS w ON v.value = w.value))`,
    source.name,
  );
  const present = found!.present ?? 0;
  const unknown = found!.unknown ?? 0;
  const alike = found!.alike ?? 0;
  if (unknown === 0) return null;
  const first = `the first in row ${found!.first! + 1}: ${JSON.stringify(found!.value)}`;
  const kind = categoryKind(column.type);
  const changed = kind === field.kind ? "" : ` (${WORDS[field.kind]} in training, ${WORDS[kind]} here)`;
  const name = `column "${field.name}"${changed}`;
  if (alike > 0) {
    return `${alike} of ${present} values of ${name} differ only in the way they are written from categories of training, and count as unknown; ${first}.`;
  }
  if (unknown === present)
    return `None of the ${present} values of ${name} is a category of training; ${first}.`;
  return changed === ""
    ? null
    : `${unknown} of ${present} values of ${name} are no categories of training; ${first}.`;
}

const WORDS = {
  integer: "whole numbers",
  real: "fractional numbers",
  boolean: "true and false",
  text: "text",
  time: "dates",
} as const;
