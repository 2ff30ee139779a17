/**
 * @file Delayed recall: a name and its value stand in the last tokens of the prompt, or come after it, and are asked for 50
 * decoded tokens later. What a policy has counted over the whole prompt says nothing for them, and by then they have
 * left the window of recent tokens.
 */
import { itemRng } from "./itemRng.ts";
import { anyOf, fill, someOf, spread } from "./layout.ts";
import { pairCount } from "./recall.ts";
import { requireTokens } from "./taskErrors.ts";
import type { Task } from "./task.ts";
import { ASK, KEYS, VALUES, WORDS } from "./words.ts";

/** The evidence stands in so many last tokens of the prompt. */
const LAST_TOKENS = 16;
/** Filler decoded between the evidence and the question. */
const WAIT_TOKENS = 64;
const LEAST_TOKENS = 128;

/** The task. Every second item has its evidence after the prompt. */
export function delayedRecall(name: string): Task {
  return {
    name,
    vocabulary: WORDS.length,
    item: (index, { tokens, seed }) => {
      requireTokens(name, tokens, LEAST_TOKENS);
      const rng = itemRng("evaluation", seed, index);
      const [[late], ...others] = someOf(rng, KEYS, 1 + pairCount(tokens)).map((key) => [
        [key, anyOf(rng, VALUES)] as const,
      ]) as [[readonly [number, number]], ...[readonly [number, number]][]];
      const isForced = index % 2 === 1;
      const text = new Int32Array(tokens - 1);
      const forced = WAIT_TOKENS + 2 + (isForced ? late.length + 1 : 0);
      const promptLength = text.length - forced;
      const end = isForced ? promptLength : promptLength - LAST_TOKENS;
      spread(
        rng,
        text,
        end,
        others.map(([pair]) => pair),
      );
      fill(rng, text, end, text.length - 2);
      const at = isForced ? promptLength : end + rng.integer(LAST_TOKENS - late.length);
      text.set(late, at);
      text.set([ASK, late[0]], text.length - 2);
      return {
        prompt: text.slice(0, promptLength),
        forced: text.slice(promptLength),
        answer: Int32Array.of(late[1]),
        depth: Math.min(1, at / promptLength),
      };
    },
  };
}
