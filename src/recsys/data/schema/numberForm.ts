/**
 * @file How the numbers of a column of text are written: decimal sign, thousands separator, currency or percent sign.
 *
 * A form holds for a whole column or not at all. It is found from the shapes of all values (`-1.234,5` has the shape
 * `-9.999,9`), never from a sample. `1,234` alone may be either of two numbers; {@link findNumberForm} says which
 * evidence decides, and answers `ambiguous` where there is none. Pure.
 */
import { quoteText } from "../source/sqlText.ts";
import { CURRENCIES } from "./valueClass.ts";

/** How numbers are written. */
export interface NumberForm {
  decimal: "." | ",";
  /** What stands between groups of three digits; " " is a space of any width, "'" either apostrophe. */
  group: "" | "," | "." | " " | "'";
  /** The sign that every number has before or after it, or "". */
  currency: string;
  /** Whether every number is followed by `%`. `12 %` is the number 12. */
  percent: boolean;
}

/** A shape that occurs: digits as 9, except that a first digit 0 stays 0. */
export interface Shape {
  shape: string;
  /** Rows that have it. */
  rows: number;
}

/** As programs write numbers. */
export const PLAIN_FORM: NumberForm = { decimal: ".", group: "", currency: "", percent: false };

/** Whether a form is {@link PLAIN_FORM}. */
export function isPlain({ decimal, group, currency, percent }: NumberForm): boolean {
  return decimal === "." && group === "" && currency === "" && !percent;
}

const SEPARATORS: readonly (readonly [NumberForm["decimal"], NumberForm["group"]])[] = [
  [".", ""],
  [",", ""],
  [".", ","],
  [",", "."],
  [".", " "],
  [",", " "],
  [".", "'"],
  [",", "'"],
];

const escaped = (sign: string) => sign.replace(/[$.]/g, "[$&]");

/** A regular expression, for DuckDB and JavaScript alike, of a number in a form, blanks and signs made alike by {@link alikeSql}. */
function pattern({ decimal, group, currency, percent }: NumberForm): string {
  const point = escaped(decimal);
  // With a comma or a point between groups, a long run of digits would mean that they are no groups.
  const ungrouped = group === "," || group === "." ? "[1-9][0-9]{0,2}" : "[1-9][0-9]*";
  const whole = `(?:0|${ungrouped}${group === "" ? "" : `|[1-9][0-9]{0,2}(?:${escaped(group)}[0-9]{3})+`})`;
  const exponent = group === "" && currency === "" && !percent ? "(?:[eE][+-]?[0-9]+)?" : "";
  const number = `(?:${whole}(?:${point}[0-9]*)?|${point}[0-9]+)${exponent}`;
  const unit = escaped(currency);
  const signed =
    currency === ""
      ? `[+-]?${number}`
      : `(?:[+-]?${unit} ?[+-]?${number}|[+-]?${number} ?${unit}|[(]${unit} ?${number}[)])`;
  return percent ? `${signed} ?%` : signed;
}

/** A value with one kind of space, apostrophe and minus. */
export function alikeSql(text: string): string {
  const spaces = `regexp_replace(${text}, '[\\x{a0}\\x{2009}\\x{202f}]', ' ', 'g')`;
  return `trim(replace(replace(${spaces}, '’', ''''), '−', '-'), ' \t')`;
}

/** The {@link Shape} of a value. @param alike the name of a column that holds {@link alikeSql} */
export function shapeSql(alike: string): string {
  const digits = `regexp_replace(${alike}, '[0-9]', '9', 'g')`;
  return `CASE WHEN regexp_matches(${alike}, '^[^0-9]*0') THEN regexp_replace(${digits}, '9', '0') ELSE ${digits} END`;
}

/** The number that a text says in a form, a DOUBLE; NULL where it is in another form or none. */
export function formedNumberSql(text: string, form: NumberForm): string {
  const { decimal, group, currency } = form;
  const alike = alikeSql(text);
  let bare = `regexp_replace(${alike}, '[ %()''${currency}]', '', 'g')`;
  if (group === "," || group === ".") bare = `replace(${bare}, '${group}', '')`;
  if (decimal === ",") bare = `replace(${bare}, ',', '.')`;
  const number = `TRY_CAST(${bare} AS DOUBLE)`;
  return `CASE WHEN regexp_full_match(${alike}, ${quoteText(pattern(form))}) THEN CASE WHEN contains(${text}, '(') THEN -${number} ELSE ${number} END END`;
}

/** A form in words, for a notice: `decimal commas and points between thousands`. */
export function describeForm({ decimal, group, currency, percent }: NumberForm): string {
  const groups = { "": "", ",": "commas", ".": "points", " ": "spaces", "'": "apostrophes" }[group];
  const parts = [
    ...(decimal === "," ? ["decimal commas"] : []),
    ...(groups === "" ? [] : [`${groups} between thousands`]),
    ...(currency === "" ? [] : [`the sign ${currency}`]),
    ...(percent ? ["percent signs (12 % is 12)"] : []),
  ];
  return parts.length === 0 ? "minus signs and spaces of print" : parts.join(" and ");
}

/** What the letters beside a column say about its numbers. */
export interface FormHints {
  /** The file's delimiter: programs write `;` where the comma is the decimal sign. "" where there is none. */
  delimiter: string;
  /** The decimal sign, where the user has said it. */
  decimal?: "." | ",";
  /** What stands between groups of three digits, where the user has said it; "" for nothing. */
  group?: NumberForm["group"];
}

/** Whether the user has named a decimal comma, so that points are no decimal signs. */
export function namesDecimalComma({ decimal, group }: FormHints): boolean {
  return decimal === "," || group === ".";
}

/**
 * The form in which all shapes are numbers. Null: there is none. `ambiguous`: `1,234` could be 1.234 or 1234.
 *
 * `1,234` is 1234 where a value has two commas or a decimal point (`1,234,567`, `1,234.5`), where numbers below 1000
 * stand without a comma, with `$` or `£`, and in a file delimited by commas; it is 1.234 where any value has other than
 * three digits behind its comma or begins with 0, and in a file delimited by semicolons. `1.234` is 1.234 unless the
 * column has `1.234.567` or `1.234,5`.
 */
export function findNumberForm(shapes: readonly Shape[], hints: FormHints): NumberForm | "ambiguous" | null {
  const all = shapes.map(({ shape }) => shape).join("");
  const signs = [...CURRENCIES].filter((sign) => all.includes(sign));
  if (signs.length > 1) return null;
  const currency = signs[0] ?? "";
  const percent = all.includes("%");
  const fits = SEPARATORS.filter(
    ([decimal, group]) => decimal === (hints.decimal ?? decimal) && group === (hints.group ?? group),
  )
    .map(([decimal, group]): NumberForm => ({ decimal, group, currency, percent }))
    .filter((form) => {
      const whole = new RegExp(`^(?:${pattern(form)})$`);
      return shapes.every(({ shape }) => whole.test(shape));
    });
  const has = (decimal: string, group: string) =>
    fits.find((form) => form.decimal === decimal && form.group === group);
  const comma = has(",", "");
  const thousands = has(".", ",");
  const plain = has(".", "");
  if (plain !== undefined) return plain;
  if (comma === undefined || thousands === undefined) return fits[0] ?? null;
  const small = shapes.some(({ shape }) => !shape.includes(","));
  if (small || currency === "$" || currency === "£" || hints.delimiter === ",") return thousands;
  return hints.delimiter === ";" ? comma : "ambiguous";
}
