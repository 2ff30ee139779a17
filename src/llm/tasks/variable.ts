/**
 * @file Variable tracking: some names have a value, others stand for a name before them, up to two names away from the
 * value; the question asks for the value of one that stands at the chain's end. All of a chain must be kept.
 */
import type { Rng } from "../../base/rng.ts";
import { itemRng } from "./itemRng.ts";
import { anyOf, someOf, spread } from "./layout.ts";
import { requireTokens } from "./taskErrors.ts";
import { itemOf, questionTokens, type Protocol, type Task } from "./task.ts";
import { ASK, KEYS, VALUES, WORDS } from "./words.ts";

/** Most names between a question and a value. */
const MOST_HOPS = 2;
const TOKENS_A_CHAIN = 64;
const MOST_CHAINS = 8;
const QUESTION = 2;
const LEAST_TOKENS = 16;

/** Names that lead to one value. */
export interface Chain {
  /** `[name, value]`, then `[name, name before it]`, in the order in which they must be said. */
  parts: [number, number][];
  value: number;
}

/** A chain over names of its own. */
export function chainOf(rng: Rng, keys: readonly number[]): Chain {
  const value = anyOf(rng, VALUES);
  return { value, parts: keys.map((key, i) => [key, i === 0 ? value : keys[i - 1]!]) };
}

/** Puts the parts of several lists in one order at random, each list's own order kept. */
export function interleave<T>(rng: Rng, lists: readonly (readonly T[])[]): { part: T; list: number }[] {
  const turns = lists.flatMap((list, i) => list.map(() => i));
  rng.shuffle(turns);
  const next = lists.map(() => 0);
  return turns.map((list) => ({ part: lists[list]![next[list]!++]!, list }));
}

/** The task. */
export function variable(name: string, protocol: Protocol): Task {
  return {
    name,
    vocabulary: WORDS.length,
    item: (index, { tokens, seed }) => {
      requireTokens(name, tokens, LEAST_TOKENS);
      const rng = itemRng("evaluation", seed, index);
      const hops = 1 + rng.integer(MOST_HOPS);
      const context = new Int32Array(tokens - questionTokens(QUESTION, protocol) - 1);
      const count = Math.max(1, Math.min(MOST_CHAINS, Math.floor(tokens / TOKENS_A_CHAIN)));
      const size = hops + 1;
      const keys = someOf(rng, KEYS, count * size);
      const chains = Array.from({ length: count }, (_, i) =>
        chainOf(rng, keys.slice(i * size, (i + 1) * size)),
      );
      const order = interleave(
        rng,
        chains.map((chain) => chain.parts),
      );
      const starts = spread(
        rng,
        context,
        context.length,
        order.map(({ part }) => part),
      );
      const chosen = rng.integer(count);
      const { parts, value } = chains[chosen]!;
      const first = order.findIndex(({ list }) => list === chosen);
      const question = Int32Array.of(ASK, parts.at(-1)![0]);
      const depth = starts[first]! / context.length;
      return itemOf(context, question, { answer: Int32Array.of(value), depth }, protocol);
    },
  };
}
