/**
 * @file The words of the synthetic tasks: one token each. A text of them reads like
 * `river bada 17 stone copy A d F end cloud ask bada 17`.
 *
 * Ids never change, as shipped models were trained on them.
 */

const KEY_STARTS = ["ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru"];
const KEY_ENDS = ["da", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu"];
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const FILLER = `acorn anchor apple arrow autumn badge barrel basket beacon berry bottle branch breeze bridge
  bronze button cabin candle canvas carpet castle cedar cherry circle cloud clover copper corner cotton cradle
  crystal desert dragon drift eagle ember engine falcon feather fiddle field flame forest fountain garden glacier
  glove granite hammer harbor hazel helmet hollow island ivory jacket jungle kettle kitchen ladder lantern leather
  lemon linen maple marble meadow mirror mountain needle olive orchard paper pebble pepper pillow pocket prairie
  quarry ribbon river saddle shadow silver spring stone summer thunder timber tunnel valley velvet willow winter`
  .split(/\s+/)
  .filter((word) => word !== "");

const markers = ["<|end|>", "<|unknown|>", "ask", "copy", "end", "repeat"];
const keys = KEY_STARTS.flatMap((start) => KEY_ENDS.map((end) => start + end));
const values = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, "0"));

/** All words; a word's place is its token. */
export const WORDS: readonly string[] = [...markers, ...keys, ...values, ...LETTERS, ...FILLER];

/** A run of tokens. */
export interface TokenRange {
  readonly first: number;
  readonly count: number;
}

const firstKey = markers.length;
/** Names that have a value or stand for another name. */
export const KEYS: TokenRange = { first: firstKey, count: keys.length };
/** Two-digit numbers. */
export const VALUES: TokenRange = { first: KEYS.first + KEYS.count, count: values.length };
/** What strings to be copied consist of. */
export const LETTER_TOKENS: TokenRange = { first: VALUES.first + VALUES.count, count: LETTERS.length };
/** Words that mean nothing. */
export const FILLER_TOKENS: TokenRange = {
  first: LETTER_TOKENS.first + LETTER_TOKENS.count,
  count: FILLER.length,
};

/** `ask KEY` is followed by the key's value. */
export const ASK = 2;
/** Begins a string to be copied. */
export const COPY = 3;
/** Ends that string. */
export const END = 4;
/** Is followed by the string, with its end. */
export const REPEAT = 5;
/** Tokens after which a text is over. */
export const END_OF_TEXT = 0;
