/** @file Very many tokens, four bytes each, that come one after the other. */

/** Tokens of a block. */
const BLOCK = 2 ** 20;

/** A list of tokens that grows. */
export class TokenList {
  readonly #blocks: Int32Array[] = [];
  #length = 0;

  /** Tokens so far. */
  get length(): number {
    return this.#length;
  }

  push(token: number): void {
    const at = this.#length % BLOCK;
    if (at === 0) this.#blocks.push(new Int32Array(BLOCK));
    this.#blocks.at(-1)![at] = token;
    this.#length++;
  }

  /** Writes the tokens from `start` on over all of `into`. */
  copy(start: number, into: Int32Array): void {
    for (let done = 0; done < into.length;) {
      const from = start + done;
      const block = this.#blocks[Math.floor(from / BLOCK)]!;
      const part = block.subarray(from % BLOCK, (from % BLOCK) + into.length - done);
      into.set(part, done);
      done += part.length;
    }
  }

  /** The tokens from `start` on. */
  slice(start: number, end: number): Int32Array {
    const part = new Int32Array(end - start);
    this.copy(start, part);
    return part;
  }
}
