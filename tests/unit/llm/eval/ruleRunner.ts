/** @file A runner whose next token is a function of all tokens so far and of the policy: what an evaluation does shows. */
import { invariant } from "../../../../src/base/errors.ts";
import type { LlmRunner, SequenceOptions } from "../../../../src/llm/runner/runner.ts";

/** What a text says next, given its tokens and how it is cached. */
export type NextToken = (tokens: readonly number[], options: SequenceOptions, promptTokens: number) => number;

/** One call of the runner. */
export type RunnerCall = { call: "begin" | "prefill" | "decode" | "release"; sequences: number[] };

/** A text in a sequence. */
interface Sequence {
  options: SequenceOptions;
  tokens: number[];
  promptTokens: number;
}

/** Makes the runner; `calls` grows with each call. Its logits are 4 for the next token and 0 for the others. */
export function ruleRunner(
  vocabSize: number,
  maxSequences: number,
  next: NextToken,
): { runner: LlmRunner; calls: RunnerCall[]; held: () => number } {
  const texts = new Map<number, Sequence>();
  const calls: RunnerCall[] = [];
  const textOf = (sequence: number): Sequence => {
    const text = texts.get(sequence);
    invariant(text, `sequence ${sequence} has begun`);
    return text;
  };
  const logitsOf = (given: readonly { sequence: number }[]) => {
    const logits = new Float32Array(given.length * vocabSize);
    for (const [row, { sequence }] of given.entries()) {
      const { tokens, options, promptTokens } = textOf(sequence);
      logits[row * vocabSize + next(tokens, options, promptTokens)] = 4;
    }
    return logits;
  };
  const decode: LlmRunner["decode"] = async (tokens) => {
    calls.push({ call: "decode", sequences: tokens.map(({ sequence }) => sequence) });
    for (const { sequence, token } of tokens) textOf(sequence).tokens.push(token);
    return logitsOf(tokens);
  };
  const unused = (): never => {
    throw new Error("an evaluation does not need it");
  };
  const runner: LlmRunner = {
    config: { vocabSize, eosTokenIds: [] as readonly number[] } as LlmRunner["config"],
    device: "cpu",
    dtype: "f32",
    maxSequences,
    prepare: () => Promise.resolve(),
    begin: (sequence, options) => {
      invariant(sequence < maxSequences, "a sequence that is there");
      calls.push({ call: "begin", sequences: [sequence] });
      texts.set(sequence, { options, tokens: [], promptTokens: 0 });
    },
    prefill: async (given) => {
      calls.push({ call: "prefill", sequences: given.map(({ sequence }) => sequence) });
      for (const { sequence, tokens } of given) {
        textOf(sequence).tokens.push(...tokens);
        textOf(sequence).promptTokens = tokens.length;
      }
      return logitsOf(given);
    },
    decode,
    decodeTokens: async (tokens) => {
      const logits = await decode(tokens);
      return Int32Array.from(tokens, (_, row) => logits.indexOf(4, row * vocabSize) - row * vocabSize);
    },
    fork: unused,
    snapshot: unused,
    restore: unused,
    release: (sequence) => {
      calls.push({ call: "release", sequences: [sequence] });
      texts.delete(sequence);
    },
    memory: () => ({
      kvBytes: 8,
      bookkeepingBytes: 0,
      fullKvBytes: 16,
      evictedTokens: 0,
      tokensSeen: 0,
    }),
    dispose: async () => {},
  };
  return { runner, calls, held: () => texts.size };
}
