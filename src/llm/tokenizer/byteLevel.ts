/** @file Bytes as printable characters, as GPT-2 writes them (Radford et al. 2019, section 2.2), and its pieces of text. */
import { SPACE, unicodeClass } from "./unicode/classes.ts";

const BYTES = 256;

/** A printable character for each byte: itself where it has one, else one from U+0100 on. */
export const BYTE_NAMES: readonly string[] = (() => {
  const isPrintable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let next = BYTES;
  return Array.from({ length: BYTES }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
})();

const BYTE_OF: ReadonlyMap<string, number> = new Map(BYTE_NAMES.map((name, byte) => [name, byte]));

const [letter, number] = [unicodeClass("L"), unicodeClass("N")];

/** Contractions, letters, digits and signs with the space before them, and other space. */
export const GPT2_PIECES = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?${letter}+| ?${number}+| ?[^${SPACE}${letter}${number}]+|${SPACE}+(?![^${SPACE}])|${SPACE}+`,
  "gv",
);

/** The UTF-8 bytes of a text, a character each. */
export function byteNames(text: string): string {
  let names = "";
  for (const byte of Buffer.from(text)) names += BYTE_NAMES[byte]!;
  return names;
}

/** The bytes that a token stands for; of one with a character that is no byte's, its own UTF-8. */
export function namedBytes(token: string): Uint8Array {
  const bytes = Array.from(token, (name) => BYTE_OF.get(name));
  return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : Buffer.from(token);
}
