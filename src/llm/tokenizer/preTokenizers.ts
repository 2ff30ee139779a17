/** @file Pre-tokenizers of a `tokenizer.json`: where a text is cut into the pieces that a model sees one by one. */
import { z } from "zod";
import { byteNames, GPT2_PIECES } from "./byteLevel.ts";
import {
  makeOptional,
  makeSequence,
  oneCharacter,
  optionsOf,
  patternSchema,
  requireGrowth,
  type Makers,
  type Place,
} from "./component.ts";
import { patternOf } from "./normalizers.ts";
import { scriptStarts } from "./scripts.ts";
import { BEHAVIORS, matchesOf, splitPiece, stretches, type Behavior } from "./split.ts";
import { mapped, prepended, slice, type Piece } from "./text.ts";
import { NUMBERS, PUNCTUATION, SPACES, WORDS_AND_SIGNS } from "./unicode/classes.ts";

/** Cuts a piece into pieces, none of them empty. */
export type PreTokenizer = (piece: Piece) => Piece[];

const byMatches =
  (pattern: RegExp, behavior: Behavior): PreTokenizer =>
  (piece) =>
    splitPiece(piece, stretches(piece.text, matchesOf(piece.text, pattern)), behavior);

const both =
  (one: PreTokenizer, other: PreTokenizer): PreTokenizer =>
  (piece) =>
    one(piece).flatMap(other);

const byteLevelOptions = z.object({ add_prefix_space: z.boolean(), use_regex: z.boolean().default(true) });

function byteLevel(options: unknown, place: Place): PreTokenizer {
  const { add_prefix_space, use_regex } = optionsOf(byteLevelOptions, options, place);
  const cut = use_regex ? byMatches(GPT2_PIECES, "Isolated") : (piece: Piece) => [piece];
  return (piece) => {
    const begun = add_prefix_space && !piece.text.startsWith(" ") ? prepended(piece, " ") : piece;
    return cut(begun).map((part) => mapped(part, byteNames));
  };
}

const metaspaceOptions = z.object({
  replacement: oneCharacter,
  prepend_scheme: z.enum(["first", "never", "always"]).default("always"),
  add_prefix_space: z.boolean().nullish(),
  split: z.boolean().nullish(),
});

/** Options of `Metaspace`, as a pre-tokenizer and as a decoder. */
export function readMetaspace(options: unknown, place: Place) {
  const checked = metaspaceOptions.refine(
    ({ add_prefix_space, prepend_scheme }) =>
      add_prefix_space !== false ||
      prepend_scheme === "never" ||
      (options as object) instanceof Object === false ||
      !("prepend_scheme" in (options as object)),
    "expected add_prefix_space to agree with prepend_scheme",
  );
  const { replacement, prepend_scheme, add_prefix_space, split } = optionsOf(checked, options, place);
  return {
    replacement,
    scheme: add_prefix_space === false ? "never" : prepend_scheme,
    isSplit: split ?? true,
  };
}

function metaspace(options: unknown, place: Place): PreTokenizer {
  const { replacement, scheme, isSplit } = readMetaspace(options, place);
  const mark = new RegExp(`\\u{${replacement.codePointAt(0)!.toString(16)}}`, "gv");
  return (piece) => {
    const spaced = mapped(piece, (text) => text.replaceAll(" ", () => replacement));
    const wants = scheme === "always" || (scheme === "first" && piece.first);
    const begun = wants && !spaced.text.startsWith(replacement) ? prepended(spaced, replacement) : spaced;
    if (!isSplit) return [begun];
    return splitPiece(begun, stretches(begun.text, matchesOf(begun.text, mark)), "MergedWithNext");
  };
}

const behaviorSchema = z.enum(BEHAVIORS);
const splitOptions = z.object({ pattern: patternSchema, behavior: behaviorSchema, invert: z.boolean() });

function split(options: unknown, place: Place): PreTokenizer {
  const { pattern, behavior, invert } = optionsOf(splitOptions, options, place);
  const compiled = patternOf(pattern, place);
  return (piece) => {
    const all = stretches(piece.text, compiled.matches(piece.text));
    const wanted = invert ? all.map((one) => ({ ...one, isMatch: !one.isMatch })) : all;
    return splitPiece(piece, wanted, behavior);
  };
}

function fixedLength(options: unknown, place: Place): PreTokenizer {
  const { length } = optionsOf(z.object({ length: z.int().positive().default(5) }), options, place);
  return (piece) => {
    const ends = [0];
    let count = 0;
    let at = 0;
    for (const character of piece.text) {
      at += character.length;
      if (++count % length === 0) ends.push(at);
    }
    if (ends.at(-1) !== at) ends.push(at);
    return ends.slice(1).map((end, i) => slice(piece, ends[i]!, end));
  };
}

const MAKERS: Makers<PreTokenizer> = {
  BertPreTokenizer: () => both(byMatches(SPACES, "Removed"), byMatches(PUNCTUATION, "Isolated")),
  ByteLevel: byteLevel,
  CharDelimiterSplit: (options, place) => {
    const { delimiter } = optionsOf(z.object({ delimiter: oneCharacter }), options, place);
    return byMatches(new RegExp(`\\u{${delimiter.codePointAt(0)!.toString(16)}}`, "gv"), "Removed");
  },
  Digits: (options, place) => {
    const { individual_digits } = optionsOf(z.object({ individual_digits: z.boolean() }), options, place);
    return byMatches(NUMBERS, individual_digits ? "Isolated" : "Contiguous");
  },
  FixedLength: fixedLength,
  Metaspace: metaspace,
  Punctuation: (options, place) => {
    const { behavior } = optionsOf(
      z.object({ behavior: behaviorSchema.default("Isolated") }),
      options,
      place,
    );
    return byMatches(PUNCTUATION, behavior);
  },
  Sequence: (options, place) => {
    const all = makeSequence(MAKERS, "pre-tokenizer", "pretokenizers", options, place);
    return (piece) =>
      all.reduce<Piece[]>(
        (pieces, cut) => {
          const cuts = pieces.flatMap(cut);
          const length = cuts.reduce((sum, { text }) => sum + text.length, 0);
          requireGrowth(piece.text.length, length, place);
          return cuts;
        },
        [piece],
      );
  },
  Split: split,
  UnicodeScripts: () => (piece) => {
    const starts = scriptStarts(piece.text);
    return starts.map((start, i) => slice(piece, start, starts[i + 1] ?? piece.text.length));
  },
  Whitespace: () => (piece) =>
    Array.from(matchesOf(piece.text, WORDS_AND_SIGNS), ([start, end]) => slice(piece, start, end)),
  WhitespaceSplit: () => byMatches(SPACES, "Removed"),
};

/** The pre-tokenizer of a tokenizer. @throws ParetoError LLM_UNSUPPORTED, LLM_MODEL_DAMAGED */
export function makePreTokenizer(config: unknown, file: string): PreTokenizer {
  const made = makeOptional(MAKERS, "pre-tokenizer", config, { file, path: ["pre_tokenizer"] });
  return made ?? ((piece) => [piece]);
}
