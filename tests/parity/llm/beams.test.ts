/** @file Beam search against Hugging Face's `generate(num_beams=…)`, and beams whose caches evict. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LlmEngine } from "../../../src/llm/engine/llmEngine.ts";
import type { GenerateRequest } from "../../../src/llm/engine/request.ts";
import { runBatch } from "../../../src/llm/engine/runBatch.ts";
import type { DenseDecoder } from "../../../src/llm/cpu/denseDecoder.ts";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { h2o } from "../../../src/llm/kv/policies/h2o.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import type { KvPolicy } from "../../../src/llm/kv/policy.ts";
import type { LlmRunner, SequenceToken } from "../../../src/llm/runner/runner.ts";
import { collect, FakeRunner } from "../../support/llm/fakeRunner.ts";
import { cases, openCase, openDense } from "./goldenModels.ts";
import { MaskedModel } from "./maskedModel.ts";
import { onEachDevice } from "./runnerDevices.ts";

interface Found {
  prompt: number[];
  beams: number;
  eosTokenIds: number[];
  maxNewTokens: number;
  tokens: number[];
  score: number;
  finishReason: "length" | "stop";
}

const found = JSON.parse(
  await readFile(join(import.meta.dirname, "../../../golden/llm/beams.json"), "utf8"),
) as Record<string, Found[]>;

/** A runner whose sequences keep everything and mask what accumulated attention drops. It decodes and forks, no more. */
function maskedRunner(
  dense: DenseDecoder,
  maxSequences: number,
  keep: { budget: number; recent: number },
): LlmRunner {
  const texts: { model: MaskedModel; tokensSeen: number }[] = [];
  const readAll = async (given: readonly { sequence: number; tokens: readonly number[] }[]) => {
    const rows: Float32Array[] = [];
    for (const { sequence, tokens } of given) {
      const text = texts[sequence]!;
      let logits: Float32Array = new Float32Array(0);
      for (const token of tokens) logits = await text.model.read(token, text.tokensSeen++);
      text.model.evictHeavy(text.tokensSeen, keep);
      rows.push(logits);
    }
    return Float32Array.from(rows.flatMap((row) => [...row]));
  };
  const fake = new FakeRunner(() => [], { vocabulary: dense.config.vocabSize, maxSequences });
  return Object.assign(fake, {
    begin: (sequence: number) =>
      void (texts[sequence] = { model: new MaskedModel(dense, false), tokensSeen: 0 }),
    prefill: readAll,
    decode: (tokens: readonly SequenceToken[]) =>
      readAll(tokens.map(({ sequence, token }) => ({ sequence, tokens: [token] }))),
    fork: async (from: number, to: number) => {
      texts[to] = { ...texts[from]!, model: texts[from]!.model.clone() };
    },
  });
}

onEachDevice((device) => {
  describe.each(Object.keys(found))("%s", (model) => {
    test("finds the texts that transformers finds, alone and in a batch with others", async () => {
      const runner = await openCase(model, "default", 9, device);
      try {
        const requests = found[model]!.map(
          ({ prompt, beams, eosTokenIds, maxNewTokens }): GenerateRequest => {
            return { prompt, beams, maxNewTokens, stopTokenIds: eosTokenIds, ignoreEos: true };
          },
        );
        const engine = new LlmEngine(runner);
        const alone = [];
        for (const request of requests) alone.push(...(await collect(runBatch(engine, [request]))));
        const together = await collect(runBatch(engine, requests));
        together.sort((a, b) => a.index - b.index);
        for (const results of [alone, together]) {
          for (const [i, { tokens, finishReason, score }] of found[model]!.entries()) {
            expect(results[i]).toMatchObject({ tokens, finishReason });
            expect(results[i]!.score).toBeCloseTo(score, 4);
          }
        }
        for (let sequence = 0; sequence < runner.maxSequences; sequence++)
          expect(runner.memory(sequence).kvBytes).toBe(0);
      } finally {
        await runner.dispose();
      }
    });
  });

  describe("beams whose caches evict", () => {
    test.each(["llama", "mpt"])(
      "%s: equal beams over everything, with what is evicted masked",
      async (model) => {
        const runner = await openCase(model, "default", 4, device);
        const dense = await openDense(model, "default");
        try {
          const masked = maskedRunner(dense, 4, { budget: 10, recent: 5 });
          for (const start of [0, 25]) {
            const request: GenerateRequest = {
              prompt: cases.tokens.slice(start, start + 24),
              kv: () => h2o({ budget: { count: 10 } }),
              maxNewTokens: 20,
              beams: 4,
              ignoreEos: true,
            };
            const [found] = await collect(runBatch(new LlmEngine(runner), [request]));
            const [wanted] = await collect(runBatch(new LlmEngine(masked), [request]));
            expect(found!.tokens).toEqual(wanted!.tokens);
            expect(found!.score).toBeCloseTo(wanted!.score!, 4);
            expect(found!.memory.evictedTokens).toBe(24 + 19 - 10);
          }
        } finally {
          await Promise.all([runner.dispose(), dense.dispose()]);
        }
      },
    );

    const run = async (runner: LlmRunner, policy: KvPolicy) => {
      const requests = [1, 4, 1, 2, 1].map((beams, i): GenerateRequest => {
        const cached = { kv: () => policy, noise: { seed: 5 } };
        const prompt = cases.tokens.slice(i, 30);
        return { prompt, ...cached, maxNewTokens: 20 - i, beams, ignoreEos: true };
      });
      const results = await collect(runBatch(new LlmEngine(runner), requests));
      return results.map(({ index, tokens, score }) => ({ index, tokens, score }));
    };

    test.each(Object.keys(cases.models))(
      "%s: a budget of the whole text changes no bit, with noise and without",
      async (model) => {
        const runner = await openCase(model, "default", 7, device);
        try {
          const wanted = await run(runner, full());
          for (const noise of ["gumbel", "none"] as const) {
            const policy = keyformer({ budget: { count: 50 }, noise, horizon: 20 });
            expect(await run(runner, policy)).toEqual(wanted);
          }
        } finally {
          await runner.dispose();
        }
      },
    );

    test("hold their budget each, and find the same text again for the same seed", async () => {
      const runner = await openCase("llama", "default", 3, device);
      try {
        const search = async () => {
          const policy = keyformer({ budget: { count: 12 }, horizon: 24 });
          const cached = { kv: () => policy, noise: { seed: 5 } };
          const prompt = cases.tokens.slice(0, 30);
          const request = { prompt, ...cached, maxNewTokens: 24, beams: 3, ignoreEos: true };
          const { seconds: _, ...result } = (await collect(runBatch(new LlmEngine(runner), [request])))[0]!;
          return result;
        };
        const found = await search();
        // The last token is never read.
        expect(found.memory).toMatchObject({ tokensSeen: 53, evictedTokens: 41 });
        // Beams that share a cache count it each.
        expect(found.memory.kvBytes).toBe(3 * 2 * 2 * 2 * 8 * 4 * (12 + 1));
        expect(await search()).toEqual(found);
      } finally {
        await runner.dispose();
      }
    });
  });
});
