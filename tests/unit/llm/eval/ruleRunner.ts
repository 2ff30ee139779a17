/** @file A runner whose next token is a function of all tokens so far and of the policy: what an evaluation does shows. */
import { invariant } from "../../../../src/base/errors.ts";
import type { LlmRunner, TextOptions } from "../../../../src/llm/runner/runner.ts";

/** What a text says next, given its tokens and how it is cached. */
export type NextToken = (tokens: readonly number[], options: TextOptions, promptTokens: number) => number;

/** One call of the runner. */
export type RunnerCall = { call: "begin" | "read" | "step" | "release"; seats: number[] };

/** A text in a seat. */
interface Seat {
  options: TextOptions;
  tokens: number[];
  promptTokens: number;
}

/** Makes the runner; `calls` grows with each call. Its logits are 4 for the next token and 0 for the others. */
export function ruleRunner(
  vocabulary: number,
  seats: number,
  next: NextToken,
): { runner: LlmRunner; calls: RunnerCall[]; held: () => number } {
  const texts = new Map<number, Seat>();
  const calls: RunnerCall[] = [];
  const textOf = (seat: number): Seat => {
    const text = texts.get(seat);
    invariant(text, `seat ${seat} has begun`);
    return text;
  };
  const logitsOf = (given: readonly { seat: number }[]) => {
    const logits = new Float32Array(given.length * vocabulary);
    for (const [row, { seat }] of given.entries()) {
      const { tokens, options, promptTokens } = textOf(seat);
      logits[row * vocabulary + next(tokens, options, promptTokens)] = 4;
    }
    return logits;
  };
  const step: LlmRunner["step"] = async (tokens) => {
    calls.push({ call: "step", seats: tokens.map(({ seat }) => seat) });
    for (const { seat, token } of tokens) textOf(seat).tokens.push(token);
    return logitsOf(tokens);
  };
  const unused = (): never => {
    throw new Error("an evaluation does not need it");
  };
  const runner: LlmRunner = {
    config: { vocabulary } as LlmRunner["config"],
    seats,
    prepare: () => Promise.resolve(),
    begin: (seat, options) => {
      invariant(seat < seats, "a seat that is there");
      calls.push({ call: "begin", seats: [seat] });
      texts.set(seat, { options, tokens: [], promptTokens: 0 });
    },
    read: async (given) => {
      calls.push({ call: "read", seats: given.map(({ seat }) => seat) });
      for (const { seat, tokens } of given) {
        textOf(seat).tokens.push(...tokens);
        textOf(seat).promptTokens = tokens.length;
      }
      return logitsOf(given);
    },
    step,
    stepGreedy: async (tokens) => {
      const logits = await step(tokens);
      return Int32Array.from(tokens, (_, row) => logits.indexOf(4, row * vocabulary) - row * vocabulary);
    },
    fork: unused,
    snapshot: unused,
    restore: unused,
    release: (seat) => {
      calls.push({ call: "release", seats: [seat] });
      texts.delete(seat);
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
