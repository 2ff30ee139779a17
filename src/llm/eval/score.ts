/**
 * @file Scores items under one variant of caching: the prompt is prefilled, with which the policy evicts, what is forced
 * is decoded token by token, and then either the model answers or each forced token is scored.
 *
 * Every variant goes the same path, the items of a round together. An item's noise is keyed by its number, so it does not
 * depend on the items beside it.
 */
import type { LlmEngine } from "../engine/llmEngine.ts";
import type { EndEvent } from "../engine/request.ts";
import { logSumExp } from "../generate/logits.ts";
import { endOf } from "../engine/runBatch.ts";
import type { SequenceMemory } from "../runner/runner.ts";
import type { TaskItem } from "../tasks/task.ts";
import type { Variant } from "./variants.ts";

/** What one item came to. */
export interface ItemScore {
  /** Answers: 1 when every token is right, else 0. Likelihoods: the mean of −ln p of the forced tokens. */
  score: number;
  /** Answers: the share of right tokens. Likelihoods: as `score`. */
  tokens: number;
}

/** What was measured of some items. */
export interface Scored {
  scores: ItemScore[];
  /** Of the first item at its end. */
  memory: SequenceMemory;
}

/** How noise is keyed: by a seed, and by a stream that is the item's number. */
export interface ItemNoise {
  seed: number;
  /** Number of the first item. */
  first: number;
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

/** Answers of greedy decoding, compared with those that are right. */
export function scoreAnswers(
  engine: LlmEngine,
  variant: Variant,
  items: readonly TaskItem[],
  noise: ItemNoise,
): Promise<Scored> {
  return scoreItems(engine, variant, items, noise, {
    newTokens: ({ forced, answer }) => forced.length + answer.length,
    hasLogProbabilities: false,
    scoreOf: ({ forced, answer }, { tokens }) => {
      const right = answer.filter((token, i) => token === tokens[forced.length + i]).length;
      return { score: right === answer.length ? 1 : 0, tokens: right / answer.length };
    },
  });
}

/** Likelihoods of the forced tokens, the first of them from the prompt's own logits. */
export function scoreLikelihoods(
  engine: LlmEngine,
  variant: Variant,
  items: readonly TaskItem[],
  noise: ItemNoise,
): Promise<Scored> {
  return scoreItems(engine, variant, items, noise, {
    newTokens: ({ forced }) => forced.length,
    hasLogProbabilities: true,
    scoreOf: ({ forced }, { logProbabilities }) => {
      const loss = logProbabilities!.reduce((sum, each) => sum - each, 0) / forced.length;
      return { score: loss, tokens: loss };
    },
  });
}

/** What differs between the two. */
interface Measure {
  newTokens: (item: TaskItem) => number;
  hasLogProbabilities: boolean;
  scoreOf: (item: TaskItem, end: EndEvent) => ItemScore;
}

async function scoreItems(
  engine: LlmEngine,
  variant: Variant,
  items: readonly TaskItem[],
  { seed, first }: ItemNoise,
  { newTokens, hasLogProbabilities, scoreOf }: Measure,
): Promise<Scored> {
  const stop = new AbortController();
  const ends = items.map(async (item, i) => {
    const maxNewTokens = newTokens(item);
    // The last token is chosen or scored, and not decoded.
    const decoded = Math.max(1, maxNewTokens - 1);
    const policy = variant.make(decoded);
    return endOf(
      engine.generate({
        prompt: Array.from(item.prompt),
        maxNewTokens,
        cachedNewTokens: decoded,
        forced: Array.from(item.forced),
        kv: () => policy,
        noise: { seed, stream: first + i },
        ignoreEos: true,
        hasLogProbabilities,
        signal: stop.signal,
      }),
    );
  });
  try {
    const all = await Promise.all(ends);
    return { scores: items.map((item, i) => scoreOf(item, all[i]!)), memory: all[0]!.memory! };
  } catch (error) {
    stop.abort();
    await Promise.allSettled(ends);
    throw error;
  }
}
