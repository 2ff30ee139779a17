/**
 * @file What the columns of a text file are, decided from all of its rows: types, the SQL that brings text to them, and
 * why.
 *
 * A column has a type other than text only if every value that is not missing has it, exactly:
 * - BIGINT: whole numbers as a computer writes them, of 64 bits at most;
 * - DOUBLE: numbers of which one has a decimal point or a signed exponent, or all are in one {@link NumberForm};
 * - BOOLEAN: `true` and `false` in one spelling;
 * - DATE, TIMESTAMP (zones brought to UTC), TIMESTAMP_NS, TIME.
 * Everything else stays text, as it is written: among them numbers beyond 64 bits, and codes that only look like numbers
 * (`007`, `1e1`, `+5`, `1_003`). In columns of numbers, infinities and NaN are missing, and so are marks of absence.
 */
import type { Database } from "../source/duckdb.ts";
import {
  alikeSql,
  describeForm,
  findNumberForm,
  formedNumberSql,
  isPlain,
  namesDecimalComma,
  PLAIN_FORM,
  shapeSql,
} from "./numberForm.ts";
import type { FormHints, NumberForm, Shape } from "./numberForm.ts";
import { explainType } from "./explainType.ts";
import { AMBIGUOUS_DATES, shortDateFormat } from "./shortDates.ts";
import {
  CLASS,
  classSql,
  CODES,
  MISSING_NUMBERS,
  NUMBERS,
  numberClassSql,
  presentSql,
  trimmedSql,
  within,
} from "./valueClass.ts";

/** What was decided about a column. */
export interface TextColumn {
  name: string;
  /** Its name in the staged file, where it is VARCHAR. */
  text: string;
  /** DuckDB's type of `sql`. */
  type: string;
  /** An expression over the staged file: the value, NULL where missing. */
  sql: string;
  /** The form of its numbers, for a column of numbers. */
  form: NumberForm | null;
  /** Why it has its type, where that is not plain to see; else "". */
  reason: string;
}

/** What is known before. */
export interface TypeHints extends FormHints {
  /** Columns to keep as text whatever they look like. */
  textColumns: readonly string[];
  /** Whether text is text unless it is a date: JSON says itself what is a number. */
  datesOnly?: boolean;
  /** Forms by column, which hold where all of the column's values are in them. */
  forms: Readonly<Record<string, NumberForm>>;
}

/** Columns that one query looks at: DuckDB plans wide queries in more than linear time. */
const COLUMNS_PER_QUERY = 128;

/** Rows looked at first. A column with much text among them is text, whatever comes later. */
const FIRST_ROWS = 2048;

/** As programs write numbers where the comma is the decimal sign and `;` the delimiter. */
const POINTS_BETWEEN_THOUSANDS: NumberForm = { decimal: ",", group: ".", currency: "", percent: false };

const STAMPS = CLASS.date | CLASS.timestamp | CLASS.longTimestamp;

type Row = Record<string, number | string | null>;

/** Runs a query over groups of columns and gathers what it says of each. */
async function ofColumns<T>(
  database: Database,
  where: string,
  columns: readonly TextColumn[],
  query: (part: readonly TextColumn[]) => string,
  read: (row: Row, index: number) => T,
): Promise<Map<TextColumn, T>> {
  const parts: TextColumn[][] = [];
  for (let from = 0; from < columns.length; from += COLUMNS_PER_QUERY) {
    parts.push(columns.slice(from, from + COLUMNS_PER_QUERY));
  }
  const rows = await database.rowsOfAll<Row>(parts.map(query), where);
  const found = new Map<TextColumn, T>();
  for (const [p, part] of parts.entries()) {
    for (const [i, column] of part.entries()) found.set(column, read(rows[p]![0]!, i));
  }
  return found;
}

/** Decides about the columns of a staged text file. */
export class TypeDecider {
  readonly #database: Database;
  readonly #from: string;
  readonly #where: string;
  readonly #hints: TypeHints;
  /** Things the user should know, one sentence each. */
  readonly notices: string[] = [];

  /** @param from the staged file: columns t0, t1, … of VARCHAR, and `file_row_number` */
  constructor(database: Database, from: string, where: string, hints: TypeHints) {
    this.#database = database;
    this.#from = from;
    this.#where = where;
    this.#hints = hints;
  }

  /** Decides about all columns. @throws ParetoError DATA_READ, DATA_MEMORY */
  async decide(names: readonly string[]): Promise<TextColumn[]> {
    const columns = names.map((name, i): TextColumn => {
      return { name, text: `t${i}`, type: "VARCHAR", sql: presentSql(`t${i}`), form: null, reason: "" };
    });
    const open = columns.filter(({ name }) => !this.#hints.textColumns.includes(name));
    const masks = await this.#masksOf(open);
    const odd: TextColumn[] = [];
    for (const [column, mask] of masks) {
      if (mask === 0) continue;
      const settled = await this.#settle(column, mask);
      const said = settled ? MISSING_NUMBERS : NUMBERS | STAMPS | CLASS.zonedTimestamp;
      if ((mask & said) !== 0) odd.push(column);
    }
    if (this.#hints.datesOnly !== true) await this.#explain(odd, masks);
    return columns;
  }

  #trimmed(part: readonly TextColumn[]): string {
    const list = part.map(({ text }, i) => `${trimmedSql(text)} AS x${i}`);
    return `SELECT ${list.join(", ")}, file_row_number AS row FROM ${this.#from}`;
  }

  /** The classes that occur in each column; columns of which much is text are left out. */
  async #masksOf(open: readonly TextColumn[]): Promise<Map<TextColumn, number>> {
    const [counted] = await this.#database.rows<{ rows: number }>(
      `SELECT count(*) AS rows FROM ${this.#from}`,
      this.#where,
    );
    const many = counted!.rows > 4 * FIRST_ROWS;
    const numbers = this.#hints.datesOnly === true ? [] : open;
    // Columns that do not begin as numbers are not searched for them to their end.
    const likely = many ? await this.#numbersOnly(numbers, ` LIMIT ${FIRST_ROWS}`) : numbers;
    const known = await this.#numberMasks(likely);
    const masks = new Map([...known].filter(([, mask]) => (mask & CLASS.text) === 0));
    let left = open.filter((column) => !masks.has(column));
    if (many) {
      const first = await this.#countText(left);
      left = left.filter((column) => {
        const { rows, texts } = first.get(column)!;
        return texts * 10 <= rows;
      });
    }
    for (const [column, mask] of await this.#masks(left)) masks.set(column, mask);
    return masks;
  }

  /** The columns in which only numbers occur in some rows. */
  async #numbersOnly(columns: readonly TextColumn[], limit: string): Promise<TextColumn[]> {
    const masks = await this.#numberMasks(columns, limit);
    return columns.filter((column) => (masks.get(column)! & CLASS.text) === 0);
  }

  #ofColumns<T>(
    columns: readonly TextColumn[],
    query: (part: readonly TextColumn[]) => string,
    read: (row: Row, index: number) => T,
  ): Promise<Map<TextColumn, T>> {
    return ofColumns(this.#database, this.#where, columns, query, read);
  }

  /** The classes of {@link numberClassSql} that occur. */
  #numberMasks(columns: readonly TextColumn[], limit = ""): Promise<Map<TextColumn, number>> {
    const from = limit === "" ? this.#from : `(SELECT * FROM ${this.#from}${limit})`;
    return this.#ofColumns(
      columns,
      (part) => {
        const list = part.map(({ text }, i) => `bit_or(${numberClassSql(text)}) AS k${i}`);
        return `SELECT ${list.join(", ")} FROM ${from}`;
      },
      (row, i) => Number(row[`k${i}`] ?? 0),
    );
  }

  /** Values and texts among the first rows. */
  #countText(columns: readonly TextColumn[]): Promise<Map<TextColumn, { rows: number; texts: number }>> {
    return this.#ofColumns(
      columns,
      (part) => {
        const list = part.map(
          (_, i) => `count_if(k${i} <> 0) AS rows${i}, count_if(k${i} = ${CLASS.text}) AS texts${i}`,
        );
        const classes = part.map((_, i) => `${classSql(`x${i}`)} AS k${i}`);
        return `SELECT ${list.join(", ")} FROM (SELECT ${classes.join(", ")} FROM (${this.#trimmed(part)} LIMIT ${FIRST_ROWS}))`;
      },
      (row, i) => ({ rows: Number(row[`rows${i}`]), texts: Number(row[`texts${i}`]) }),
    );
  }

  /** The classes that occur in all rows. */
  #masks(columns: readonly TextColumn[]): Promise<Map<TextColumn, number>> {
    return this.#ofColumns(
      columns,
      (part) => {
        const list = part.map((_, i) => `bit_or(${classSql(`x${i}`)}) AS k${i}`);
        return `SELECT ${list.join(", ")} FROM (${this.#trimmed(part)})`;
      },
      (row, i) => Number(row[`k${i}`] ?? 0),
    );
  }

  /** Gives a column its type. @returns whether it has another than text */
  async #settle(column: TextColumn, mask: number): Promise<boolean> {
    const values = mask & ~MISSING_NUMBERS;
    if (this.#hints.datesOnly !== true && (await this.#settleNumbers(column, values))) return true;
    return (mask & MISSING_NUMBERS) === 0 && this.#settleTimes(column, values);
  }

  /** Gives a column a type of numbers, if it can have one. @param values the classes of its values that are not missing */
  async #settleNumbers(column: TextColumn, values: number): Promise<boolean> {
    const as = (type: string, sql: string, form: NumberForm): true => {
      Object.assign(column, { type, sql, form });
      return true;
    };
    const given = this.#hints.forms[column.name];
    if (
      given !== undefined &&
      !isPlain(given) &&
      within(values, NUMBERS) &&
      (await this.#allIn(column, given))
    ) {
      return as("DOUBLE", formedNumberSql(column.text, given), given);
    }
    const whole = within(values, CLASS.integer | CLASS.longInteger);
    if (whole && (values === CLASS.integer || (await this.#fits(column)))) {
      return as("BIGINT", `TRY_CAST(${column.text} AS BIGINT)`, PLAIN_FORM);
    }
    const decimalComma = namesDecimalComma(this.#hints);
    const plain = CLASS.integer | CLASS.fraction | CLASS.exponent | CLASS.plus | CLASS.longInteger;
    if ((values & CLASS.fraction) !== 0 && within(values, plain) && !decimalComma) {
      if (this.#hints.delimiter === ";" && (await this.#allIn(column, POINTS_BETWEEN_THOUSANDS))) {
        this.notices.push(
          `Column "${column.name}" is read as numbers with decimal points, 1.234 as 1.234; if its points stand between thousands, say --csv thousands=.`,
        );
      }
      return as("DOUBLE", `TRY_CAST(${column.text} AS DOUBLE)`, PLAIN_FORM);
    }
    const marked = (values & CLASS.marked) !== 0 || (decimalComma && (values & CLASS.fraction) !== 0);
    if (!marked || !within(values, NUMBERS)) return false;
    const form = findNumberForm(await this.#shapes(column), this.#hints);
    if (form === "ambiguous") column.reason = "its numbers can be read in two ways, 1,234 as 1.234 or 1234";
    if (form === "ambiguous" || form === null) return false;
    this.notices.push(`Column "${column.name}" is read as numbers with ${describeForm(form)}.`);
    column.reason = `numbers with ${describeForm(form)}`;
    return as("DOUBLE", formedNumberSql(column.text, form), form);
  }

  /** Gives a column of dates, times or booleans its type. */
  async #settleTimes(column: TextColumn, values: number): Promise<boolean> {
    const trimmed = trimmedSql(column.text);
    const as = (type: string, sql = `TRY_CAST(${trimmed} AS ${type})`): true => {
      Object.assign(column, { type, sql });
      return true;
    };
    const booleans = [CLASS.lowerBoolean, CLASS.capitalBoolean, CLASS.upperBoolean];
    if (this.#hints.datesOnly !== true && booleans.some((spelling) => values === spelling))
      return as("BOOLEAN");
    if (values === CLASS.date) return as("DATE");
    if (values === CLASS.timeOfDay) return as("TIME");
    if (within(values, STAMPS)) {
      return as((values & CLASS.longTimestamp) === 0 ? "TIMESTAMP" : "TIMESTAMP_NS");
    }
    if (values === CLASS.zonedTimestamp) {
      return as("TIMESTAMP", `make_timestamp(epoch_us(TRY_CAST(${trimmed} AS TIMESTAMPTZ)))`);
    }
    if (values !== CLASS.shortDate) return false;
    const format = await shortDateFormat(this.#database, column.text, this.#from, this.#where);
    if (format === "ambiguous") column.reason = AMBIGUOUS_DATES;
    return (
      format !== "ambiguous" && format !== null && as("TIMESTAMP", `try_strptime(${trimmed}, '${format}')`)
    );
  }

  /** Whether all whole numbers of a column have 64 bits. */
  async #fits({ text }: TextColumn): Promise<boolean> {
    const [found] = await this.#database.rows<{ bad: number }>(
      `SELECT count_if(k = ${CLASS.longInteger} AND TRY_CAST(x AS BIGINT) IS NULL) AS bad FROM ` +
        `(SELECT x, ${classSql("x")} AS k FROM (SELECT ${trimmedSql(text)} AS x FROM ${this.#from}))`,
      this.#where,
    );
    return found!.bad === 0;
  }

  /** Whether all numbers of a column are in a form. */
  async #allIn({ text }: TextColumn, form: NumberForm): Promise<boolean> {
    const [found] = await this.#database.rows<{ bad: number }>(
      `SELECT count_if(k <> 0 AND (k & ${MISSING_NUMBERS}) = 0 AND ${formedNumberSql("x", form)} IS NULL) AS bad FROM ` +
        `(SELECT x, ${classSql("x")} AS k FROM (SELECT ${trimmedSql(text)} AS x FROM ${this.#from}))`,
      this.#where,
    );
    return found!.bad === 0;
  }

  /** The shapes of a column's numbers. */
  #shapes({ text }: TextColumn): Promise<Shape[]> {
    return this.#database.rows<{ shape: string; rows: number }>(
      `SELECT ${shapeSql("alike")} AS shape, count(*) AS rows FROM (SELECT ${alikeSql("x")} AS alike, ${classSql("x")} AS k ` +
        `FROM (SELECT ${trimmedSql(text)} AS x FROM ${this.#from})) WHERE k <> 0 AND (k & ${MISSING_NUMBERS}) = 0 GROUP BY ALL`,
      this.#where,
    );
  }

  /** Says why columns are text although they hold numbers, and what of columns of numbers is missing. */
  async #explain(columns: readonly TextColumn[], masks: ReadonlyMap<TextColumn, number>): Promise<void> {
    const asked = [CODES, CLASS.nonFinite, CLASS.absent, ~(NUMBERS | MISSING_NUMBERS)];
    const counted = await this.#ofColumns(
      columns,
      (part) => {
        const list = part.flatMap((_, i) => [
          `count_if(k${i} <> 0) AS all${i}`,
          ...asked.flatMap((kind, n) => [
            `count_if(k${i} & ${kind} <> 0) AS count${i}_${n}`,
            `min(row) FILTER (k${i} & ${kind} <> 0) AS first${i}_${n}`,
            `arg_min(x${i}, row) FILTER (k${i} & ${kind} <> 0) AS value${i}_${n}`,
          ]),
        ]);
        const classes = part.map((_, i) => `x${i}, ${classSql(`x${i}`)} AS k${i}`);
        return `SELECT ${list.join(", ")} FROM (SELECT row, ${classes.join(", ")} FROM (${this.#trimmed(part)}))`;
      },
      (row, i) => ({
        all: Number(row[`all${i}`] ?? 0),
        kinds: asked.map((_, n) => ({
          count: Number(row[`count${i}_${n}`] ?? 0),
          first: `the first in row ${Number(row[`first${i}_${n}`] ?? 0) + 1}: ${JSON.stringify(row[`value${i}_${n}`])}`,
        })),
      }),
    );
    for (const [column, { all, kinds: found }] of counted) {
      const [codes, nonFinite, absent, words] = found;
      const kinds = { all, codes: codes!, nonFinite: nonFinite!, absent: absent!, words: words! };
      this.notices.push(...explainType(column, masks.get(column)!, kinds, this.#hints));
    }
  }
}
