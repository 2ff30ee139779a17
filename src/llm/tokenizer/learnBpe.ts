/**
 * @file Byte-level byte-pair encoding as GPT-2 has it (Sennrich et al. 2016; Radford et al. 2019, section 2.2): learns
 * merges from a text, cuts text into tokens by them, and writes them as `tokenizer.json`.
 *
 * Token 0 ends a text, tokens 1 to 256 are the bytes, the others are merges in the order in which they were learned:
 * the commonest pair of neighbouring tokens first, of equals the one with the lower tokens. No merge reaches from one word
 * into the next.
 */
import { BYTE_NAMES, GPT2_PIECES } from "./byteLevel.ts";

/** A text's end; no text holds it. */
export const END_OF_TEXT = 0;
const END_NAME = "<|endoftext|>";
const BYTES = 256;
/** Words: contractions, letters, digits and signs with the space before them, and other space. */
const WORD = new RegExp(GPT2_PIECES.source, "vy");
/** Characters behind a word that decide where it ends. */
const LOOKAHEAD = 4;
/** Longest word, in characters of UTF-16; what is longer is cut there. */
const MOST_CHARACTERS = 2 ** 16;
/** Different words that are counted or whose tokens are remembered at a time. */
const MOST_WORDS = 2 ** 19;

/** A learned encoding. */
export interface Bpe {
  /** Names of all tokens, bytes spelled as {@link BYTE_NAMES}. */
  readonly tokens: readonly string[];
  /** Pairs of tokens in the order in which they were learned; pair i makes token 257 + i. */
  readonly merges: readonly (readonly [number, number])[];
}

/** A word's tokens, and how often it occurs. */
interface Word {
  tokens: number[];
  count: number;
}

const pairKey = (a: number, b: number): number => a * 2 ** 20 + b;

/** How often each pair occurs, and in which words. */
class PairCounts {
  readonly #counts = new Map<number, number>();
  readonly #words = new Map<number, Set<Word>>();

  add(word: Word, sign: 1 | -1): void {
    for (let i = 1; i < word.tokens.length; i++) {
      const key = pairKey(word.tokens[i - 1]!, word.tokens[i]!);
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + sign * word.count);
      let words = this.#words.get(key);
      if (!words) this.#words.set(key, (words = new Set()));
      words.add(word);
    }
  }

  /** The commonest pair and the words that have had it; null when none occurs twice. */
  takeCommonest(): { pair: [number, number]; words: Word[] } | null {
    let [best, most] = [-1, 1];
    for (const [key, count] of this.#counts)
      if (count > most || (count === most && key < best)) [best, most] = [key, count];
    if (best < 0) return null;
    const words = [...this.#words.get(best)!];
    this.#words.delete(best);
    return { pair: [Math.floor(best / 2 ** 20), best % 2 ** 20], words };
  }
}

/** Tokens with each occurrence of a pair replaced, from the left. */
function merged(tokens: readonly number[], [a, b]: readonly [number, number], into: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] === a && tokens[i + 1] === b) {
      out.push(into);
      i++;
    } else out.push(tokens[i]!);
  }
  return out;
}

const bytesOf = (word: string): number[] => Array.from(Buffer.from(word), (byte) => byte + 1);

/** The words of a text that comes in pieces, the same whatever the pieces. */
export class WordReader {
  #text = "";

  /** Words that are complete. @param piece whole characters */
  *read(piece: string, isLast = false): Generator<string> {
    this.#text += piece;
    const text = this.#text;
    const end = isLast ? text.length : text.length - LOOKAHEAD;
    let at = 0;
    while (at < end) {
      WORD.lastIndex = at;
      const [found] = WORD.exec(text)!;
      const word = found.length > MOST_CHARACTERS ? cut(found) : found;
      // A word that ends in the last characters may go on in the next piece.
      if (at + word.length > end && !isLast && word === found) break;
      yield word;
      at += word.length;
    }
    this.#text = text.slice(at);
  }
}

/** The start of a word that is too long, without half a character. */
function cut(word: string): string {
  const isHalf = (word.codePointAt(MOST_CHARACTERS - 1) ?? 0) > 0xffff;
  return word.slice(0, isHalf ? MOST_CHARACTERS - 1 : MOST_CHARACTERS);
}

function* wordsOf(text: string): Generator<string> {
  yield* new WordReader().read(text, true);
}

/** How often each word occurs. */
export class WordCounts {
  #counts = new Map<string, number>();

  /** The counts. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** Of very many different words, those that came once so far are forgotten. */
  add(word: string): void {
    this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
    if (this.#counts.size > MOST_WORDS)
      this.#counts = new Map(
        this.#counts
          .entries()
          .filter(([, count]) => count > 1)
          .take(MOST_WORDS / 2),
      );
  }
}

/**
 * Learns an encoding.
 * @param text a text, or how often each word occurs in it
 * @param vocabulary tokens in all, 257 or more; a short text may give fewer
 */
export function learnBpe(text: string | WordCounts, vocabulary: number): Bpe {
  const words = typeof text === "string" ? new WordCounts() : text;
  if (typeof text === "string") for (const word of wordsOf(text)) words.add(word);
  const pairs = new PairCounts();
  for (const [word, count] of words.counts) pairs.add({ tokens: bytesOf(word), count }, 1);
  const tokens = [END_NAME, ...BYTE_NAMES];
  const merges: [number, number][] = [];
  while (tokens.length < vocabulary) {
    const found = pairs.takeCommonest();
    if (!found) break;
    const { pair, words } = found;
    for (const word of words) {
      pairs.add(word, -1);
      word.tokens = merged(word.tokens, pair, tokens.length);
      pairs.add(word, 1);
    }
    merges.push(pair);
    tokens.push(tokens[pair[0]]! + tokens[pair[1]]!);
  }
  return { tokens, merges };
}

/** Cuts words into tokens. */
export class WordEncoder {
  readonly #merges: Bpe["merges"];
  readonly #ranks: ReadonlyMap<number, number>;
  readonly #known = new Map<string, number[]>();

  constructor({ merges }: Bpe) {
    this.#merges = merges;
    this.#ranks = new Map(merges.map(([a, b], rank) => [pairKey(a, b), rank]));
  }

  encode(word: string): readonly number[] {
    let tokens = this.#known.get(word);
    if (tokens) return tokens;
    tokens = encodeWord(this.#ranks, this.#merges, bytesOf(word));
    if (this.#known.size >= MOST_WORDS) this.#known.clear();
    this.#known.set(word, tokens);
    return tokens;
  }
}

/** The tokens of a text. */
export function encodeText(bpe: Bpe, text: string): Int32Array {
  const encoder = new WordEncoder(bpe);
  const all: number[] = [];
  for (const word of wordsOf(text)) for (const token of encoder.encode(word)) all.push(token);
  return Int32Array.from(all);
}

function encodeWord(ranks: ReadonlyMap<number, number>, merges: Bpe["merges"], bytes: number[]): number[] {
  let tokens = bytes;
  for (;;) {
    let first = Number.POSITIVE_INFINITY;
    for (let i = 1; i < tokens.length; i++) {
      first = Math.min(first, ranks.get(pairKey(tokens[i - 1]!, tokens[i]!)) ?? first);
    }
    if (first === Number.POSITIVE_INFINITY) return tokens;
    tokens = merged(tokens, merges[first]!, BYTES + 1 + first);
  }
}

/** `tokenizer.json` of an encoding, as Hugging Face's `tokenizers` has it. */
export function bpeTokenizer({ tokens, merges }: Bpe): object {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: END_OF_TEXT,
        content: END_NAME,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges.map(([a, b]) => [tokens[a]!, tokens[b]!]),
    },
  };
}
