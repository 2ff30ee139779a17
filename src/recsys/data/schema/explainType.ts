/** @file What the user should know of a column's type: why it is text although it holds numbers, and what of its numbers is missing. */
import { namesDecimalComma, type FormHints } from "./numberForm.ts";
import { CLASS, MISSING_NUMBERS, NUMBERS, within } from "./valueClass.ts";

/** A column whose type was decided. */
interface Decided {
  readonly name: string;
  readonly type: string;
  reason: string;
}

/** How many values are of a kind, and the first of them in words. */
interface Found {
  readonly count: number;
  readonly first: string;
}

/** Kinds of a column's values. */
export interface FoundKinds {
  /** Values in all. */
  readonly all: number;
  /** Codes that look like numbers. */
  readonly codes: Found;
  readonly nonFinite: Found;
  readonly absent: Found;
  /** What is no number. */
  readonly words: Found;
}

/** Notices about a column, whose `reason` is set where it is text. @param mask the classes of its values */
export function explainType(
  column: Decided,
  mask: number,
  { all, codes, nonFinite, absent, words }: FoundKinds,
  hints: FormHints,
): string[] {
  const notices: string[] = [];
  const { name } = column;
  if (column.type !== "VARCHAR") {
    if (absent.count > 0) {
      notices.push(
        `Column "${name}" is numeric but for marks of absence such as NA (${absent.count}), read as missing; ${absent.first}.`,
      );
    }
    // Of columns of fractions, roles and training say it.
    if (nonFinite.count > 0 && column.type === "BIGINT") {
      notices.push(`Column "${name}" holds ${nonFinite.count} NaN or infinite values, treated as missing.`);
    }
    return notices;
  }
  if (within(mask, NUMBERS | MISSING_NUMBERS)) {
    if (column.reason !== "") {
      notices.push(
        `Column "${name}" is kept as text: ${column.reason}. Say which with --csv decimal=, or --csv decimal=.`,
      );
    } else if ((mask & CLASS.marked) !== 0 || (namesDecimalComma(hints) && (mask & CLASS.fraction) !== 0)) {
      const said = hints.decimal !== undefined || hints.group !== undefined;
      column.reason = said ? "numbers not written as --csv says" : "numbers written in several ways";
      notices.push(
        `Column "${name}" is kept as text: its numbers are ${said ? "not all written as --csv says" : "written in several ways"}.`,
      );
    } else if (codes.count > 0) {
      column.reason = `codes: ${codeWords(mask)}, ${codes.first}`;
      notices.push(
        `Column "${name}" is kept as text, exactly as it is written: ${codeWords(mask)}; ${codes.first}.`,
      );
    }
  } else if (words.count * 10 <= all) {
    column.reason = `text in ${words.count} of ${all} values, ${words.first}`;
    notices.push(
      `Column "${name}" is kept as text, because ${words.count} of its ${all} values ${words.count === 1 ? "is" : "are"} no number; ${words.first}.`,
    );
  }
  return notices;
}

function codeWords(mask: number): string {
  const words = [
    (mask & CLASS.leadingZero) !== 0 ? "leading zeros" : "",
    (mask & CLASS.longInteger) !== 0 ? "more digits than 64 bits hold" : "",
    (mask & CLASS.exponent) !== 0 ? "exponents without a decimal point" : "",
    (mask & CLASS.plus) !== 0 ? "plus signs" : "",
  ];
  return words.filter((word) => word !== "").join(", ");
}
