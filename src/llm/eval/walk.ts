/**
 * @file Takes texts through a runner under one way of caching: the prompt is read, with which the policy evicts, what is
 * forced is decoded token by token, and then either the model answers or each forced token is scored.
 *
 * Every way of caching goes the same path: a text's whole prompt in one read, seats filled with several texts. A text's
 * noise is keyed by its number, so it does not depend on the texts beside it.
 */
import { argmax, logSumExp } from "../generate/logits.ts";
import type { TaskItem } from "../tasks/task.ts";
import type { LlmRunner, TextMemory, TextToken } from "../runner/runner.ts";
import type { Arm } from "./arms.ts";

/** What one text came to. */
export interface ItemScore {
  /** Answers: 1 when every token is right, else 0. Likelihoods: the mean of −ln p of the forced tokens. */
  score: number;
  /** Answers: the share of right tokens. Likelihoods: as `score`. */
  tokens: number;
}

/** What was measured of some texts. */
export interface Walked {
  scores: ItemScore[];
  /** Of the first text at its end. */
  memory: TextMemory;
}

/** −ln of the probability that logits `row` give a token. @throws ParetoError LLM_LOGITS */
export function negativeLogLikelihood(
  logits: Float32Array,
  row: number,
  width: number,
  token: number,
): number {
  const own = logits.subarray(row * width, (row + 1) * width);
  return logSumExp(own) - own[token]!;
}

/** One text on its way. */
interface Text {
  seat: number;
  item: TaskItem;
  /** Forced tokens that were read. */
  read: number;
  said: number[];
  lost: number;
}

/** Answers of greedy decoding, compared with those that are right. */
export async function walkAnswers(
  runner: LlmRunner,
  arm: Arm,
  items: readonly TaskItem[],
  options: { seed: number; first: number },
): Promise<Walked> {
  const width = runner.config.vocabulary;
  return walk(runner, arm, items, options, {
    decoded: ({ forced, answer }) => forced.length + answer.length - 1,
    afterPrompt: (text, logits, row) => {
      if (text.item.forced.length === 0)
        text.said.push(argmax(logits.subarray(row * width, (row + 1) * width)));
    },
    step: async (texts, tokens) => {
      const next = await runner.stepGreedy(tokens);
      texts.forEach((text, i) => {
        if (text.read < text.item.forced.length && ++text.read < text.item.forced.length) return;
        text.said.push(next[i]!);
      });
    },
    tokenOf: ({ item, read, said }) => (read < item.forced.length ? item.forced[read]! : said.at(-1)!),
    isDone: ({ item, said }) => said.length === item.answer.length,
    scoreOf: ({ item, said }) => {
      const right = said.filter((token, i) => token === item.answer[i]).length;
      return { score: right === said.length ? 1 : 0, tokens: right / said.length };
    },
  });
}

/** Likelihoods of the forced tokens, the first of them from the prompt's own logits. */
export async function walkLikelihoods(
  runner: LlmRunner,
  arm: Arm,
  items: readonly TaskItem[],
  options: { seed: number; first: number },
): Promise<Walked> {
  const width = runner.config.vocabulary;
  return walk(runner, arm, items, options, {
    decoded: ({ forced }) => forced.length - 1,
    afterPrompt: (text, logits, row) => {
      text.lost += negativeLogLikelihood(logits, row, width, text.item.forced[0]!);
    },
    step: async (texts, tokens) => {
      const logits = await runner.step(tokens);
      texts.forEach((text, row) => {
        text.lost += negativeLogLikelihood(logits, row, width, text.item.forced[++text.read]!);
      });
    },
    tokenOf: ({ item, read }) => item.forced[read]!,
    isDone: ({ item, read }) => read + 1 === item.forced.length,
    scoreOf: ({ item, lost }) => ({ score: lost / item.forced.length, tokens: lost / item.forced.length }),
  });
}

/** What differs between the two. */
interface Kind {
  /** Tokens that are decoded of a text. */
  decoded: (item: TaskItem) => number;
  afterPrompt: (text: Text, logits: Float32Array, row: number) => void;
  step: (texts: readonly Text[], tokens: readonly TextToken[]) => Promise<void>;
  tokenOf: (text: Text) => number;
  isDone: (text: Text) => boolean;
  scoreOf: (text: Text) => ItemScore;
}

async function walk(
  runner: LlmRunner,
  arm: Arm,
  items: readonly TaskItem[],
  { seed, first }: { seed: number; first: number },
  kind: Kind,
): Promise<Walked> {
  const scores: ItemScore[] = [];
  let memory: TextMemory | null = null;
  for (let start = 0; start < items.length; start += runner.seats) {
    const texts = items
      .slice(start, start + runner.seats)
      .map((item, seat): Text => ({ seat, item, read: 0, said: [], lost: 0 }));
    try {
      for (const { seat, item } of texts) {
        const decoded = Math.max(1, kind.decoded(item));
        const policy = arm.make(decoded);
        runner.begin(seat, {
          policies: () => policy,
          maxNewTokens: decoded,
          seed,
          stream: first + start + seat,
        });
      }
      const logits = await runner.read(
        texts.map(({ seat, item }) => ({ seat, tokens: Array.from(item.prompt) })),
      );
      texts.forEach((text, row) => kind.afterPrompt(text, logits, row));
      for (;;) {
        const left = texts.filter((text) => !kind.isDone(text));
        if (left.length === 0) break;
        await kind.step(
          left,
          left.map((text) => ({ seat: text.seat, token: kind.tokenOf(text) })),
        );
      }
      memory ??= runner.memory(0);
    } finally {
      for (const { seat } of texts) runner.release(seat);
    }
    scores.push(...texts.map(kind.scoreOf));
  }
  return { scores, memory: memory! };
}
