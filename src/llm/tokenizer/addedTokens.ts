/**
 * @file Added tokens of a `tokenizer.json`: texts that are tokens wherever they stand, whatever the model says. Those that are
 * not `normalized` are looked for in the text as it is, the others in the normalized text.
 */
import { z } from "zod";
import { optionsOf } from "./component.ts";
import type { Normalizer } from "./normalizers.ts";
import { slice, wholeText, type Piece } from "./text.ts";
import { Trie } from "./trie.ts";
import { isSpace, isWord } from "./unicode/classes.ts";

const schema = z.array(
  z.object({
    content: z.string(),
    single_word: z.boolean().default(false),
    lstrip: z.boolean().default(false),
    rstrip: z.boolean().default(false),
    normalized: z.boolean().optional(),
    special: z.boolean().default(false),
  }),
);

interface AddedToken {
  readonly id: number;
  /** What is looked for, and what is decoded. */
  readonly text: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
}

/** A piece of text, or the token that it is. */
export type Part = Piece | number;

const lastCharacter = (text: string) => /[^]?$/v.exec(text)![0];
const firstCharacter = (text: string) => /^[^]?/v.exec(text)![0];

/** Added tokens, found in a text. */
class Finder {
  readonly #trie = new Trie();
  readonly #tokens = new Map<number, AddedToken>();

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) {
      if (token.text === "") continue;
      this.#tokens.set(token.id, token);
      this.#trie.set(token.text, token.id);
    }
  }

  /** The parts of a piece: the leftmost token first, of those that begin at a place the longest. */
  split(piece: Piece): Part[] {
    if (this.#tokens.size === 0) return piece.text === "" ? [] : [slice(piece, 0, piece.text.length)];
    const { text } = piece;
    const parts: Part[] = [];
    let done = 0;
    for (let at = 0; at < text.length;) {
      let [end, id] = [-1, -1];
      this.#trie.prefixes(text, at, (to, found) => {
        [end, id] = [to, found];
      });
      if (end < 0) {
        at++;
        continue;
      }
      const place = this.#place(this.#tokens.get(id)!, text, at, end, done);
      if (place !== null) {
        if (done < place.start) parts.push(slice(piece, done, place.start));
        parts.push(id);
        done = place.end;
      }
      at = end;
    }
    if (done < text.length) parts.push(slice(piece, done, text.length));
    return parts;
  }

  /** What a token takes of the text with the space around it; null where it must be a word and is a part of one. */
  #place(token: AddedToken, text: string, start: number, end: number, done: number) {
    if (token.single_word) {
      const isPart =
        isWord.test(lastCharacter(text.slice(0, start))) || isWord.test(firstCharacter(text.slice(end)));
      if (isPart) return null;
    }
    let [from, to] = [start, end];
    if (token.lstrip) while (from > done && isSpace.test(text[from - 1]!)) from--;
    if (token.rstrip) while (to < text.length && isSpace.test(text[to]!)) to++;
    return { start: from, end: to };
  }
}

/** The added tokens of a tokenizer. */
export class AddedTokens {
  /** Names as they are decoded, by id. */
  readonly names = new Map<number, string>();
  /** Names of special tokens, which no decoded text holds. */
  readonly special = new Set<string>();
  readonly #asWritten: Finder;
  readonly #normalized: Finder;
  readonly #normalize: Normalizer;

  /**
   * @param config `added_tokens`
   * @param vocabulary of the model; a token that is in it has its id, others have the ids that follow
   * @throws ParetoError LLM_MODEL_DAMAGED
   */
  constructor(config: unknown, vocabulary: ReadonlyMap<string, number>, normalize: Normalizer, file: string) {
    const ids = new Map<string, number>();
    const tokens = new Map<number, AddedToken>();
    let next = vocabulary.size;
    for (const { content, special, normalized = !special, ...rest } of optionsOf(schema, config ?? [], {
      file,
      path: ["added_tokens"],
    })) {
      if (content === "") continue;
      const id = ids.get(content) ?? vocabulary.get(content) ?? next++;
      ids.set(content, id);
      const text = normalized ? normalize(wholeText(content)).text : content;
      tokens.set(id, { id, text, normalized, ...rest });
      this.names.set(id, text);
      if (special) this.special.add(content);
    }
    const all = [...tokens.values()];
    this.#asWritten = new Finder(all.filter((token) => !token.normalized));
    this.#normalized = new Finder(all.filter((token) => token.normalized));
    this.#normalize = normalize;
  }

  /** The parts of a text, normalized. */
  split(text: string): Part[] {
    return this.#asWritten
      .split(wholeText(text))
      .flatMap((part) => (typeof part === "number" ? [part] : this.#normalized.split(this.#normalize(part))));
  }
}
