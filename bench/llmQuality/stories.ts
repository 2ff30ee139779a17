/** @file A story that a model goes on with, token by token: how soon and how far policies lead away from it. */
import { fullVariant, isNoisy, variantsOf, type Variant } from "../../src/llm/eval/variants.ts";
import { scoreLikelihoods } from "../../src/llm/eval/score.ts";
import type { LlmEngine } from "../../src/llm/engine/llmEngine.ts";
import { endOf } from "../../src/llm/engine/runBatch.ts";
import type { QualityFile, StoryResult } from "./qualityFile.ts";

/** Tokens that are read at once: the beginning of the story as the model itself writes it. */
const PROMPT = 64;
const NEW = 200;
const BUDGET = 0.5;
const RUN = 4;

/** The most probable tokens after a prompt. */
async function greedy(
  engine: LlmEngine,
  variant: Variant,
  prompt: readonly number[],
  count: number,
  seed: number,
) {
  const policy = variant.make(count);
  const { tokens } = await endOf(
    engine.generate({
      prompt,
      maxNewTokens: count,
      ignoreEos: true,
      kv: () => policy,
      noise: { seed },
    }),
  );
  return tokens;
}

/** The share of runs of four tokens that stood in the text before. */
export function repetition(tokens: readonly number[]): number {
  const seen = new Set<string>();
  const runs = Math.max(1, tokens.length - RUN + 1);
  for (let i = 0; i + RUN <= tokens.length; i++) seen.add(tokens.slice(i, i + RUN).join());
  return 1 - seen.size / runs;
}

/** Goes on with the story under every policy. @param start tokens of an empty text */
export async function storyResults(
  engine: LlmEngine,
  start: readonly number[],
  policies: readonly string[],
  seeds: number,
): Promise<NonNullable<QualityFile["stories"]>> {
  const story = await greedy(engine, fullVariant, start, PROMPT - start.length + NEW, 0);
  const prompt = [...start, ...story.slice(0, PROMPT - start.length)];
  const rest = story.slice(PROMPT - start.length);
  const item = { prompt: Int32Array.from(prompt), forced: Int32Array.from(rest), answer: new Int32Array(0) };
  const results: StoryResult[] = [];
  for (const variant of [fullVariant, ...variantsOf(policies, [BUDGET])]) {
    for (let seed = 0; seed < (isNoisy(variant.make(1)) ? seeds : 1); seed++) {
      const said = await greedy(engine, variant, prompt, NEW, seed);
      const { scores } = await scoreLikelihoods(engine, variant, [item], { seed, first: 0 });
      const at = said.findIndex((token, i) => token !== rest[i]);
      results.push({
        policy: variant.policy,
        seed,
        firstDifference: at < 0 ? null : at + 1,
        negativeLogLikelihood: scores[0]!.score,
        repetition: repetition(said),
      });
    }
  }
  return { promptTokens: PROMPT, newTokens: NEW, budget: BUDGET, results };
}
