/**
 * @file Text from outside (file names, ids, column names, values) as it may be shown: characters that steer a terminal
 * or turn the order of what is read around are written as escapes, `\u001b`, as JSON would. Text without them is
 * unchanged.
 */

/**
 * Controls of ASCII, Latin-1 and Unicode's reading order, halves of characters, line and paragraph separators, the byte
 * order mark, and invisible tags.
 */
const STEERING = /[\p{Cc}\p{Surrogate}\p{Bidi_Control}\u2028\u2029\uFEFF\u{E0000}-\u{E007F}]/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i));
  return SHORT[character] ?? units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}

/** A value on one line: line breaks and tabs are escapes too. */
export function visibleText(text: string): string {
  return text.replaceAll(STEERING, escaped);
}

/** Text of several lines: line breaks and tabs stay. */
export function visibleLines(text: string): string {
  return text.replaceAll(STEERING, (character) =>
    character === "\n" || character === "\t" ? character : escaped(character),
  );
}

/** A JSON text with the same value, in which nothing steers a terminal. */
export function visibleJson(value: unknown): string {
  // What is left of such characters in JSON stands in strings, where the escapes mean the same.
  return JSON.stringify(value).replaceAll(STEERING, escaped);
}
