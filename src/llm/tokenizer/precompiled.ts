/**
 * @file `Precompiled`: the character map of a SentencePiece model. It is a double-array trie of UTF-8 texts (Darts; Yata et
 * al. 2007) and the texts that take their places, each ended by a zero byte.
 *
 * tokenizers takes a short grapheme as a whole by the shortest text that it begins with, and its characters one by one
 * where there is none; so the rest of such a grapheme is lost. That is kept.
 */
import { z } from "zod";
import { optionsOf, placeText, type Place } from "./component.ts";
import { damagedModel } from "../load/modelErrors.ts";
import { firstLength, type Piece } from "./text.ts";

/** Graphemes of more bytes are taken character by character. */
const LONGEST_GRAPHEME = 5;

const optionsSchema = z.object({ precompiled_charsmap: z.base64() });

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** The map: what a text begins with is replaced by. */
class CharacterMap {
  readonly #units: Uint32Array;
  readonly #texts: Buffer;

  constructor(units: Uint32Array, texts: Buffer) {
    this.#units = units;
    this.#texts = texts;
  }

  /** What takes the place of a text; null where it does not begin with any that is mapped. */
  replacement(text: string): string | null {
    const unitAt = (node: number) => this.#units[node] ?? 0;
    const offset = (unit: number) => (unit >>> 10) << ((unit & (1 << 9)) >>> 6);
    let node = offset(unitAt(0));
    for (const byte of Buffer.from(text)) {
      if (byte === 0) return null;
      node ^= byte;
      const unit = unitAt(node);
      if ((unit & 0x800000ff) >>> 0 !== byte) return null;
      node ^= offset(unit);
      if (((unit >>> 8) & 1) === 1) return this.#textAt(unitAt(node) & 0x7fffffff);
    }
    return null;
  }

  #textAt(start: number): string {
    const end = this.#texts.indexOf(0, start);
    return this.#texts.toString("utf8", start, end < 0 ? undefined : end);
  }
}

/** Makes the normalizer. @throws ParetoError LLM_MODEL_DAMAGED */
export function precompiledNormalizer(options: unknown, place: Place): (piece: Piece) => Piece {
  const bytes = Buffer.from(optionsOf(optionsSchema, options, place).precompiled_charsmap, "base64");
  const size = bytes.length < 4 ? -1 : bytes.readUInt32LE(0);
  if (size < 4 || size % 4 !== 0 || 4 + size > bytes.length) {
    const problem = "the character map must begin with the size of its trie, within the map";
    throw damagedModel(placeText(place), problem, `${size} of ${bytes.length} bytes`);
  }
  const units = Uint32Array.from({ length: size / 4 }, (_, i) => bytes.readUInt32LE(4 + 4 * i));
  const map = new CharacterMap(units, bytes.subarray(4 + size));
  const characters = (grapheme: string): string =>
    Array.from(grapheme, (character) => map.replacement(character) ?? character).join("");
  const normalized = (grapheme: string): string => {
    if (Buffer.byteLength(grapheme) > LONGEST_GRAPHEME) return characters(grapheme);
    return map.replacement(grapheme) ?? characters(grapheme);
  };
  return ({ text, first, head }) => {
    const parts = Array.from(graphemes.segment(text), ({ segment }) => normalized(segment));
    const all = parts.join("");
    if (head === 0) return { text: all, first, head };
    const isAlone = graphemes.segment(text).containing(0)?.segment.length === firstLength(text);
    return { text: all, first, head: isAlone ? parts[0]!.length : firstLength(parts[0]!) };
  };
}
