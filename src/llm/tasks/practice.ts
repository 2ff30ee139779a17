/**
 * @file Texts to learn the synthetic tasks from: names, chains of names and a string among filler words, then many
 * questions about them, so that a text of a thousand tokens teaches hundreds of times. Which answers count is marked.
 */
import type { Rng } from "../../engine/rng.ts";
import { itemRng } from "./itemRng.ts";
import { anyOf, fill, roomOf, shuffled, someOf, spread } from "./layout.ts";
import { chainOf, interleave } from "./variables.ts";
import { ASK, COPY, END, KEYS, LETTER_TOKENS, REPEAT, VALUES } from "./words.ts";

/** Most names that a text uses; the others never occur in it. */
const MOST_NAMES = 96;
const MOST_LETTERS = 20;
const MOST_CHAINS = 8;
/** Shares of texts that hold a string, and chains of names. */
const [STRINGS, CHAINS] = [0.5, 0.5];

/** Where a text is written. */
export interface PracticeRow {
  /** `[T]` */
  tokens: Int32Array;
  /** `[T]`: the token to be said after each, −1 where it does not count. */
  targets: Int32Array;
}

interface Question {
  cue: readonly number[];
  answer: readonly number[];
}

/** A text of a seed and an index; none of them is one that {@link itemRng} gives for evaluation. */
export function practice(seed: number, index: number, { tokens, targets }: PracticeRow): void {
  const rng = itemRng("practice", seed, index);
  const length = tokens.length;
  const body = Math.floor(length * (0.3 + 0.6 * rng.uniform()));
  const lists: number[][][] = [];
  const questions: Question[] = [];
  let room = body - 1;
  const say = (parts: number[][]): boolean => {
    if (roomOf(parts) > room) return false;
    room -= roomOf(parts);
    lists.push(parts);
    return true;
  };
  const names = someOf(rng, KEYS, MOST_NAMES);
  if (rng.uniform() < STRINGS) {
    const most = Math.min(MOST_LETTERS, Math.floor(length / 8));
    const answer = [...someOf(rng, LETTER_TOKENS, 2 + rng.integer(Math.max(1, most - 1))), END];
    if (say([[COPY, ...answer]])) questions.push({ cue: [REPEAT], answer });
  }
  if (rng.uniform() < CHAINS) {
    for (let left = 1 + rng.integer(MOST_CHAINS); left > 0; left--) {
      const { parts, value } = chainOf(rng, names.splice(0, 2 + rng.integer(2)));
      if (!say(parts)) break;
      for (const [key] of parts) questions.push({ cue: [ASK, key], answer: [value] });
    }
  }
  for (let left = wantedPairs(rng, Math.min(names.length, Math.floor(room / 3))); left > 0; left--) {
    const pair = [names.pop()!, anyOf(rng, VALUES)] as const;
    if (!say([[...pair]])) break;
    questions.push({ cue: [ASK, pair[0]], answer: [pair[1]] });
  }
  spread(
    rng,
    tokens,
    body,
    interleave(rng, shuffled(rng, lists)).map(({ part }) => part),
  );
  fill(rng, tokens, body, length);
  targets.fill(-1);
  ask(rng, questions, body, { tokens, targets });
}

/** Few and many names are as likely, by their logarithm. */
function wantedPairs(rng: Rng, most: number): number {
  return Math.floor(Math.exp(rng.uniform() * Math.log(most + 1)));
}

/** Asks from a place on to the end, every question before any comes again. */
function ask(rng: Rng, questions: readonly Question[], from: number, { tokens, targets }: PracticeRow): void {
  let at = from;
  let order = questions;
  for (let turn = 0; questions.length > 0; turn++) {
    const place = turn % questions.length;
    if (place === 0) order = shuffled(rng, questions);
    const { cue, answer } = order[place]!;
    // A longer pause now and then, so that answers are not tied to the rhythm of questions.
    at += rng.uniform() < 0.1 ? rng.integer(8) : 0;
    for (const [i, token] of [...cue, ...answer].entries()) {
      if (at === tokens.length) return;
      tokens[at] = token;
      if (i >= cue.length) targets[at - 1] = token;
      at++;
    }
    if (at >= tokens.length) return;
  }
}
