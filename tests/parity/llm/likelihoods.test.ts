/** @file Likelihoods that an evaluation decodes against those of transformers' logits, which see the whole text at once. */
import { expect, test } from "vitest";
import { LlmEngine } from "../../../src/llm/engine/llmEngine.ts";
import { fullVariant, variantsOf } from "../../../src/llm/eval/variants.ts";
import { textItems } from "../../../src/llm/eval/textItems.ts";
import { negativeLogLikelihood, scoreLikelihoods } from "../../../src/llm/eval/score.ts";
import { cases, goldenLogits, openCase } from "./goldenModels.ts";

test.each(["llama", "gpt2", "mpt"])(
  "%s: those of a full cache are the plain forward pass's",
  async (model) => {
    const logits = await goldenLogits(model, "default");
    const { tokens, prompt } = cases;
    const width = logits.length / tokens.length;
    let wanted = 0;
    for (let i = prompt; i < tokens.length; i++)
      wanted += negativeLogLikelihood(logits, i - 1, width, tokens[i]!);
    wanted /= tokens.length - prompt;
    const engine = new LlmEngine(await openCase(model, "default", 2));
    try {
      const items = textItems(tokens, { promptTokens: prompt, scoredTokens: tokens.length - prompt }, 1);
      // The same text twice: sequences do not touch each other.
      const { scores } = await scoreLikelihoods(engine, fullVariant, [...items, ...items], {
        seed: 0,
        first: 0,
      });
      for (const { score } of scores) expect(score).toBeCloseTo(wanted, 4);
      // Half of the cache gives other likelihoods, or nothing would be measured.
      const [half] = variantsOf(["h2o"], [0.5]);
      const evicted = await scoreLikelihoods(engine, half!, items, { seed: 0, first: 0 });
      expect(Math.abs(evicted.scores[0]!.score - wanted)).toBeGreaterThan(1e-3);
      expect(evicted.memory.evictedTokens).toBeGreaterThan(0);
    } finally {
      await engine.dispose();
    }
  },
);
