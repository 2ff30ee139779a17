/**
 * @file Texts to learn the synthetic tasks from: names, chains of names and a string among filler words, then many
 * questions about them, so that a text of a thousand tokens teaches hundreds of times. Which answers count is marked.
 */
import type { Rng } from "../../base/rng.ts";
import { itemRng } from "./itemRng.ts";
import { anyOf, fill, roomOf, shuffled, someOf, spread } from "./layout.ts";
import { chainOf, interleave } from "./variable.ts";
import { ASK, COPY, END, KEYS, LETTER_TOKENS, REPEAT, VALUES, WORDS, type TokenRange } from "./words.ts";

/** Most names that a text uses; the others never occur in it. */
const MOST_NAMES = 96;
const MOST_LETTERS = 20;
const MOST_ECHO = 200;
const MOST_CHAINS = 8;
/** Share of texts that are one long string and its repetition. */
const ECHOES = 0.3;
/** Shares of the others that hold a string, and chains of names. */
const [STRINGS, CHAINS] = [0.3, 0.4];
/** Share of questions that come twice before they are answered. */
const ASKED_TWICE = 0.15;
/** All words but those with a meaning of their own. */
const ALL_WORDS: TokenRange = { first: KEYS.first, count: WORDS.length - KEYS.first };
/** A text has at most one chain for so many tokens: direct questions have to be learned first. */
const TOKENS_A_CHAIN = 96;

/** Where a text is written. */
export interface TrainingText {
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
export function writeTrainingText(seed: number, index: number, row: TrainingText): void {
  const rng = itemRng("training", seed, index);
  if (rng.uniform() < ECHOES) echo(rng, row);
  else questions(rng, row);
}

/**
 * A string of words of every kind, and once more the same. What follows a word is what followed it before: learned from
 * many tokens of a text, for all words alike, that rule answers questions too. Length and distance vary, so that counting
 * places does not do.
 */
function echo(rng: Rng, { tokens, targets }: TrainingText): void {
  const most = Math.min(MOST_ECHO, Math.floor(tokens.length / 2) - 2);
  const size = Math.max(1 + rng.integer(most), 1 + rng.integer(most));
  const said = [...someOf(rng, ALL_WORDS, size), END];
  const spare = rng.integer(tokens.length - 2 * (size + 2) + 1);
  const start = rng.integer(spare + 1);
  const again = start + size + 2 + rng.integer(tokens.length - 2 * (size + 2) - start + 1);
  fill(rng, tokens, 0, tokens.length);
  targets.fill(-1);
  tokens.set([COPY, ...said], start);
  tokens.set([REPEAT, ...said], again);
  targets.set(said, again);
}

/** Names, chains and a string among filler words, and questions about them. */
function questions(rng: Rng, { tokens, targets }: TrainingText): void {
  const length = tokens.length;
  const lists: number[][][] = [];
  const asks: Question[] = [];
  // What is said and asked about takes at most so much, so that filler is left.
  let room = Math.floor(0.9 * length);
  const learn = (parts: number[][], asked: Question[]): boolean => {
    const taken = roomOf(parts) + asked.reduce((n, { cue, answer }) => n + cue.length + answer.length, 0);
    if (taken > room) return false;
    room -= taken;
    lists.push(parts);
    asks.push(...asked);
    return true;
  };
  // No text can ask for more names than this.
  const names = someOf(rng, KEYS, Math.min(MOST_NAMES, Math.ceil(length / 4)));
  if (rng.uniform() < STRINGS) {
    const most = Math.min(MOST_LETTERS, Math.floor(length / 8));
    const answer = [...someOf(rng, LETTER_TOKENS, 2 + rng.integer(Math.max(1, most - 1))), END];
    learn([[COPY, ...answer]], [{ cue: [REPEAT], answer }]);
  }
  if (rng.uniform() < CHAINS) {
    const most = Math.min(MOST_CHAINS, Math.ceil(length / TOKENS_A_CHAIN));
    for (let left = 1 + rng.integer(most); left > 0; left--) {
      const { parts, value } = chainOf(rng, names.splice(0, 2 + rng.integer(2)));
      const asked = parts.map(([key]) => ({ cue: [ASK, key], answer: [value] }));
      if (!learn(parts, asked)) break;
    }
  }
  // Few names come more often than many: then most of a text is filler, and evidence lies far from its question.
  for (let left = Math.ceil(names.length * rng.uniform() ** 2); left > 0; left--) {
    const [key, value] = [names.pop()!, anyOf(rng, VALUES)];
    if (!learn([[key, value]], [{ cue: [ASK, key], answer: [value] }])) break;
  }
  const said = lists.reduce((n, parts) => n + roomOf(parts), 0);
  const asked = asks.reduce((n, { cue, answer }) => n + cue.length + answer.length, 0);
  const tail = Math.min(length - said, Math.ceil(asked * (0.8 + 0.8 * rng.uniform())));
  const body = length - tail;
  const order = interleave(rng, shuffled(rng, lists));
  spread(
    rng,
    tokens,
    body,
    order.map(({ part }) => part),
  );
  fill(rng, tokens, body, length);
  targets.fill(-1);
  ask(rng, asks, body, { tokens, targets });
}

/** Asks from a place on to the end, every question before any comes again. */
function ask(
  rng: Rng,
  questions: readonly Question[],
  from: number,
  { tokens, targets }: TrainingText,
): void {
  let at = from;
  let order = questions;
  for (let turn = 0; questions.length > 0; turn++) {
    const place = turn % questions.length;
    if (place === 0) order = shuffled(rng, questions);
    const { cue: once, answer } = order[place]!;
    // Items of evaluation that ask in the prompt ask once more behind it.
    const cue = rng.uniform() < ASKED_TWICE ? [...once, ...once] : once;
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
