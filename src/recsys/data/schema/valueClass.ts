/**
 * @file What a value of a text file looks like: one of a few classes, told by its letters alone and exactly.
 *
 * A class is a bit, so that one `bit_or` over all rows of a column says which classes occur in it. DuckDB's own casts are
 * too loose to decide anything (`1_003` is an integer to them, and `1.6` the integer 2): the patterns here are stricter,
 * and a cast is only made of values that match them. Blanks around a value do not count, except in text.
 */

/** The classes, each a bit. A value without a class is missing. */
export const CLASS = {
  /** A whole number of at most 18 digits, written as a computer writes it: `12`, `-3`, `0`. */
  integer: 1,
  /** A whole number of 19 digits or more. */
  longInteger: 2,
  /** A number with a decimal point or a signed exponent: `0.5`, `1e-05`, `1.2E3`; also `-0`. */
  fraction: 4,
  /** A whole number with an unsigned exponent: `1e1`. */
  exponent: 8,
  /** A whole number with a plus: `+5`. */
  plus: 16,
  /** A number that begins with zeros: `007`, `00.5`. */
  leadingZero: 32,
  /** An infinity or NaN, as programs write them. */
  nonFinite: 64,
  /** A mark of absence: `NA`, `n/a`, `None`, `?`, `-` and the like. */
  absent: 128,
  /** `true` or `false`, by spelling. */
  lowerBoolean: 256,
  capitalBoolean: 512,
  upperBoolean: 1024,
  /** `2024-01-31`. */
  date: 2048,
  /** A date and a time of day, to the microsecond: `2024-01-31 10:00`, `2024-01-31T10:00:00.5`. */
  timestamp: 4096,
  /** The same with a time zone: `…Z`, `…+02:00`. */
  zonedTimestamp: 8192,
  /** The same, without a zone, to the nanosecond. */
  longTimestamp: 16384,
  /** A time of day: `10:00`, `10:00:00.5`. */
  timeOfDay: 32768,
  /** Day, month and year by slashes, points or hyphens: `31/12/2024`. */
  shortDate: 65536,
  /** Digits with separators, a currency or percent sign: `1,5`, `$3.20`, `12 %`, `1'234`. */
  marked: 131072,
  /** Anything else. */
  text: 262144,
} as const;

/** Codes that look like numbers. */
export const CODES = CLASS.exponent | CLASS.plus | CLASS.leadingZero | CLASS.longInteger;
/** What is missing in a column of numbers. */
export const MISSING_NUMBERS = CLASS.nonFinite | CLASS.absent;
export const NUMBERS = CLASS.integer | CLASS.fraction | CLASS.marked | CODES;

/** Whether there are values, all of them of some classes. */
export const within = (mask: number, classes: number): boolean => mask !== 0 && (mask & ~classes) === 0;

/** Values that are missing in any column. */
const MISSING = ["", "NULL", "null", "\\N"] as const;

/** In any case: pandas' list of values taken as missing, and `?`, `-` and `--`. Patterns, as long IN lists take DuckDB ms to plan. */
const ABSENT = "(?i:na|n/a|none|null|nil|#n/a|#n/a n/a|#na|<na>|[?]|-|--)";
const NON_FINITE = "(?i:[+-]?(?:nan|inf|infinity|1[.]#(?:inf|ind|qnan|nan)))";
const NOTHING = "|NULL|null|[\\\\]N";

const INTEGER = "-?[1-9][0-9]{0,17}|0";
const FRACTION = "-?(?:0|[1-9][0-9]*)[.][0-9]+";
const NUMBER = "[+-]?(?:(?:0|[1-9][0-9]*)(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]+)?";
const PLAIN = "[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]+)?";
const PADDED = "[+-]?0[0-9]+(?:[.][0-9]*)?(?:[eE][+-]?[0-9]+)?";
const DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}";
const CLOCK = "[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,6})?)?";
const MINUTE = "[ T][0-9]{2}:[0-9]{2}";
const STAMP = `${DAY}(?:${MINUTE}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?)?`;
const ZONED_STAMP = `${DAY}${MINUTE}(?::[0-9]{2}(?:[.][0-9]{1,6})?)? ?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)`;
const SHORT_DATE = `(?:[0-9]{1,2}[/.-][0-9]{1,2}[/.-](?:[0-9]{4}|[0-9]{2})|[0-9]{4}[/.][0-9]{1,2}[/.][0-9]{1,2})(?:[ T]${CLOCK})?`;
/** Currency signs that a number may carry. */
export const CURRENCIES = "$€£¥₹₩₽₺₫₪¢";
const SIGNS = `[0-9 .,'’(+\\-−)%\\x{a0}\\x{2009}\\x{202f}${CURRENCIES}]*`;
const MARKED = `${SIGNS}[0-9]${SIGNS}|[+-]?[0-9]*,[0-9]+[eE][+-]?[0-9]+`;

const quoted = (texts: readonly string[]) => texts.map((text) => `'${text}'`).join(", ");
const matches = (x: string, pattern: string) => `regexp_full_match(${x}, '${pattern.replaceAll("'", "''")}')`;

/** A value of text without the blanks around it: what {@link classSql} looks at. */
export function trimmedSql(sql: string): string {
  return `trim(${sql}, ' \t')`;
}

/** The value of a column of text as it stands, NULL where missing. */
export function presentSql(sql: string): string {
  return `CASE WHEN ${sql} NOT IN (${quoted(MISSING)}) THEN ${sql} END`;
}

/**
 * The class of a value in most columns of numbers, an INTEGER: `integer`, `fraction`, 0 where missing, else `text`, which
 * here only says that {@link classSql} must look again. DuckDB plans it ten times as fast.
 * @param sql a column of text
 */
export function numberClassSql(sql: string): string {
  return (
    `CASE WHEN ${sql} IS NULL THEN 0 WHEN ${matches(sql, INTEGER)} THEN ${CLASS.integer} ` +
    `WHEN ${matches(sql, FRACTION)} THEN ${CLASS.fraction} ELSE ${CLASS.text} END`
  );
}

/**
 * The class of a value, an INTEGER, 0 where missing.
 * @param x the name of a column that holds {@link trimmedSql}
 */
export function classSql(x: string): string {
  const dated = (type: string, bit: number) =>
    `CASE WHEN TRY_CAST(${x} AS ${type}) IS NULL THEN ${CLASS.text} ELSE ${bit} END`;
  return [
    `CASE WHEN ${x} IS NULL OR ${matches(x, NOTHING)} THEN 0`,
    `WHEN ${matches(x, INTEGER)} THEN ${CLASS.integer}`,
    `WHEN ${matches(x, FRACTION)} THEN ${CLASS.fraction}`,
    // Letters that no number or date has: words and codes need no further look.
    `WHEN regexp_matches(${x}, '[a-df-zA-DF-SU-Y\\x{c0}-\\x{1fff}\\x{2e80}-\\x{10ffff}]') THEN CASE`,
    `WHEN ${matches(x, NON_FINITE)} THEN ${CLASS.nonFinite}`,
    `WHEN ${matches(x, ABSENT)} THEN ${CLASS.absent}`,
    `WHEN ${x} IN ('true', 'false') THEN ${CLASS.lowerBoolean}`,
    `WHEN ${x} IN ('True', 'False') THEN ${CLASS.capitalBoolean}`,
    `WHEN ${x} IN ('TRUE', 'FALSE') THEN ${CLASS.upperBoolean}`,
    `ELSE ${CLASS.text} END`,
    `WHEN ${matches(x, NUMBER)} THEN CASE`,
    `WHEN contains(${x}, '.') OR contains(lower(${x}), 'e-') OR contains(lower(${x}), 'e+') OR ${x} = '-0' THEN ${CLASS.fraction}`,
    `WHEN contains(lower(${x}), 'e') THEN ${CLASS.exponent}`,
    `WHEN ${x}[1] = '+' THEN ${CLASS.plus}`,
    `ELSE ${CLASS.longInteger} END`,
    `WHEN ${matches(x, PADDED)} THEN ${CLASS.leadingZero}`,
    `WHEN ${matches(x, STAMP)} THEN CASE WHEN strlen(${x}) = 10 THEN ${dated("DATE", CLASS.date)}`,
    `WHEN contains(${x}[17:], '.') AND strlen(${x}) > 26 THEN ${dated("TIMESTAMP_NS", CLASS.longTimestamp)}`,
    `ELSE ${dated("TIMESTAMP", CLASS.timestamp)} END`,
    `WHEN ${matches(x, ZONED_STAMP)} THEN ${dated("TIMESTAMPTZ", CLASS.zonedTimestamp)}`,
    `WHEN ${matches(x, CLOCK)} THEN ${dated("TIME", CLASS.timeOfDay)}`,
    `WHEN ${matches(x, SHORT_DATE)} THEN ${CLASS.shortDate}`,
    `WHEN ${matches(x, ABSENT)} THEN ${CLASS.absent}`,
    `WHEN ${matches(x, MARKED)} THEN ${CLASS.marked}`,
    `ELSE ${CLASS.text} END`,
  ].join(" ");
}

/** A number written in any plain way, leading zeros and plus included, as a DOUBLE; NULL for all other text. */
export function plainNumberSql(text: string): string {
  return `CASE WHEN ${matches(trimmedSql(text), PLAIN)} THEN TRY_CAST(${text} AS DOUBLE) END`;
}

/** Whether a text is missing where numbers are expected: missing, a mark of absence, an infinity or NaN. */
export function missingNumberSql(text: string): string {
  return `(${text} IS NULL OR ${matches(trimmedSql(text), `${NOTHING}|${ABSENT}|${NON_FINITE}`)})`;
}
