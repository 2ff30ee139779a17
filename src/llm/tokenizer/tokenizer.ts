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
/** Most tokens of the prompt that are decoded with the first ones of a stream. */
const MOST_BEFORE = 32;
/** Most tokens without a text that are held back. */
const MOST_SILENT = 64;

/**
 * Text of tokens as they come. A token's text can depend on those before it, and a character may take several tokens,
 * so tokens are decoded together with those of the piece of text given last, and a piece is given once it ends in a
 * whole character.
 */
export class TokenStream {
  readonly #tokenizer: Tokenizer;
  #tokens: number[];
  /** The first of them, whose text has been given. */
  #given: number;

  /** @param before tokens of the prompt: they are not given, but the text goes on from them */
  constructor(tokenizer: Tokenizer, before: readonly number[] = []) {
    this.#tokenizer = tokenizer;
    this.#tokens = lastWhole(tokenizer, before);
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
    if (text !== "") {
      this.#tokens = this.#tokens.slice(this.#given);
      this.#given = this.#tokens.length;
    } else if (this.#tokens.length - this.#given > MOST_SILENT) {
      // Special tokens, one after the other: what they stand between is what counts.
      this.#tokens.length = this.#given;
    }
    return text;
  }
}

/** The shortest end of a text that begins with a whole character and says something, where there is one. */
function lastWhole(tokenizer: Tokenizer, tokens: readonly number[]): number[] {
  const most = tokens.slice(-MOST_BEFORE);
  for (let count = 1; count < most.length; count++) {
    const text = tokenizer.decode(most.slice(-count));
    if (text !== "" && !text.includes(UNFINISHED)) return most.slice(-count);
  }
  return most;
}
