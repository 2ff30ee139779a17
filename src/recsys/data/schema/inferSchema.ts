/**
 * @file What each column of a source is to the model: label, time, dense, categorical or ignored.
 *
 * The rules, after the user's own lists, which win:
 * 1. floats and decimals → dense;
 * 2. text, booleans, enums, UUIDs → categorical; lists of such or of integers → categorical, multi-hot; lists of floats or
 *    decimals → dense, an input for each element;
 * 3. integers → categorical when they go beyond 2^53, when the name speaks of an identifier (a part of it is id, ids, uid, guid, uuid, key, code,
 *    hash, type, category, cat, class, group, zip, or the name is C and a number), or when at most 32 distinct
 *    values occur, each 20 times or more on average; else dense, with a
 *    notice where {@link integerDoubts} says that they may be codes;
 * 4. dates and timestamps other than the time column, structs, maps, nested lists and blobs → ignored, with a notice;
 * 5. a column without any value → ignored, with a notice.
 * Criteo's format has the roles of its own: label, I1…I13 dense, C1…C26 categorical.
 */
import { ParetoError } from "../../../base/errors.ts";
import { columnKind, elementType, numberSql } from "./columnTypes.ts";
import { AMBIGUOUS_DATES } from "./shortDates.ts";
import { integerDoubts, type IntegerColumn } from "./integerDoubts.ts";
import { findLabel } from "./label.ts";
import { aggregateColumns, checkNumeric, nonFiniteNotice } from "./numericColumns.ts";
import { refuseDuplicates } from "../source/csvHeader.ts";
import { checkVector, isNumberList, isVectorType, vectorElements } from "./vectors.ts";
import { suggestColumn } from "./suggestColumn.ts";
import { ROW_INDEX } from "../source/rowIndex.ts";
import type { Source, SourceColumn } from "../source/source.ts";

/** What a column is to the model. */
export type ColumnRole = "label" | "time" | "dense" | "categorical" | "ignored";

/** Roles that the user gives. */
export interface RoleOptions {
  /** May be absent only for Criteo's format, where it is `label`. */
  label?: string;
  time?: string;
  dense?: readonly string[];
  categorical?: readonly string[];
  ignore?: readonly string[];
}

/** A column, as inferred; fit to be printed. */
export interface ColumnDescription {
  name: string;
  /** DuckDB's type. */
  type: string;
  role: ColumnRole;
  multiHot: boolean;
  /** Numbers of its vectors, for a dense column of lists; else 0. */
  elements: number;
  /** Distinct values, about (HyperLogLog, within some per cent). */
  distinct: number;
  /** Rows without a usable value: missing, NaN or infinite. */
  missing: number;
  /** Rows whose number is NaN or infinite. */
  nonFinite: number;
  /** Why it has its role. */
  reason: string;
}

/** The roles of all columns of a source. */
export interface InferredRoles {
  label: string;
  time: string | null;
  columns: ColumnDescription[];
  notices: string[];
}

const ID_WORDS = new Set("id ids uid guid uuid key code hash type category cat class group zip".split(" "));

function looksLikeId(name: string): boolean {
  if (/^C\d+$/.test(name)) return true;
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  return words.some((word) => ID_WORDS.has(word.replace(/\d+$/, "")));
}

interface Profile {
  present: number;
  nonFinite: number;
  distinct: number;
  /** Smallest and largest, of whole numbers. */
  least: number;
  most: number;
}

async function profileColumns(source: Source): Promise<Profile[]> {
  const found = await aggregateColumns(source, source.columns, {
    values: (column, i) => [
      `${column.sql} AS c${i}`,
      `${columnKind(column.type) === "real" ? numberSql(column) : column.sql} AS v${i}`,
    ],
    of: (column, i) => {
      const kind = columnKind(column.type);
      return [
        `count(v${i}) AS present${i}`,
        `${elementType(column.type) === null ? `approx_count_distinct(v${i})` : "0"} AS distinct${i}`,
        ...(kind === "real" ? [`count(c${i}) - count(v${i}) AS odd${i}`] : []),
        ...(kind === "integer"
          ? [`CAST(min(v${i}) AS DOUBLE) AS least${i}`, `CAST(max(v${i}) AS DOUBLE) AS most${i}`]
          : []),
      ];
    },
  });
  const profiles = source.columns.map((_, i) => ({
    present: Number(found[`present${i}`]),
    nonFinite: Number(found[`odd${i}`] ?? 0),
    distinct: Number(found[`distinct${i}`]),
    least: Number(found[`least${i}`] ?? 0),
    most: Number(found[`most${i}`] ?? 0),
  }));
  for (const [i, column] of source.columns.entries()) {
    if (columnKind(column.type) !== "list") continue;
    const [list] = await source.database.rows<{ distinct: number }>(
      `SELECT approx_count_distinct(v) AS distinct FROM (SELECT unnest(${column.sql}) AS v FROM data)`,
      source.name,
    );
    profiles[i]!.distinct = list!.distinct;
  }
  return profiles;
}

function checkNames(source: Source, options: RoleOptions): void {
  const names = new Set(source.columns.map((column) => column.name));
  const claimed = new Map<string, string>();
  for (const list of ["dense", "categorical", "ignore"] as const) {
    for (const name of options[list] ?? []) {
      if (!names.has(name)) {
        throw new ParetoError({
          code: "DATA_COLUMN_UNKNOWN",
          where: list,
          message: `there is no column of this name, got "${name}"`,
          fix: suggestColumn(name, source),
        });
      }
      const other = claimed.get(name) ?? (name === options.label ? "label" : null);
      if (other !== null && other !== list) {
        throw new ParetoError({
          code: "DATA_COLUMN_ROLES",
          where: list,
          message: `a column can have one role only and is named as ${other} too, got "${name}"`,
          fix: "Remove it from one of the lists.",
        });
      }
      claimed.set(name, list);
    }
  }
  if (options.time !== undefined && !names.has(options.time)) {
    throw new ParetoError({
      code: "DATA_TIME_ABSENT",
      where: source.name,
      message: `there is no time column of this name, got "${options.time}"`,
      fix: suggestColumn(options.time, source),
    });
  }
}

function inferRole(
  column: SourceColumn,
  profile: Profile,
  criteo: boolean,
): { role: ColumnRole; reason: string } {
  if (criteo) {
    const dense = column.name.startsWith("I");
    return { role: dense ? "dense" : "categorical", reason: "Criteo's format" };
  }
  const kind = columnKind(column.type);
  if (column.reason === AMBIGUOUS_DATES || column.reason === ROW_INDEX)
    return { role: "ignored", reason: column.reason };
  if (kind === "real") return { role: "dense", reason: column.reason || "fractional numbers" };
  if (kind === "text" || kind === "boolean") return { role: "categorical", reason: column.reason || kind };
  if (isVectorType(column.type)) return { role: "dense", reason: "vectors of numbers" };
  if (kind === "list") return { role: "categorical", reason: "list, pooled by sum" };
  if (kind === "time") return { role: "ignored", reason: "a date other than the time column" };
  if (kind === "other") return { role: "ignored", reason: `type ${column.type} is not supported` };
  if (looksLikeId(column.name)) return { role: "categorical", reason: "an identifier by its name" };
  if (profile.least < -(2 ** 53) || profile.most > 2 ** 53) {
    return { role: "categorical", reason: "whole numbers beyond 2^53, which no float holds" };
  }
  const few = profile.distinct <= 32 && profile.present >= 20 * profile.distinct;
  return few
    ? { role: "categorical", reason: "integers of few distinct values" }
    : { role: "dense", reason: "integers of many distinct values" };
}

/**
 * Infers the role of every column.
 * @throws ParetoError DATA_LABEL_ABSENT, DATA_TIME_ABSENT, DATA_COLUMN_UNKNOWN, DATA_COLUMN_ROLES, DATA_NOT_NUMERIC,
 *   DATA_VECTOR_LENGTH, DATA_NO_FEATURES
 */
export async function inferSchema(source: Source, options: RoleOptions = {}): Promise<InferredRoles> {
  const criteo = source.format === "criteo";
  if (options.label === undefined && !criteo) {
    throw new ParetoError({
      code: "DATA_LABEL_ABSENT",
      where: source.name,
      message: "a label column must be named, got none",
      fix: `Name the 0/1 column, one of: ${source.columns.map((column) => column.name).join(", ")}.`,
    });
  }
  const label = findLabel(source, options.label ?? "label").name;
  checkNames(source, options);
  const profiles = await profileColumns(source);
  const notices: string[] = [];
  const columns: ColumnDescription[] = [];
  const dense: SourceColumn[] = [];
  const integers: IntegerColumn[] = [];
  const names = source.columns.map(({ name }) => name);
  for (const [i, column] of source.columns.entries()) {
    const profile = profiles[i]!;
    const { name, type } = column;
    let { role, reason } = inferRole(column, profile, criteo);
    if (role === "ignored" && !options.ignore?.includes(name) && name !== options.time && name !== label) {
      const named = options.dense?.includes(name) || options.categorical?.includes(name);
      if (!named) notices.push(`Column "${name}" (${type}) is ignored: ${reason}.`);
    }
    const said = (["dense", "categorical", "ignore"] as const).find((list) => options[list]?.includes(name));
    if (said !== undefined) {
      role = said === "ignore" ? "ignored" : said;
      reason = "as given";
    }
    if (name === label) [role, reason] = ["label", "as given"];
    else if (name === options.time && said === undefined) [role, reason] = ["time", "as given"];
    if (profile.present === 0 && (role === "dense" || role === "categorical")) {
      [role, reason] = ["ignored", "no value in any row"];
      notices.push(`Column "${name}" is missing in every row and is dropped.`);
    }
    let elements = 0;
    if (role === "dense" && isNumberList(type)) {
      const vector = await checkVector(source, column);
      elements = vector.length;
      reason += `, ${elements} each`;
      refuseDuplicates(
        [...names, ...vectorElements(column, elements).map((element) => element.name)],
        source.name,
      );
      profile.nonFinite = vector.nonFinite;
    } else if (role === "dense") dense.push(column);
    if (role === "dense" && said === undefined && !criteo && columnKind(type) === "integer") {
      integers.push({ column, least: profile.least, most: profile.most });
    }
    if (role === "categorical" && columnKind(type) === "other") {
      throw new ParetoError({
        code: "DATA_TYPE_UNSUPPORTED",
        where: `${source.name}, column "${name}"`,
        message: `a categorical column must be a scalar or a list of scalars, got ${type}`,
        fix: "Take what you need out of it with a query.",
      });
    }
    const beyond = profile.least < -(2 ** 53) || profile.most > 2 ** 53;
    if (role === "dense" && (beyond || column.reason.startsWith("codes: "))) {
      const held = beyond ? "whole numbers beyond 2^53, which no float tells apart" : column.reason;
      notices.push(`Column "${name}" is dense as given, though it holds ${held}.`);
    }
    if (profile.nonFinite > 0 && role === "dense") {
      notices.push(nonFiniteNotice(name, profile.nonFinite));
    }
    columns.push({
      name,
      type,
      role,
      multiHot: role === "categorical" && columnKind(type) === "list",
      elements,
      distinct: profile.distinct,
      missing: source.rows - profile.present,
      nonFinite: profile.nonFinite,
      reason,
    });
  }
  await checkNumeric(source, dense);
  const doubts = await integerDoubts(source, source.column(label)!, integers);
  for (const column of columns) {
    const doubt = doubts.get(column.name);
    if (doubt === undefined) continue;
    column.reason += `, though ${doubt}`;
    notices.push(
      `Column "${column.name}" is taken as a number, though ${doubt}; if its values are codes, name it with --categorical.`,
    );
  }
  if (!columns.some((column) => column.role === "dense" || column.role === "categorical")) {
    throw new ParetoError({
      code: "DATA_NO_FEATURES",
      where: source.name,
      message: `no column is left to learn from, got ${columns.map((c) => `${c.name} (${c.role})`).join(", ")}`,
      fix: "Ignore fewer columns, or give data with features beside the label.",
    });
  }
  return { label, time: options.time ?? null, columns, notices };
}
