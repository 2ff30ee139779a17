/** @file Several texts on one runner: each is what it would be alone; what a runner refuses; the shortest texts. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LlmEngine } from "../../../src/llm/engine/llmEngine.ts";
import type { GenerateRequest } from "../../../src/llm/engine/request.ts";
import { endOf, runBatch } from "../../../src/llm/engine/runBatch.ts";
import { argmax } from "../../../src/llm/generate/logits.ts";
import type { KvDecision } from "../../../src/llm/kv/policy.ts";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import { streaming } from "../../../src/llm/kv/policies/streaming.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import { collect } from "../../support/llm/fakeRunner.ts";
import { cases, largestDifference, openCase } from "./goldenModels.ts";
import { onEachDevice } from "./runnerDevices.ts";

const refusal = (code: string): unknown => expect.objectContaining({ code });
const text = (maxNewTokens = 4, policies = full) => ({ policies, maxNewTokens });
/** Ragged: tokens of the prompts. */
const LENGTHS = [50, 3, 33, 1, 17];
const STEPS = 12;
const promptOf = (i: number) => cases.tokens.slice(i * 4, i * 4 + LENGTHS[i]!);
const forcedOf = (i: number, step: number) => cases.tokens[(i * 11 + step * 5) % cases.tokens.length]!;

onEachDevice((device) => {
  describe.each([
    ["llama", "default"],
    ["llama", "mistral"],
    ["llama", "dynamic"],
    ["llama", "longrope"],
    ["gpt2", "default"],
    ["mpt", "default"],
  ])("%s %s", (model, name) => {
    test("a text in a ragged batch is what it is alone, whatever its sequence", async () => {
      const runner = await openCase(model, name, LENGTHS.length, device);
      try {
        const policy = keyformer({ budget: { share: 0.4 }, horizon: STEPS });
        const run = async (texts: readonly number[], sequenceOf: (i: number) => number) => {
          const decisions = new Map<number, KvDecision[]>(texts.map((i) => [i, []]));
          for (const i of texts) {
            runner.begin(sequenceOf(i), {
              policies: () => policy,
              maxNewTokens: STEPS,
              seed: 5,
              onDecision: (decision) => decisions.get(i)!.push(decision),
            });
          }
          const passes = [
            await runner.prefill(texts.map((i) => ({ sequence: sequenceOf(i), tokens: promptOf(i) }))),
          ];
          for (let step = 0; step < STEPS; step++)
            passes.push(
              await runner.decode(texts.map((i) => ({ sequence: sequenceOf(i), token: forcedOf(i, step) }))),
            );
          const { vocabSize } = runner.config;
          const logits = texts.map((_, row) =>
            passes.flatMap((pass) => [...pass.subarray(row * vocabSize, (row + 1) * vocabSize)]),
          );
          return { logits, decisions };
        };
        const order = [3, 0, 4, 2, 1];
        const together = await run(order, (i) => (i * 2 + 1) % LENGTHS.length);
        for (const [row, i] of order.entries()) {
          const alone = await run([i], () => 0);
          expect(largestDifference(together.logits[row]!, alone.logits[0]!)).toBeLessThan(1e-4);
          expect(together.decisions.get(i)).toEqual(alone.decisions.get(i));
        }
      } finally {
        await runner.dispose();
      }
    });
  });

  test("a short text beside a long one is what it is alone", async () => {
    const runner = await openCase("llama", "default", 2, device);
    const prompts = [20, 400].map((length) =>
      Array.from({ length }, (_, i) => cases.tokens[i % cases.tokens.length]!),
    );
    try {
      const read = async (sequences: readonly number[]) => {
        for (const sequence of sequences) runner.begin(sequence, text());
        return runner.prefill(sequences.map((sequence) => ({ sequence, tokens: prompts[sequence]! })));
      };
      const together = await read([0, 1]);
      expect(largestDifference(together.subarray(0, runner.config.vocabSize), await read([0]))).toBeLessThan(
        1e-4,
      );
    } finally {
      await runner.dispose();
    }
  });

  test("a continuous batch gives each text what it comes to alone", async () => {
    const runner = await openCase("llama", "default", 4, device);
    const engine = new LlmEngine(runner);
    try {
      const policy = keyformer({ budget: { share: 0.4 }, horizon: 9 });
      const requests = LENGTHS.map((_, i): GenerateRequest => {
        return {
          prompt: promptOf(i),
          maxNewTokens: 5 + 2 * i,
          kv: () => policy,
          noise: { seed: i },
          stopTokenIds: [2],
          ignoreEos: true,
          ...(i % 2 === 1 ? { beams: 2 } : { sampling: { temperature: i, seed: i } }),
        };
      });
      const alone = [];
      for (const request of requests) alone.push(...(await collect(runBatch(engine, [request]))));
      for (const given of [requests, requests.toReversed()]) {
        for (const result of await collect(runBatch(engine, given))) {
          const { tokens, finishReason, memory } = alone[requests.indexOf(given[result.index]!)]!;
          expect(result).toMatchObject({ tokens, finishReason: finishReason, memory });
        }
      }
    } finally {
      await runner.dispose();
    }
  });

  describe("a runner", () => {
    let gpt2: LlmRunner;
    beforeAll(async () => {
      gpt2 = await openCase("gpt2", "default", 2, device);
    });
    afterAll(() => gpt2.dispose());

    /** Reads a prompt in the first sequence. */
    const read = (tokens: readonly number[], options = text()) => {
      gpt2.begin(0, options);
      return gpt2.prefill([{ sequence: 0, tokens }]);
    };

    async function textOf(
      prompt: number[],
      maxNewTokens: number,
      policies = full,
      stopTokenIds: number[] = [],
    ) {
      const engine = new LlmEngine(gpt2);
      return endOf(engine.generate({ prompt, maxNewTokens, kv: policies, stopTokenIds, ignoreEos: true }));
    }

    test("refuses an empty prompt, a step before it and tokens that the model lacks", async () => {
      await expect(read([])).rejects.toThrow(refusal("LLM_PROMPT"));
      await expect(read([3, 64])).rejects.toThrow(refusal("LLM_PROMPT"));
      gpt2.begin(0, text());
      await expect(gpt2.decode([{ sequence: 0, token: 3 }])).rejects.toThrow(refusal("LLM_PROMPT"));
      await gpt2.prefill([{ sequence: 0, tokens: [3], more: true }]);
      await expect(gpt2.decode([{ sequence: 0, token: 3 }])).rejects.toThrow(refusal("LLM_PROMPT"));
      await expect(read([3]).then(() => gpt2.decode([{ sequence: 0, token: -1 }]))).rejects.toThrow(
        refusal("LLM_PROMPT"),
      );
    });

    test("refuses sequences that are not there, have not begun or come twice", async () => {
      gpt2.release(0);
      await expect(gpt2.prefill([{ sequence: 0, tokens: [3] }])).rejects.toThrow(refusal("LLM_SEQUENCE"));
      await expect(gpt2.prefill([{ sequence: 2, tokens: [3] }])).rejects.toThrow(refusal("LLM_SEQUENCE"));
      expect(() => gpt2.begin(-1, text())).toThrow(refusal("LLM_SEQUENCE"));
      await expect(gpt2.fork(0, 1)).rejects.toThrow(refusal("LLM_SEQUENCE"));
      gpt2.begin(0, text());
      const twice = [
        { sequence: 0, tokens: [3] },
        { sequence: 0, tokens: [4] },
      ];
      await expect(gpt2.prefill(twice)).rejects.toThrow(refusal("LLM_SEQUENCE"));
    });

    test("refuses a text beyond the learned positions before it begins, unless positions are numbered anew", async () => {
      const prompt = cases.tokens.slice(0, 60);
      // The last token is chosen at position 128 but never read.
      await expect(read(prompt, text(70))).rejects.toThrow(refusal("LLM_CONTEXT"));
      await expect(read(prompt, text(69))).resolves.toHaveLength(64);
      const renumbered = () => streaming({ budget: { count: 20 } });
      expect((await textOf(prompt, 100, renumbered)).tokens).toHaveLength(100);
    });

    test("goes on from one token, within and beyond a budget", async () => {
      const wanted = await textOf([5], 30);
      const within = await textOf([5], 30, () => keyformer({ budget: { count: 40 }, horizon: 30 }));
      expect(within.tokens).toEqual(wanted.tokens);
      const beyond = await textOf([5], 30, () => keyformer({ budget: { count: 8 }, horizon: 30 }));
      expect(beyond.memory).toMatchObject({
        tokensSeen: 30,
        evictedTokens: 22,
        kvBytes: 2 * 2 * 32 * 4 * (8 + 1),
        fullKvBytes: 2 * 2 * 32 * 4 * 30,
      });
    });

    test("goes on with a sequence in a further turn, as by prefill and decode", async () => {
      const policies = () => keyformer({ budget: { count: 8 }, horizon: 20 });
      const engine = new LlmEngine(gpt2);
      const talk = engine.converse({ kv: policies, maxNewTokens: 20 });
      const turn = { maxNewTokens: 10, ignoreEos: true };
      const first = await endOf(talk.generate({ ...turn, prompt: cases.tokens.slice(0, 20) }));
      // It stays in its sequence.
      expect(gpt2.memory(0)).toEqual(first.memory);
      const second = await endOf(talk.generate({ ...turn, prompt: [7, 8, 9] }));
      expect(second.memory!.tokensSeen).toBe(20 + 10 + 3 + 9);
      talk.end();
      expect(gpt2.memory(0).kvBytes).toBe(0);

      gpt2.begin(1, { policies, maxNewTokens: 20 });
      const greedy = async (prompt: readonly number[]) => {
        const tokens = [argmax(await gpt2.prefill([{ sequence: 1, tokens: prompt }]))];
        while (tokens.length < 10)
          tokens.push((await gpt2.decodeTokens([{ sequence: 1, token: tokens.at(-1)! }]))[0]!);
        return tokens;
      };
      expect(await greedy(cases.tokens.slice(0, 20))).toEqual(first.tokens);
      expect(await greedy([first.tokens.at(-1)!, 7, 8, 9])).toEqual(second.tokens);
      gpt2.release(1);
    });

    test("ends at an end token, which is not given", async () => {
      const { tokens } = await textOf([5], 30);
      const end = tokens[4]!;
      const cut = await textOf([5], 30, full, [end]);
      expect(cut.tokens).toEqual(tokens.slice(0, tokens.indexOf(end)));
      expect(cut).toMatchObject({ finishReason: "stop", decodeSteps: tokens.indexOf(end) });
    });

    test("a text that is stopped frees its memory", async () => {
      const stop = new AbortController();
      const engine = new LlmEngine(gpt2);
      const run = engine.generate({
        prompt: cases.tokens.slice(0, 50),
        maxNewTokens: 60,
        ignoreEos: true,
        signal: stop.signal,
      });
      await run.next();
      await run.next();
      expect(gpt2.memory(0).kvBytes).toBeGreaterThan(0);
      stop.abort();
      const end = await endOf(run);
      expect(end.finishReason).toBe("abort");
      expect(end.tokens.length).toBeLessThan(60);
      expect(end.memory!.tokensSeen).toBe(50 + end.decodeSteps);
      expect(gpt2.memory(0)).toMatchObject({ kvBytes: 0, bookkeepingBytes: 0, tokensSeen: 0 });
    });
  });
});
