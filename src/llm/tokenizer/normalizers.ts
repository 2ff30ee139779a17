/**
 * @file Normalizers of a `tokenizer.json`: what is done to a text before it is cut. Each does what tokenizers 0.23 does, to
 * its Unicode tables.
 */
import { z } from "zod";
import { byteNames } from "./byteLevel.ts";
import {
  makeOptional,
  makeSequence,
  optionsOf,
  patternSchema,
  requireGrowth,
  placeText,
  type Makers,
  type Place,
} from "./component.ts";
import { TokenizerPattern } from "./patterns/tokenizerPattern.ts";
import { precompiledNormalizer } from "./precompiled.ts";
import { firstLength, mapped, prepended, type Piece } from "./text.ts";
import {
  COMBINING,
  isSpace,
  NONSPACING,
  normalizeUnicode,
  REMOVED_BY_BERT,
  SPACES,
} from "./unicode/classes.ts";

/** Changes a text. */
export type Normalizer = (piece: Piece) => Piece;

/** CJK ideographs, which BertNormalizer sets apart; the ranges are those of tokenizers. */
const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gv;
// oxlint-disable-next-line no-control-regex -- control characters are what it removes
const NMT_REMOVED = /[\x01-\x08\v\x0e-\x1f\x7f\x8f\x9f]/gv;
const NMT_SPACES = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/gv;

/** Character by character, so that no final sigma is known; as Rust's `char::to_lowercase`. */
function lowercase(text: string): string {
  return /^[\0-\x7f]*$/.test(text)
    ? text.toLowerCase()
    : Array.from(text, (character) => character.toLowerCase()).join("");
}

const byMap =
  (map: (text: string) => string): Normalizer =>
  (piece) =>
    mapped(piece, map);

/** Unicode normalization can join the first character with what follows. */
function byForm(form: "NFC" | "NFD" | "NFKC" | "NFKD"): Normalizer {
  return ({ text, first, head }) => {
    const normalized = normalizeUnicode(text, form);
    const start = head === 0 ? 0 : normalizeUnicode(text.slice(0, head), form).length;
    return { text: normalized, first, head: head === 0 ? 0 : Math.max(start, firstLength(normalized)) };
  };
}

function stripped({ text, first, head }: Piece, left: boolean, right: boolean): Piece {
  let start = 0;
  let end = text.length;
  if (left) while (start < end && isSpace.test(text[start]!)) start++;
  if (right) while (end > start && isSpace.test(text[end - 1]!)) end--;
  return { text: text.slice(start, end), first, head: Math.max(0, head - start) };
}

/** A text with matches replaced. What comes in for a match counts as part of its last character. */
export function replaced({ text, first, head }: Piece, pattern: TokenizerPattern, content: string): Piece {
  let out = "";
  let done = 0;
  let newHead = head;
  let isHead = true;
  for (const [start, end] of pattern.matches(text)) {
    out += text.slice(done, start);
    isHead &&= start <= head && (end === 0 || end <= head || head === 0);
    if (isHead && head > 0 && end <= head) newHead += content.length - (end - start);
    else if (start < head) newHead = out.length;
    out += content;
    done = end;
  }
  return { text: out + text.slice(done), first, head: Math.max(0, newHead) };
}

const bertOptions = z.object({
  clean_text: z.boolean(),
  handle_chinese_chars: z.boolean(),
  strip_accents: z.boolean().nullish(),
  lowercase: z.boolean(),
});

function bertNormalizer(options: unknown, place: Place): Normalizer {
  const {
    clean_text,
    handle_chinese_chars,
    strip_accents,
    lowercase: lower,
  } = optionsOf(bertOptions, options, place);
  const steps: ((text: string) => string)[] = [];
  if (clean_text) steps.push((text) => text.replaceAll(REMOVED_BY_BERT, "").replaceAll(SPACES, " "));
  if (handle_chinese_chars) steps.push((text) => text.replaceAll(CHINESE, " $& "));
  if (strip_accents ?? lower) steps.push((text) => normalizeUnicode(text, "NFD").replaceAll(NONSPACING, ""));
  if (lower) steps.push(lowercase);
  return (piece) => steps.reduce(mapped, piece);
}

const stripOptions = z.object({ strip_left: z.boolean(), strip_right: z.boolean() });
const prependOptions = z.object({ prepend: z.string() });
const replaceOptions = z.object({ pattern: patternSchema, content: z.string() });

/** The pattern of `Replace` and `Split`. */
export function patternOf(pattern: z.infer<typeof patternSchema>, place: Place): TokenizerPattern {
  const where = placeText(place);
  return "String" in pattern
    ? TokenizerPattern.literal(pattern.String, where)
    : TokenizerPattern.regex(pattern.Regex, where);
}

const MAKERS: Makers<Normalizer> = {
  BertNormalizer: bertNormalizer,
  ByteLevel: () => byMap(byteNames),
  Lowercase: () => byMap(lowercase),
  NFC: () => byForm("NFC"),
  NFD: () => byForm("NFD"),
  NFKC: () => byForm("NFKC"),
  NFKD: () => byForm("NFKD"),
  Nmt: () => byMap((text) => text.replaceAll(NMT_REMOVED, "").replaceAll(NMT_SPACES, " ")),
  Precompiled: precompiledNormalizer,
  Prepend: (options, place) => {
    const { prepend } = optionsOf(prependOptions, options, place);
    return (piece) => (piece.text === "" ? piece : prepended(piece, prepend));
  },
  Replace: (options, place) => {
    const { pattern, content } = optionsOf(replaceOptions, options, place);
    const compiled = patternOf(pattern, place);
    return (piece) => replaced(piece, compiled, content);
  },
  Sequence: (options, place) => {
    const all = makeSequence(MAKERS, "normalizer", "normalizers", options, place);
    return (piece) =>
      all.reduce((text, normalize) => {
        const normalized = normalize(text);
        requireGrowth(piece.text.length, normalized.text.length, place);
        return normalized;
      }, piece);
  },
  Strip: (options, place) => {
    const { strip_left, strip_right } = optionsOf(stripOptions, options, place);
    return (piece) => stripped(piece, strip_left, strip_right);
  },
  StripAccents: () => byMap((text) => text.replaceAll(COMBINING, "")),
};

/** The normalizer of a tokenizer. @throws ParetoError LLM_UNSUPPORTED, LLM_MODEL_DAMAGED */
export function makeNormalizer(config: unknown, file: string): Normalizer {
  return makeOptional(MAKERS, "normalizer", config, { file, path: ["normalizer"] }) ?? ((piece) => piece);
}
