/** @file A runner with no model: its logits are a function of the tokens that a text has read. It writes down its calls. */
import { chooseTokens, type Sampler } from "../../../src/llm/generate/sampler.ts";
import type { DecoderConfig } from "../../../src/llm/models/decoder.ts";
import type {
  LlmRunner,
  SequenceMemory,
  SequenceOptions,
  SequenceSnapshot,
  SequenceToken,
  SequenceTokens,
} from "../../../src/llm/runner/runner.ts";

/** Logits after the tokens read so far. */
export type LogitsOf = (tokens: readonly number[]) => readonly number[];

export class FakeRunner implements LlmRunner {
  readonly config: DecoderConfig;
  readonly device = "cpu";
  readonly dtype = "f32";
  readonly maxSequences: number;
  /** Tokens that each sequence has read; null where nothing is held. */
  readonly texts: (number[] | null)[];
  /** `from→to`, in order. */
  readonly forks: string[] = [];
  /** Sequences of each pass, in order. */
  readonly passes: string[] = [];
  readonly #logitsOf: LogitsOf;

  constructor(
    logitsOf: LogitsOf,
    { vocabulary: vocabSize, maxSequences }: { vocabulary: number; maxSequences: number },
  ) {
    this.config = { vocabSize, eosTokenIds: [] as readonly number[] } as DecoderConfig;
    this.maxSequences = maxSequences;
    this.texts = Array.from({ length: maxSequences }, () => null);
    this.#logitsOf = logitsOf;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  begin(sequence: number, _: SequenceOptions): void {
    this.texts[sequence] = [];
  }

  async prefill(texts: readonly SequenceTokens[]): Promise<Float32Array> {
    this.passes.push(`prefill ${texts.map(({ sequence }) => sequence).join(" ")}`);
    return this.#append(texts);
  }

  async decode(tokens: readonly SequenceToken[]): Promise<Float32Array> {
    this.passes.push(`decode ${tokens.map(({ sequence }) => sequence).join(" ")}`);
    return this.#append(tokens.map(({ sequence, token }) => ({ sequence, tokens: [token] })));
  }

  async decodeTokens(tokens: readonly SequenceToken[], samplers?: readonly Sampler[]): Promise<Int32Array> {
    return chooseTokens(await this.decode(tokens), this.config.vocabSize, samplers);
  }

  async fork(from: number, to: number): Promise<void> {
    this.forks.push(`${from}→${to}`);
    this.texts[to] = [...this.texts[from]!];
  }

  release(sequence: number): void {
    this.texts[sequence] = null;
  }

  memory(sequence: number): SequenceMemory {
    const tokensSeen = this.texts[sequence]?.length ?? 0;
    return {
      kvBytes: tokensSeen,
      bookkeepingBytes: 0,
      fullKvBytes: tokensSeen,
      evictedTokens: 0,
      tokensSeen,
    };
  }

  snapshot(): Promise<SequenceSnapshot> {
    return Promise.reject(new Error("it has no cache"));
  }

  restore(): Promise<void> {
    return Promise.reject(new Error("it has no cache"));
  }

  async dispose(): Promise<void> {
    this.texts.fill(null);
  }

  #append(texts: readonly SequenceTokens[]): Float32Array {
    return Float32Array.from(
      texts.flatMap(({ sequence, tokens }) => {
        const text = this.texts[sequence];
        if (!text) throw new Error(`sequence ${sequence} has not begun`);
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
