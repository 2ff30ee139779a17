/** @file What an evaluation asks, counts and concludes, on a runner whose answers are known. */
import { describe, expect, test } from "vitest";
import { fullVariant, variantsOf } from "../../../../src/llm/eval/variants.ts";
import { LlmEngine } from "../../../../src/llm/engine/llmEngine.ts";
import { Bootstrap } from "../../../../src/llm/eval/bootstrap.ts";
import { evaluate, type EvaluateOptions } from "../../../../src/llm/eval/evaluate.ts";
import { textItems } from "../../../../src/llm/eval/textItems.ts";
import { scoreAnswers, scoreLikelihoods } from "../../../../src/llm/eval/score.ts";
import type { TaskItem } from "../../../../src/llm/tasks/task.ts";
import { ruleRunner } from "./ruleRunner.ts";

const VOCABULARY = 50;
const item = (prompt: number[], forced: number[], answer: number[], depth?: number): TaskItem => ({
  prompt: Int32Array.from(prompt),
  forced: Int32Array.from(forced),
  answer: Int32Array.from(answer),
  ...(depth !== undefined && { depth }),
});
/** Says the number after the last one. */
const counting = (tokens: readonly number[]) => (tokens.at(-1)! + 1) % VOCABULARY;

describe("answers", () => {
  test("are the model's own, from the prompt or after what was forced", async () => {
    const { runner, held } = ruleRunner(VOCABULARY, 3, counting);
    const items = [
      item([1, 2, 3], [], [4, 5, 6]),
      item([1, 2, 3], [9], [10]),
      item([7], [20, 30], [31, 32]),
      item([7], [], [8, 10, 10]),
      item([7], [8, 9], [3]),
    ];
    const { scores } = await scoreAnswers(new LlmEngine(runner), fullVariant, items, { seed: 0, first: 0 });
    expect(scores).toEqual([
      { score: 1, tokens: 1 },
      { score: 1, tokens: 1 },
      { score: 1, tokens: 1 },
      // It goes on from its own 9, not from the answer's 10.
      { score: 0, tokens: 2 / 3 },
      { score: 0, tokens: 0 },
    ]);
    expect(held()).toBe(0);
  });

  test("take as many texts as there are sequences, the next one as soon as one is over", async () => {
    const { runner, calls } = ruleRunner(VOCABULARY, 2, counting);
    const items = [item([1], [5, 6, 7], [8]), item([1], [], [2]), item([3], [], [4, 5])];
    await scoreAnswers(new LlmEngine(runner), fullVariant, items, { seed: 0, first: 0 });
    const sequencesOf = (call: string) =>
      calls.filter((one) => one.call === call).map(({ sequences }) => sequences);
    expect(sequencesOf("prefill")).toEqual([[0, 1], [1]]);
    expect(sequencesOf("decode")).toEqual([[0, 1], [0], [0]]);
  });

  test("have noise by their own number, wherever they sit", async () => {
    const streams: number[] = [];
    const next = (_: readonly number[], { seed, stream }: { seed?: number; stream?: number }) => {
      expect(seed).toBe(5);
      streams.push(stream!);
      return 0;
    };
    const { runner } = ruleRunner(VOCABULARY, 2, next);
    const items = [1, 2, 3].map((n) => item([n], [], [0]));
    await scoreAnswers(new LlmEngine(runner), fullVariant, items, { seed: 5, first: 40 });
    expect(streams).toEqual([40, 41, 42]);
  });
});

describe("likelihoods", () => {
  test("are those of every forced token, each after the true ones before it", async () => {
    const { runner } = ruleRunner(VOCABULARY, 2, counting);
    const right = Math.log(1 + (VOCABULARY - 1) * Math.exp(-4));
    const items = [item([1, 2], [3, 4, 5, 6], []), item([1, 2], [3, 9, 10, 30], [])];
    const { scores } = await scoreLikelihoods(new LlmEngine(runner), fullVariant, items, {
      seed: 0,
      first: 0,
    });
    expect(scores[0]!.score).toBeCloseTo(right, 6);
    expect(scores[1]!.score).toBeCloseTo(right + 2, 6);
  });
});

describe("evaluate", () => {
  const options = (more: Partial<EvaluateOptions> = {}): EvaluateOptions => ({
    measure: "answers",
    item: (i) => item([i % 7, 3], [], [i % 4 === 0 ? 4 : 5], (i % 10) / 10),
    items: 40,
    variants: [fullVariant, ...variantsOf(["h2o", "keyformer"], [0.25, 0.5])],
    seeds: 3,
    ...more,
  });

  test("gives every variant the same texts, seeds to those alone that draw, and pools them", async () => {
    const asked = new Map<string, number>();
    const { runner } = ruleRunner(VOCABULARY, 8, (tokens, { policies, seed }) => {
      const { name } = policies(0);
      asked.set(name, (asked.get(name) ?? 0) + 1);
      // Keyformer is right with seeds 0 and 1 where all are right, others whenever the answer is 5.
      return name === "keyformer" && seed === 2 ? 9 : 5;
    });
    const progress: [number, number][] = [];
    const found = await evaluate(
      new LlmEngine(runner),
      options({ onProgress: (...at) => progress.push(at) }),
    );
    expect(found.items).toBe(40);
    expect(asked).toEqual(
      new Map([
        ["full", 40],
        ["h2o", 80],
        ["keyformer", 240],
      ]),
    );
    expect(found.variants.map(({ policy, budget, seeds }) => [policy, budget, seeds])).toEqual([
      ["full", null, 1],
      ["h2o", 0.25, 1],
      ["h2o", 0.5, 1],
      ["keyformer", 0.25, 3],
      ["keyformer", 0.5, 3],
    ]);
    const [whole, h2o, , keyformer] = found.variants;
    expect(whole!.mean).toBe(0.75);
    expect(whole!.low).toBeLessThan(0.75);
    expect(whole!.high).toBeGreaterThan(0.75);
    expect(h2o!.difference).toEqual({ mean: 0, low: 0, high: 0 });
    expect(keyformer!.mean).toBeCloseTo(0.5, 12);
    expect(keyformer!.difference.mean).toBeCloseTo(-0.25, 12);
    expect(keyformer!.values).toHaveLength(40);
    expect(progress.at(-1)).toEqual([360, 360]);
    // Items of tenths: two of them fall in each fifth; every fourth item is wrong.
    expect(whole!.byDepth).toHaveLength(5);
    expect(whole!.byDepth.reduce<number>((sum, mean) => sum + mean!, 0) / 5).toBeCloseTo(0.75, 12);
  });

  test("stops after a whole round when time is up", async () => {
    const { runner } = ruleRunner(VOCABULARY, 8, () => 5);
    const found = await evaluate(new LlmEngine(runner), options({ maxSeconds: 0 }));
    expect(found.items).toBe(8);
    expect(found.variants.every(({ values }) => values.length === 8)).toBe(true);
  });
});

describe("Bootstrap", () => {
  test("covers the truth as often as it says, for shares of 200 items", () => {
    // Deterministic pseudo-samples: each set has items that are right when a low-discrepancy point is below p.
    let covered = 0;
    const sets = 200;
    for (let set = 0; set < sets; set++) {
      let state = 12_345 + 7919 * set;
      const values = Float64Array.from({ length: 200 }, () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state / 2 ** 32 < 0.3 ? 1 : 0;
      });
      const { low, high } = new Bootstrap(200, { resamples: 400, seed: set }).interval(values);
      if (low <= 0.3 && 0.3 <= high) covered++;
    }
    expect(covered / sets).toBeGreaterThan(0.9);
    expect(covered / sets).toBeLessThan(0.99);
  });

  test("sees a small difference of paired values that their own intervals hide", () => {
    const a = Array.from({ length: 100 }, (_, i) => (i % 10) + 0.1);
    const b = Array.from({ length: 100 }, (_, i) => i % 10);
    const bootstrap = new Bootstrap(100);
    const { low, high } = bootstrap.difference(a, b);
    expect([low, high]).toEqual([expect.closeTo(0.1, 9), expect.closeTo(0.1, 9)]);
    expect(bootstrap.interval(b).high).toBeGreaterThan(bootstrap.interval(a).low);
  });
});

describe("textItems", () => {
  const tokens = Int32Array.from({ length: 103 }, (_, i) => i);
  test("cuts a text into pieces that do not overlap, spread over all of it", () => {
    const all = textItems(tokens, { promptTokens: 6, scoredTokens: 4 }, 100);
    expect(all).toHaveLength(10);
    expect([...all[3]!.prompt, ...all[3]!.forced]).toEqual([30, 31, 32, 33, 34, 35, 36, 37, 38, 39]);
    const some = textItems(tokens, { promptTokens: 6, scoredTokens: 4 }, 4);
    expect(some.map(({ prompt }) => prompt[0])).toEqual([0, 20, 50, 70]);
  });

  test("refuses a text that is too short", () => {
    expect(() => textItems([1, 2], { promptTokens: 6, scoredTokens: 4 }, 1)).toThrow(
      /10 tokens, got a text of 2/,
    );
  });
});
