/**
 * @file Classes of characters as Hugging Face's tokenizers have them: those of Rust's standard library, of its regex crate,
 * of Oniguruma, and of the crates unicode_categories and unicode-normalization-alignments, whose tables are older.
 *
 * Regular expressions here have the flag `v`, so that a class can be another one without some characters.
 */
import {
  ALSO_COMBINING,
  ALSO_NONSPACING,
  ALSO_PUNCTUATION,
  BERT_REMOVED,
  NEW_IN_17,
  NOT_COMBINING,
  NOT_NONSPACING,
  NOT_NORMALIZED,
  NOT_PUNCTUATION,
} from "./exceptions.ts";

/** A table of {@link NEW_IN_17}'s kind as the members of a class. */
export function members(table: string): string {
  const point = (hex: string) => `\\u{${hex}}`;
  return table
    .split(" ")
    .map((range) => range.split("-").map(point).join("-"))
    .join("");
}

/** Characters that are not assigned where tokenizers 0.23 looks. */
export const UNASSIGNED = `[\\p{Cn}${members(NEW_IN_17)}]`;
const assigned = (classes: string) => `[${classes}--${UNASSIGNED}]`;

/** `\s` of Rust and of Oniguruma: U+0085 among them, U+FEFF not. */
export const SPACE = "\\p{White_Space}";
/** `\w` of the regex crate. */
const REGEX_WORD = assigned("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d]");
/** `[[:word:]]` of Oniguruma, and `\w` between brackets. */
export const POSIX_WORD = assigned("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]");
/** `\w` of Oniguruma. */
export const WORD = `[${POSIX_WORD}\\u{b2}-\\u{b3}\\u{b9}\\u{bc}-\\u{be}]`;

/** A class of Unicode, such as `L` or `Script=Han`, as it was in Unicode 16. */
export function unicodeClass(name: string): string {
  // U+0295 has become a letter without case.
  if (name === "Ll" || name === "Lowercase") return `[${assigned(`\\p{${name}}`)}\\u{295}]`;
  if (name === "Lo") return `[${assigned("\\p{Lo}")}--\\u{295}]`;
  if (name === "Cn") return UNASSIGNED;
  if (name === "C") return `[\\p{C}${members(NEW_IN_17)}]`;
  return assigned(`\\p{${name}}`);
}

const punctuation = `[[\\p{P}!-\\/:-@\\[-\`\\{-~${members(ALSO_PUNCTUATION)}]--[${members(NOT_PUNCTUATION)}]]`;
const combining = `[[\\p{M}${members(ALSO_COMBINING)}]--[${members(NOT_COMBINING)}]]`;
const nonspacing = `[[\\p{Mn}${members(ALSO_NONSPACING)}]--[${members(NOT_NONSPACING)}]]`;

/** One character of white space. */
export const isSpace = new RegExp(`^${SPACE}$`, "v");
/** One character of a word. */
export const isWord = new RegExp(`^${REGEX_WORD}$`, "v");
/** Runs of word characters, and of others that are no space: what `Whitespace` keeps. */
export const WORDS_AND_SIGNS = new RegExp(`${REGEX_WORD}+|[^${REGEX_WORD}${SPACE}]+`, "gv");
export const SPACES = new RegExp(SPACE, "gv");
export const NUMBERS = /\p{N}/gv;
export const PUNCTUATION = new RegExp(punctuation, "gv");
/** Marks that `StripAccents` removes. */
export const COMBINING = new RegExp(combining, "gv");
/** Marks that BertNormalizer removes. */
export const NONSPACING = new RegExp(nonspacing, "gv");
/** What BertNormalizer's `clean_text` removes. */
export const REMOVED_BY_BERT = new RegExp(`[${members(BERT_REMOVED)}]`, "gv");

const unknown = new RegExp(`([${members(NOT_NORMALIZED)}${members(NOT_COMBINING)}]+)`, "v");

/** Unicode normalization; characters that are younger than the tables stay, and end a sequence. */
export function normalizeUnicode(text: string, form: "NFC" | "NFD" | "NFKC" | "NFKD"): string {
  if (!unknown.test(text)) return text.normalize(form);
  // Every second part is what the group has found.
  return text
    .split(unknown)
    .map((part, i) => (i % 2 === 0 ? part.normalize(form) : part))
    .join("");
}
