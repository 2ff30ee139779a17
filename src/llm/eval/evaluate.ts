/**
 * @file Quality against cache budget: the same items under every policy and budget, with 95 % bootstrap intervals.
 *
 * Policies that draw numbers run once a seed; an item's value is then its mean over seeds, and intervals come from
 * drawing items. Items come in rounds of as many as the runner holds, each round through every way of caching, so that
 * an evaluation that has to stop early has still asked everybody the same.
 */
import { invariant } from "../../base/errors.ts";
import type { LlmEngine } from "../engine/llmEngine.ts";
import { requireNumber, requireNumbers } from "../optionChecks.ts";
import type { TaskItem } from "../tasks/task.ts";
import { type Variant, isNoisy } from "./variants.ts";
import { Bootstrap, type Interval } from "./bootstrap.ts";
import { scoreAnswers, scoreLikelihoods } from "./score.ts";

/** What is asked. */
export interface EvaluateOptions {
  /** `answers`: the share of right answers. `likelihoods`: the mean of −ln p of a forced token. */
  measure: "answers" | "likelihoods";
  /** The item of a number; the same one each time. */
  item: (index: number) => TaskItem;
  /** Items at most. */
  items: number;
  /** The first one is what the others are compared with. */
  variants: readonly Variant[];
  /** Seeds of noise for policies that draw. */
  seeds: number;
  /** No further round begins after this many seconds. */
  maxSeconds?: number;
  /** Receives items done so far, over all ways of caching and seeds, and in all. */
  onProgress?: (done: number, total: number) => void;
}

/** What one way of caching came to. */
export interface VariantResult extends Interval {
  policy: string;
  /** Share of the prompt; null for everything. */
  budget: number | null;
  /** Share of right tokens where answers have several; else as `mean`. */
  tokens: number;
  /** The mean difference from the first variant, item by item. */
  difference: Interval;
  /** Seeds that its values are means of. */
  seeds: number;
  /** Means by the evidence's depth in the prompt, a fifth each; null where no item has one, empty without depths. */
  byDepth: (number | null)[];
  /** Bytes of keys and values of one item at its end. */
  kvBytes: number;
  /** By item. */
  values: number[];
}

/** What an evaluation came to. */
export interface Evaluated {
  items: number;
  variants: VariantResult[];
}

const DEPTHS = 5;

interface Tally {
  values: number[];
  tokens: number;
  kvBytes: number;
}

/**
 * Measures every variant.
 * @returns fewer items than asked for when time ran out, at least one round
 * @throws ParetoError LLM_OPTION
 */
export async function evaluate(engine: LlmEngine, options: EvaluateOptions): Promise<Evaluated> {
  const { variants, items: count, measure, seeds, maxSeconds = Number.POSITIVE_INFINITY } = options;
  const rule = { min: 1, isWhole: true };
  requireNumbers("evaluate", options, { items: rule, seeds: rule });
  if (maxSeconds !== Number.POSITIVE_INFINITY)
    requireNumber("evaluate", "maxSeconds", maxSeconds, { min: 0 });
  invariant(variants.length > 0, "something to measure");
  const scoreRound = measure === "answers" ? scoreAnswers : scoreLikelihoods;
  const seedsOf = variants.map((variant) => (isNoisy(variant.make(1)) ? seeds : 1));
  const perItem = seedsOf.reduce((sum, n) => sum + n, 0);
  const tallies = variants.map((): Tally => ({ values: [], tokens: 0, kvBytes: 0 }));
  const items: TaskItem[] = [];
  const started = performance.now();
  let done = 0;
  while (items.length < count) {
    const first = items.length;
    const size = Math.min(engine.runner.maxSequences, count - first);
    const round = Array.from({ length: size }, (_, i) => options.item(first + i));
    for (const [a, variant] of variants.entries()) {
      const sums = new Float64Array(size);
      for (let seed = 0; seed < seedsOf[a]!; seed++) {
        const { scores, memory } = await scoreRound(engine, variant, round, { seed, first });
        const tally = tallies[a]!;
        for (const [i, { score, tokens }] of scores.entries()) {
          sums[i]! += score / seedsOf[a]!;
          tally.tokens += tokens / seedsOf[a]!;
        }
        tally.kvBytes = memory.kvBytes;
        options.onProgress?.((done += size), perItem * count);
      }
      tallies[a]!.values.push(...sums);
    }
    items.push(...round);
    if (performance.now() - started > 1000 * maxSeconds) break;
  }
  return { items: items.length, variants: resultsOf(variants, tallies, seedsOf, items) };
}

function resultsOf(
  variants: readonly Variant[],
  tallies: readonly Tally[],
  seeds: readonly number[],
  items: readonly TaskItem[],
): VariantResult[] {
  const bootstrap = new Bootstrap(items.length);
  const base = tallies[0]!.values;
  return variants.map(({ policy, budget }, a) => {
    const { values, tokens, kvBytes } = tallies[a]!;
    return {
      policy,
      budget,
      ...bootstrap.interval(values),
      tokens: tokens / items.length,
      difference: bootstrap.difference(values, base),
      seeds: seeds[a]!,
      byDepth: depthMeans(values, items),
      kvBytes,
      values,
    };
  });
}

function depthMeans(values: readonly number[], items: readonly TaskItem[]): (number | null)[] {
  if (items.every(({ depth }) => depth === undefined)) return [];
  const sums = new Float64Array(DEPTHS);
  const counts = new Int32Array(DEPTHS);
  for (const [i, { depth }] of items.entries()) {
    if (depth === undefined) continue;
    const at = Math.min(DEPTHS - 1, Math.floor(depth * DEPTHS));
    sums[at]! += values[i]!;
    counts[at]!++;
  }
  return Array.from(sums, (sum, i) => (counts[i] === 0 ? null : sum / counts[i]!));
}
