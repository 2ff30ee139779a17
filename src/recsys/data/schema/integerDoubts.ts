/**
 * @file What speaks against taking a column of whole numbers as a quantity: a name that ends in id, values that are dates
 * or parts of dates, or values that do not order the label although they tell it.
 *
 * The last is a test of the rates of label 1, on at most 20,000 evenly spaced rows: a column is in doubt when its values
 * differ in their rates far beyond chance (χ² over values, 4 standard deviations above its mean) while their order explains
 * less than a tenth of that (z² of the rank-sum test). Whole numbers that count something rarely do that; codes mostly do.
 */
import type { Source, SourceColumn } from "../source/source.ts";
import { labelSql } from "./label.ts";

/** Rows of the test. */
const TEST_ROWS = 20_000;

/** Columns that one query tests. */
const COLUMNS_PER_QUERY = 128;

/** Standard deviations by which χ² must exceed its mean. */
const FAR = 4;

/** A column of whole numbers that is taken as a quantity, and the range of its values. */
export interface IntegerColumn {
  column: SourceColumn;
  least: number;
  most: number;
}

const DATE_WORDS =
  /^(years?|months?|days?|hours?|minutes?|weeks?|weekday|dow|dayofweek|dayofyear|quarter|date|yr|mon|hr)$/;

function nameDoubt(name: string): string | null {
  if (/id$/i.test(name)) return "its name ends in id";
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z]+/);
  return words.some((word) => DATE_WORDS.test(word)) ? "its name is that of a part of a date" : null;
}

interface ValueForm {
  said: string;
  least: number;
  most: number;
  /** Whether a value is none, in SQL. */
  not: (sql: string) => string;
}

const dayOf = (sql: string) => `try_strptime(CAST(${sql} AS VARCHAR), '%Y%m%d') IS NULL`;

const VALUE_FORMS: readonly ValueForm[] = [
  { said: "its values are dates (yyyymmdd)", least: 19_000_101, most: 21_001_231, not: dayOf },
  {
    said: "its values are months (yyyymm)",
    least: 190_001,
    most: 210_012,
    not: (sql) => `${sql} % 100 NOT BETWEEN 1 AND 12`,
  },
  {
    said: "its values are hours of dates (yyyymmddhh)",
    least: 1_900_010_100,
    most: 2_100_123_123,
    not: (sql) => `(${sql} % 100 > 23 OR ${dayOf(`${sql} // 100`)})`,
  },
  {
    said: "its values look like seconds since 1970",
    least: 946_684_800,
    most: 4_102_444_800,
    not: () => "false",
  },
  {
    said: "its values look like milliseconds since 1970",
    least: 946_684_800_000,
    most: 4_102_444_800_000,
    not: () => "false",
  },
];

/** What of a column's values looks like a date. */
async function valueDoubt(source: Source, { column, least, most }: IntegerColumn): Promise<string | null> {
  for (const form of VALUE_FORMS) {
    if (least < form.least || most > form.most) continue;
    const [found] = await source.database.rows<{ bad: number }>(
      `SELECT count_if(${form.not(column.sql)}) AS bad FROM data WHERE ${column.sql} IS NOT NULL`,
      source.name,
    );
    if (found!.bad === 0) return form.said;
  }
  return null;
}

/** The columns whose values tell the label but do not order it. */
async function unordered(
  source: Source,
  label: SourceColumn,
  columns: readonly SourceColumn[],
): Promise<Set<string>> {
  const found = new Set<string>();
  const step = Math.max(1, Math.ceil(source.rows / TEST_ROWS));
  for (let from = 0; from < columns.length; from += COLUMNS_PER_QUERY) {
    const part = columns.slice(from, from + COLUMNS_PER_QUERY);
    const list = `[${part.map(({ sql }) => `CAST(${sql} AS DOUBLE)`).join(", ")}]`;
    const values =
      `SELECT unnest(${list}) AS v, generate_subscripts(${list}, 1) - 1 AS i, ${labelSql(label)} AS l FROM data ` +
      `WHERE row % ${step} = 0`;
    const counted = `SELECT i, v, count(*) AS n, sum(l) AS s FROM (${values}) WHERE v IS NOT NULL AND l IS NOT NULL GROUP BY i, v`;
    const ranked =
      `SELECT *, sum(n) OVER (PARTITION BY i ORDER BY v) - n / 2 AS rank, sum(n) OVER (PARTITION BY i) AS rows, ` +
      `sum(s) OVER (PARTITION BY i) AS ones FROM (${counted})`;
    const rows = await source.database.rows<{
      i: number;
      k: number;
      rows: number;
      ones: number;
      chi: number | null;
      ranks: number;
    }>(
      `SELECT i, count(*) AS k, any_value(rows)::DOUBLE AS rows, any_value(ones)::DOUBLE AS ones, ` +
        `sum(n * pow(s / n - ones / rows, 2)) AS chi, sum(s * rank)::DOUBLE AS ranks FROM (${ranked}) GROUP BY i`,
      source.name,
    );
    for (const { i, k, rows: n, ones, chi, ranks } of rows) {
      const zeros = n - ones;
      if (ones === 0 || zeros === 0 || k < 3 || n < 5 * k) continue;
      const rate = ones / n;
      const excess = chi! / (rate * (1 - rate)) - (k - 1);
      const z = (ranks / ones - n / 2) / Math.sqrt(((n + 1) * zeros) / (12 * ones));
      if (excess > FAR * Math.sqrt(2 * (k - 1)) && z * z < excess / 10) found.add(part[i]!.name);
    }
  }
  return found;
}

/** What speaks against each of the columns being a quantity, by name; columns without a doubt are left out. */
export async function integerDoubts(
  source: Source,
  label: SourceColumn,
  columns: readonly IntegerColumn[],
): Promise<Map<string, string>> {
  const doubts = new Map<string, string>();
  for (const candidate of columns) {
    const { name } = candidate.column;
    const doubt = nameDoubt(name) ?? (await valueDoubt(source, candidate));
    if (doubt !== null) doubts.set(name, doubt);
  }
  const rest = columns.map(({ column }) => column).filter(({ name }) => !doubts.has(name));
  for (const name of await unordered(source, label, rest)) {
    doubts.set(name, "its values tell the label but do not order it, as codes do");
  }
  return doubts;
}
