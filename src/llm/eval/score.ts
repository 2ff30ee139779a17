/**
 * @file Takes texts through a runner under one way of caching: the prompt is read, with which the policy evicts, what is
 * forced is decoded token by token, and then either the model answers or each forced token is scored.
 *
 * Every way of caching goes the same path: a text's whole prompt in one read, sequences filled with several texts. A text's
 * noise is keyed by its number, so it does not depend on the texts beside it.
 */
import { argmax, logSumExp } from "../generate/logits.ts";
import type { TaskItem } from "../tasks/task.ts";
import type { LlmRunner, SequenceMemory, SequenceToken } from "../runner/runner.ts";
import type { Variant } from "./variants.ts";

/** What one text came to. */
export interface ItemScore {
  /** Answers: 1 when every token is right, else 0. Likelihoods: the mean of −ln p of the forced tokens. */
  score: number;
  /** Answers: the share of right tokens. Likelihoods: as `score`. */
  tokens: number;
}

/** What was measured of some texts. */
export interface Scored {
  scores: ItemScore[];
  /** Of the first text at its end. */
  memory: SequenceMemory;
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
interface ScoredItem {
  sequence: number;
  item: TaskItem;
  /** Forced tokens that were read. */
  read: number;
  said: number[];
  lost: number;
}

/** Answers of greedy decoding, compared with those that are right. */
export async function scoreAnswers(
  runner: LlmRunner,
  variant: Variant,
  items: readonly TaskItem[],
  options: { seed: number; first: number },
): Promise<Scored> {
  const width = runner.config.vocabSize;
  return scoreItems(runner, variant, items, options, {
    decoded: ({ forced, answer }) => forced.length + answer.length - 1,
    afterPrompt: (text, logits, row) => {
      if (text.item.forced.length === 0)
        text.said.push(argmax(logits.subarray(row * width, (row + 1) * width)));
    },
    step: async (texts, tokens) => {
      const next = await runner.decodeGreedy(tokens);
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
export async function scoreLikelihoods(
  runner: LlmRunner,
  variant: Variant,
  items: readonly TaskItem[],
  options: { seed: number; first: number },
): Promise<Scored> {
  const width = runner.config.vocabSize;
  return scoreItems(runner, variant, items, options, {
    decoded: ({ forced }) => forced.length - 1,
    afterPrompt: (text, logits, row) => {
      text.lost += negativeLogLikelihood(logits, row, width, text.item.forced[0]!);
    },
    step: async (texts, tokens) => {
      const logits = await runner.decode(tokens);
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
  afterPrompt: (text: ScoredItem, logits: Float32Array, row: number) => void;
  step: (texts: readonly ScoredItem[], tokens: readonly SequenceToken[]) => Promise<void>;
  tokenOf: (text: ScoredItem) => number;
  isDone: (text: ScoredItem) => boolean;
  scoreOf: (text: ScoredItem) => ItemScore;
}

async function scoreItems(
  runner: LlmRunner,
  variant: Variant,
  items: readonly TaskItem[],
  { seed, first }: { seed: number; first: number },
  kind: Kind,
): Promise<Scored> {
  const scores: ItemScore[] = [];
  let memory: SequenceMemory | null = null;
  for (let start = 0; start < items.length; start += runner.maxSequences) {
    const texts = items
      .slice(start, start + runner.maxSequences)
      .map((item, sequence): ScoredItem => ({ sequence, item, read: 0, said: [], lost: 0 }));
    try {
      for (const { sequence, item } of texts) {
        const decoded = Math.max(1, kind.decoded(item));
        const policy = variant.make(decoded);
        runner.begin(sequence, {
          policies: () => policy,
          maxNewTokens: decoded,
          seed,
          stream: first + start + sequence,
        });
      }
      const logits = await runner.prefill(
        texts.map(({ sequence, item }) => ({ sequence, tokens: Array.from(item.prompt) })),
      );
      texts.forEach((text, row) => kind.afterPrompt(text, logits, row));
      for (;;) {
        const left = texts.filter((text) => !kind.isDone(text));
        if (left.length === 0) break;
        await kind.step(
          left,
          left.map((text) => ({ sequence: text.sequence, token: kind.tokenOf(text) })),
        );
      }
      memory ??= runner.memory(0);
    } finally {
      for (const { sequence } of texts) runner.release(sequence);
    }
    scores.push(...texts.map(kind.scoreOf));
  }
  return { scores, memory: memory! };
}
