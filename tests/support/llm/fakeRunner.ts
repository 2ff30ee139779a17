/** @file A runner with no model: its logits are a function of the tokens that a text has read. It writes down its calls. */
import type { DecoderConfig } from "../../../src/llm/models/decoder.ts";
import type {
  LlmRunner,
  TextMemory,
  TextOptions,
  TextSnapshot,
  TextToken,
  TextTokens,
} from "../../../src/llm/runner/runner.ts";

/** Logits after the tokens read so far. */
export type LogitsOf = (tokens: readonly number[]) => readonly number[];

export class FakeRunner implements LlmRunner {
  readonly config: DecoderConfig;
  readonly seats: number;
  /** Tokens that each seat has read; null where nothing is held. */
  readonly texts: (number[] | null)[];
  /** `from→to`, in order. */
  readonly forks: string[] = [];
  /** Seats of each pass, in order. */
  readonly passes: string[] = [];
  readonly #logitsOf: LogitsOf;

  constructor(logitsOf: LogitsOf, { vocabulary, seats }: { vocabulary: number; seats: number }) {
    this.config = { vocabulary } as DecoderConfig;
    this.seats = seats;
    this.texts = Array.from({ length: seats }, () => null);
    this.#logitsOf = logitsOf;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  begin(seat: number, _: TextOptions): void {
    this.texts[seat] = [];
  }

  async read(texts: readonly TextTokens[]): Promise<Float32Array> {
    this.passes.push(`read ${texts.map(({ seat }) => seat).join(" ")}`);
    return this.#append(texts);
  }

  async step(tokens: readonly TextToken[]): Promise<Float32Array> {
    this.passes.push(`step ${tokens.map(({ seat }) => seat).join(" ")}`);
    return this.#append(tokens.map(({ seat, token }) => ({ seat, tokens: [token] })));
  }

  async stepGreedy(tokens: readonly TextToken[]): Promise<Int32Array> {
    const logits = await this.step(tokens);
    const { vocabulary } = this.config;
    return Int32Array.from(tokens, (_, row) => {
      const part = logits.subarray(row * vocabulary, (row + 1) * vocabulary);
      return part.indexOf(Math.max(...part));
    });
  }

  async fork(from: number, to: number): Promise<void> {
    this.forks.push(`${from}→${to}`);
    this.texts[to] = [...this.texts[from]!];
  }

  release(seat: number): void {
    this.texts[seat] = null;
  }

  memory(seat: number): TextMemory {
    const tokensSeen = this.texts[seat]?.length ?? 0;
    return {
      kvBytes: tokensSeen,
      bookkeepingBytes: 0,
      fullKvBytes: tokensSeen,
      evictedTokens: 0,
      tokensSeen,
    };
  }

  snapshot(): Promise<TextSnapshot> {
    return Promise.reject(new Error("it has no cache"));
  }

  restore(): Promise<void> {
    return Promise.reject(new Error("it has no cache"));
  }

  async dispose(): Promise<void> {
    this.texts.fill(null);
  }

  #append(texts: readonly TextTokens[]): Float32Array {
    return Float32Array.from(
      texts.flatMap(({ seat, tokens }) => {
        const text = this.texts[seat];
        if (!text) throw new Error(`seat ${seat} has not begun`);
        text.push(...tokens);
        return [...this.#logitsOf(text)];
      }),
    );
  }
}

/** Logits that look random but depend on the tokens alone. */
export function mixedLogits(vocabulary: number): LogitsOf {
  return (tokens) => {
    let state = 17;
    for (const token of tokens) state = (Math.imul(state, 31) + token * 7 + 3) >>> 0;
    return Array.from({ length: vocabulary }, (_, i) => {
      const mixed = Math.imul(state ^ Math.imul(i + 1, 0x9e3779b1), 0x85ebca6b) >>> 0;
      return ((mixed ^ (mixed >>> 13)) % 1000) / 200;
    });
  };
}

/** All that a generator gives. */
export async function collect<T>(given: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of given) all.push(each);
  return all;
}
