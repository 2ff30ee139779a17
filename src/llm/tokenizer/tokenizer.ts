/** @file What turns text into a model's tokens and back. */

/** A model's tokenizer. */
export interface Tokenizer {
  /** Tokens of a text, with those that a model of this kind expects before it. */
  encode(text: string): number[];
  /** The text of tokens; bytes that are not a whole character become U+FFFD. */
  decode(tokens: readonly number[]): string;
}

/** A character that is still being spelled out by tokens of single bytes. */
const UNFINISHED = "\uFFFD";

/**
 * Text of tokens as they come. A token's text can depend on the one before it, and a character may take several
 * tokens, so the text since the last whole piece is decoded together and given once it ends in a whole character.
 */
export class TokenStream {
  readonly #tokenizer: Tokenizer;
  #tokens: number[];
  /** Tokens whose text has been given. */
  #given: number;

  /** @param before tokens of the prompt: they are not given, but the text goes on from them */
  constructor(tokenizer: Tokenizer, before: readonly number[] = []) {
    this.#tokenizer = tokenizer;
    this.#tokens = before.slice(-1);
    this.#given = this.#tokens.length;
  }

  /** Takes a token and returns the text that is whole by now, perhaps none. */
  push(token: number): string {
    this.#tokens.push(token);
    return this.#text(false);
  }

  /** What is left at the end. */
  end(): string {
    return this.#text(true);
  }

  #text(isEnd: boolean): string {
    const before = this.#tokenizer.decode(this.#tokens.slice(0, this.#given));
    const all = this.#tokenizer.decode(this.#tokens);
    if (!isEnd && all.endsWith(UNFINISHED)) return "";
    const text = all.slice(before.length);
    this.#tokens = this.#tokens.slice(-1);
    this.#given = this.#tokens.length;
    return text;
  }
}
