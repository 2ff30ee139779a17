/**
 * @file Associative recall: names with values among filler words, and the question for one of them.
 *
 * Asked in the prompt, the question is there when a policy chooses what to keep; asked only afterwards it is not, which
 * is harder for policies that look at the last tokens. One name in every 16 tokens has a value, at most 48 of them.
 */
import { itemRng } from "./itemRng.ts";
import { anyOf, someOf, spread } from "./layout.ts";
import { requireTokens } from "./taskErrors.ts";
import { itemOf, questionTokens, type Protocol, type Task } from "./task.ts";
import { ASK, KEYS, VALUES, WORDS } from "./words.ts";

const TOKENS_A_PAIR = 16;
const MOST_PAIRS = 48;
const QUESTION = 2;
const LEAST_TOKENS = 10;

/** Names in a text of so many tokens. */
export function pairCount(tokens: number): number {
  return Math.max(1, Math.min(MOST_PAIRS, Math.floor(tokens / TOKENS_A_PAIR)));
}

/** The task. */
export function recall(name: string, protocol: Protocol): Task {
  return {
    name,
    vocabulary: WORDS.length,
    item: (index, { tokens, seed }) => {
      requireTokens(name, tokens, LEAST_TOKENS);
      const rng = itemRng("evaluation", seed, index);
      const context = new Int32Array(tokens - questionTokens(QUESTION, protocol) - 1);
      const pairs = someOf(rng, KEYS, pairCount(tokens)).map((key) => [key, anyOf(rng, VALUES)] as const);
      const starts = spread(rng, context, context.length, pairs);
      // Each depth is asked as often as any other, wherever the names happen to lie.
      const chosen = rng.integer(pairs.length);
      const [key, value] = pairs[chosen]!;
      const depth = starts[chosen]! / context.length;
      return itemOf(context, Int32Array.of(ASK, key), { answer: Int32Array.of(value), depth }, protocol);
    },
  };
}
