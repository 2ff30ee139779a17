/**
 * @file Divides rows into training, validation and test parts by exact counts.
 *
 * Rows are ranked by a key, ties by row number, and cut twice. Temporal: the key is the time column, missing times first,
 * or without one the row number itself. Random: the key is a hash of (row number, seed), equal on every machine and
 * version: three rounds of the 32-bit mixer "lowbias32" (C. Wellons, hash-prospector), in integers that cannot overflow.
 * Within a part rows keep the order of the source. Where a random division leaves a part without one of the labels,
 * `stratifiedSplit.ts` divides each label by itself.
 */
import { ParetoError } from "../../../base/errors.ts";
import { columnKind } from "../schema/columnTypes.ts";
import { CLASS, classSql, plainNumberSql, trimmedSql } from "../schema/valueClass.ts";
import { namesRead, type Source, type SourceColumn } from "../source/source.ts";
import { quoteText } from "../source/sqlText.ts";

/** How to divide rows. */
export interface SplitOptions {
  kind: "temporal" | "random";
  /** Shares of training, validation and test, in any unit, all above 0. */
  fractions: readonly [number, number, number];
  /** For `random`. */
  seed: number;
}

/** A division of a source's rows, as SQL over its view `data`. */
export interface Split {
  /** 0, 1 or 2: training, validation, test. */
  partSql: string;
  /** Whether a row belongs to training. */
  trainSql: string;
  /** What to read FROM, of these columns: `data`, or a subquery over it with the hash of each row. */
  from: (columns: readonly SourceColumn[]) => string;
  rows: [number, number, number];
  notices: string[];
}

/** One round of lowbias32 on a 32-bit value in a UBIGINT column `x`; each step is a subquery, so that x stands once. */
const MIX_STEPS = [
  "xor(x, x >> 16) AS x",
  "(x * 2146121005::UBIGINT) & 4294967295::UBIGINT AS x",
  "xor(x, x >> 15) AS x",
  "(x * 2221713035::UBIGINT) & 4294967295::UBIGINT AS x",
  "xor(x, x >> 16) AS x",
];

/**
 * A table function's worth of SQL: `row` and a 32-bit hash `x` of it, for every row.
 * @param columns further columns to carry along: DuckDB plans each of the steps over all of them
 */
function hashedRows(seed: number, source: Source, columns: readonly SourceColumn[]): string {
  const words = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
  const list = [...namesRead(columns), "row"].join(", ");
  let from = `SELECT ${list}, xor((row & 4294967295)::UBIGINT, ${words[0]}::UBIGINT) AS x FROM ${source.from(columns)}`;
  const mix = (): void => {
    for (const step of MIX_STEPS) from = `SELECT * EXCLUDE (x), ${step} FROM (${from})`;
  };
  mix();
  from = `SELECT * EXCLUDE (x), xor(x, xor((row >> 32)::UBIGINT, ${words[1]}::UBIGINT)) & 4294967295::UBIGINT AS x FROM (${from})`;
  mix();
  from = `SELECT * EXCLUDE (x), xor(x, ${words[0]}::UBIGINT) AS x FROM (${from})`;
  mix();
  return from;
}

/** What to read FROM for columns and the hash `x` of each row. */
export const withHashes =
  (seed: number, source: Source) =>
  (columns: readonly SourceColumn[]): string =>
    `(${hashedRows(seed, source, columns)})`;

/** The type by which texts of these classes are ordered; null where they have no order. */
function textOrder(
  classes: number,
): "TIMESTAMP" | "TIMESTAMP_NS" | "TIMESTAMPTZ" | "HUGEINT" | "DOUBLE" | null {
  const within = (some: number) => classes !== 0 && (classes & ~some) === 0;
  const { date, timestamp, longTimestamp, zonedTimestamp, integer, longInteger } = CLASS;
  if (within(date | timestamp)) return "TIMESTAMP";
  if (within(date | timestamp | longTimestamp)) return "TIMESTAMP_NS";
  if (within(zonedTimestamp)) return "TIMESTAMPTZ";
  if (within(integer | longInteger)) return "HUGEINT";
  return within(integer | longInteger | CLASS.fraction | CLASS.exponent | CLASS.plus) ? "DOUBLE" : null;
}

/** A time column of text as something that DuckDB orders; null where it has no order. */
async function textKey(source: Source, text: string): Promise<{ sql: string; type: string } | null> {
  const x = trimmedSql(text);
  const [found] = await source.database.rows<{ mask: number | null }>(
    `SELECT bit_or(${classSql("x")}) AS mask FROM (SELECT ${x} AS x FROM data)`,
    source.name,
  );
  const type = textOrder((found!.mask ?? 0) & ~(CLASS.absent | CLASS.nonFinite));
  if (type === "TIMESTAMPTZ") return { sql: `epoch_us(TRY_CAST(${x} AS TIMESTAMPTZ))`, type: "BIGINT" };
  if (type === "DOUBLE") return { sql: plainNumberSql(text), type };
  return type === null ? null : { sql: `TRY_CAST(${x} AS ${type})`, type };
}

/** The time column as something that DuckDB orders. @throws ParetoError DATA_TIME_TYPE */
async function timeKey(source: Source, column: SourceColumn): Promise<{ sql: string; type: string }> {
  const kind = columnKind(column.type);
  if (kind === "integer" || kind === "time" || /^(TIME|DECIMAL.*)$/.test(column.type)) {
    return { sql: column.sql, type: column.type };
  }
  if (kind === "real") {
    return {
      sql: `CASE WHEN NOT isnan(CAST(${column.sql} AS DOUBLE)) THEN CAST(${column.sql} AS DOUBLE) END`,
      type: "DOUBLE",
    };
  }
  const text = `CAST(${column.sql} AS VARCHAR)`;
  if (kind === "text") {
    const key = await textKey(source, text);
    if (key !== null) return key;
  }
  const [first] = await source.database.rows<{ value: string | null }>(
    `SELECT value FROM (SELECT ${text} AS value, row FROM data WHERE ${column.sql} IS NOT NULL) ` +
      `ORDER BY TRY_CAST(value AS TIMESTAMP) IS NOT NULL, row LIMIT 1`,
    source.name,
  );
  throw new ParetoError({
    code: "DATA_TIME_TYPE",
    where: `${source.name}, column "${column.name}"`,
    message: `the time column cannot be ordered, got ${column.type} that holds ${JSON.stringify(first?.value ?? null)}`,
    fix: "Convert it with a query, e.g. strptime(text, format), or name a date, timestamp or number.",
  });
}

/** The parts of two cuts. @param before whether a row lies before a cut */
export function partsAt(before: (cut: number) => string): Pick<Split, "trainSql" | "partSql"> {
  return {
    trainSql: before(0),
    partSql: `CASE WHEN ${before(0)} THEN 0::UTINYINT WHEN ${before(1)} THEN 1::UTINYINT ELSE 2::UTINYINT END`,
  };
}

function checkFractions(fractions: readonly number[]): void {
  if (fractions.length === 3 && fractions.every((f) => Number.isFinite(f) && f > 0)) return;
  throw new ParetoError({
    code: "DATA_FRACTIONS",
    where: "fractions",
    message: `three shares above 0 are needed, for training, validation and test, got ${fractions.join(", ")}`,
    fix: "Say e.g. 70,10,20.",
  });
}

/**
 * Divides a source.
 * @param time the time column, for `temporal`; null takes the order of the rows
 * @throws ParetoError DATA_FRACTIONS, DATA_TIME_TYPE, DATA_SPLIT_EMPTY
 */
export async function splitRows(
  source: Source,
  options: SplitOptions,
  time: SourceColumn | null,
): Promise<Split> {
  checkFractions(options.fractions);
  const sum = options.fractions.reduce((a, b) => a + b, 0);
  const first = Math.round((source.rows * options.fractions[0]) / sum);
  const second = Math.round((source.rows * (options.fractions[0] + options.fractions[1])) / sum);
  const rows: [number, number, number] = [first, second - first, source.rows - second];
  if (rows.some((count) => count === 0)) {
    throw new ParetoError({
      code: "DATA_SPLIT_EMPTY",
      where: source.name,
      message: `training, validation and test need a row each at least, got ${rows.join(", ")}`,
      fix: "Give more rows, or fractions that leave some for each part.",
    });
  }
  const result = (before: (cut: number) => string, from: Split["from"], notices: string[]): Split => ({
    ...partsAt(before),
    rows,
    notices,
    from,
  });
  if (options.kind === "temporal" && time === null) {
    return result(
      (cut) => `row < ${[first, second][cut]!}`,
      () => "data",
      [],
    );
  }
  const random = options.kind === "random";
  const key = random ? { sql: "x", type: "UBIGINT" } : await timeKey(source, time!);
  const from: Split["from"] = random
    ? withHashes(options.seed, source)
    : (columns) => source.from(time === null ? columns : [...columns, time]);
  const sorted = `SELECT CAST(${key.sql} AS VARCHAR) AS key, row FROM ${from([])} ORDER BY ${key.sql} NULLS FIRST, row LIMIT 1 OFFSET`;
  const cuts: { key: string | null; row: number }[] = [];
  for (const offset of [first, second]) {
    cuts.push(
      ...(await source.database.rows<{ key: string | null; row: number }>(
        `${sorted} ${offset}`,
        source.name,
      )),
    );
  }
  const before = (cut: number): string => {
    const { key: value, row } = cuts[cut]!;
    if (value === null) return `(${key.sql} IS NULL AND row < ${row})`;
    const literal = `CAST(${quoteText(value)} AS ${key.type})`;
    return `(${key.sql} IS NULL OR ${key.sql} < ${literal} OR (${key.sql} = ${literal} AND row < ${row}))`;
  };
  const notices: string[] = [];
  if (!random) {
    const [found] = await source.database.rows<{ missing: number }>(
      `SELECT count_if(${key.sql} IS NULL) AS missing FROM data`,
      source.name,
    );
    if (found!.missing > 0) {
      notices.push(`${found!.missing} rows lack a time and count as the earliest.`);
    }
  }
  return result(before, from, notices);
}
