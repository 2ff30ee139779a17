/**
 * @file Copy: a string of letters among filler words, to be repeated at the end. The letters already said are cached
 * too, so a policy has to keep both what it copies from and, less so, what it has said.
 */
import { itemRng } from "./itemRng.ts";
import { someOf, spread } from "./layout.ts";
import { requireTokens } from "./taskErrors.ts";
import { itemOf, questionTokens, type Protocol, type Task } from "./task.ts";
import { COPY, END, LETTER_TOKENS, REPEAT, WORDS } from "./words.ts";

const MOST_LETTERS = 16;
const LEAST_TOKENS = 32;

/** The task. */
export function copy(name: string, protocol: Protocol): Task {
  return {
    name,
    vocabulary: WORDS.length,
    item: (index, { tokens, seed }) => {
      requireTokens(name, tokens, LEAST_TOKENS);
      const rng = itemRng("evaluation", seed, index);
      // No letter comes twice, so that one letter says what follows it.
      const letters = someOf(rng, LETTER_TOKENS, Math.min(MOST_LETTERS, Math.floor(tokens / 8)));
      const answer = Int32Array.of(...letters, END);
      const context = new Int32Array(tokens - answer.length - questionTokens(1, protocol));
      const [start] = spread(rng, context, context.length, [[COPY, ...answer]]);
      const depth = start! / context.length;
      return itemOf(context, Int32Array.of(REPEAT), { answer, depth }, protocol);
    },
  };
}
