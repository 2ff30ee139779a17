/**
 * @file What the fields of JSON objects are, decided from all of them: types, the SQL that brings their text to them, and
 * why.
 *
 * JSON says of each value what it is, but not of a field. A field of whole numbers is BIGINT, or HUGEINT beyond 64 bits;
 * of numbers DOUBLE; of strings text, or dates where all strings are dates; lists have the type of their elements. Whole
 * numbers beyond 38 digits, and fields that mix strings with other values, are text as it is written. Objects, and lists
 * of lists or objects, stay JSON.
 */
import type { Database } from "../source/duckdb.ts";
import { TypeDecider, type TextColumn } from "./decideTypes.ts";

/** What kinds of values occur in a field, each a bit. */
const KIND = { string: 1, boolean: 2, integer: 4, long: 8, fraction: 16, object: 32, array: 64 } as const;

const within = (mask: number, kinds: number) => mask !== 0 && (mask & ~kinds) === 0;

/** The kind of a value. @param type SQL of its `json_type` @param text SQL of its text */
function kindSql(type: string, text: string): string {
  return (
    `CASE coalesce(${type}, 'NULL') WHEN 'VARCHAR' THEN ${KIND.string} WHEN 'BOOLEAN' THEN ${KIND.boolean} WHEN 'OBJECT' THEN ${KIND.object} ` +
    `WHEN 'ARRAY' THEN ${KIND.array} WHEN 'NULL' THEN 0 ELSE CASE WHEN NOT regexp_full_match(${text}, '-?[0-9]+') THEN ${KIND.fraction} ` +
    `WHEN TRY_CAST(${text} AS BIGINT) IS NULL THEN ${KIND.long} ELSE ${KIND.integer} END END`
  );
}

/** The type of scalars of these kinds; null where they do not agree. */
function scalarType(mask: number): "BIGINT" | "HUGEINT" | "DOUBLE" | "BOOLEAN" | "VARCHAR" | null {
  if (mask === KIND.integer) return "BIGINT";
  if (within(mask, KIND.integer | KIND.long)) return "HUGEINT";
  if (within(mask, KIND.integer | KIND.long | KIND.fraction)) return "DOUBLE";
  if (mask === KIND.boolean) return "BOOLEAN";
  return mask === KIND.string ? "VARCHAR" : null;
}

/**
 * Decides about the fields of staged objects.
 * @param from the staged file: for each field its text t0, t1, … and its `json_type` k0, k1, …, and `file_row_number`
 * @throws ParetoError DATA_READ, DATA_MEMORY
 */
export async function decideJsonTypes(
  database: Database,
  from: string,
  where: string,
  names: readonly string[],
): Promise<{ columns: TextColumn[]; notices: string[] }> {
  const notices: string[] = [];
  const list = names.map((_, i) => `bit_or(${kindSql(`k${i}`, `t${i}`)}) AS m${i}`);
  const [found] = await database.rows<Record<string, number | null>>(
    `SELECT ${list.join(", ")} FROM ${from}`,
    where,
  );
  const masks = names.map((_, i) => found![`m${i}`] ?? 0);
  const decider = new TypeDecider(database, from, where, {
    delimiter: "",
    datesOnly: true,
    textColumns: names.filter((_, i) => masks[i] !== KIND.string),
    forms: {},
  });
  const columns = await decider.decide(names);
  for (const [i, column] of columns.entries()) {
    const mask = masks[i]!;
    const { text } = column;
    const type = scalarType(mask);
    if (mask === KIND.string || mask === 0) {
      // Unlike in CSV, an empty string or the string "NULL" is there.
      if (column.type === "VARCHAR") column.sql = text;
    } else if (mask === KIND.array) {
      Object.assign(column, await listType(database, from, where, text));
    } else if ((mask & (KIND.array | KIND.object)) !== 0) {
      Object.assign(column, { type: "JSON", sql: `CAST(${text} AS JSON)` });
    } else if (type === null || (type === "HUGEINT" && !(await allCast(database, from, where, text, type)))) {
      column.sql = text;
      column.reason = type === null ? "strings beside other values" : "whole numbers of more than 38 digits";
      notices.push(`Column "${column.name}" is kept as text, exactly as it is written: ${column.reason}.`);
    } else {
      Object.assign(column, { type, sql: `TRY_CAST(${text} AS ${type})` });
    }
  }
  return { columns, notices };
}

async function allCast(
  database: Database,
  from: string,
  where: string,
  text: string,
  type: string,
): Promise<boolean> {
  const [found] = await database.rows<{ bad: number }>(
    `SELECT count_if(${text} IS NOT NULL AND TRY_CAST(${text} AS ${type}) IS NULL) AS bad FROM ${from}`,
    where,
  );
  return found!.bad === 0;
}

/** The type of a list, and the SQL that brings its text to it. */
async function listType(
  database: Database,
  from: string,
  where: string,
  text: string,
): Promise<{ type: string; sql: string }> {
  const elements = `SELECT unnest(from_json(${text}, '["JSON"]')) AS e FROM ${from}`;
  const [found] = await database.rows<{ mask: number | null }>(
    `SELECT bit_or(${kindSql("json_type(e)", "(e ->> '$')")}) AS mask FROM (${elements})`,
    where,
  );
  const mask = found!.mask ?? 0;
  if ((mask & (KIND.array | KIND.object)) !== 0)
    return { type: "JSON[]", sql: `from_json(${text}, '["JSON"]')` };
  const texts = `from_json(${text}, '["VARCHAR"]')`;
  const type = scalarType(mask) ?? "VARCHAR";
  // Longer whole numbers are categories in any case, and text holds them all.
  if (type === "VARCHAR" || type === "HUGEINT") return { type: "VARCHAR[]", sql: texts };
  return { type: `${type}[]`, sql: `CAST(${texts} AS ${type}[])` };
}
