/** @file Beam search against Hugging Face's `generate(num_beams=…)`, and beams whose caches evict. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type BatchRequest, runBatch } from "../../../src/llm/generate/runBatch.ts";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import type { KvPolicy } from "../../../src/llm/kv/policy.ts";
import { collect } from "../../unit/llm/fakeRunner.ts";
import { cases, openCase } from "./goldenModels.ts";

interface Found {
  prompt: number[];
  beams: number;
  endTokens: number[];
  maxNewTokens: number;
  tokens: number[];
  score: number;
  endedBy: "length" | "end-token";
}

const found = JSON.parse(
  await readFile(join(import.meta.dirname, "../../../golden/llm/beams.json"), "utf8"),
) as Record<string, Found[]>;

describe.each(Object.keys(found))("%s", (model) => {
  test("finds the texts that transformers finds, alone and in a batch with others", async () => {
    const runner = await openCase(model, "default", 9);
    try {
      const requests = found[model]!.map(({ prompt, beams, endTokens, maxNewTokens }): BatchRequest => {
        return { prompt, beams, endTokens, text: { policies: full, maxNewTokens } };
      });
      const alone = [];
      for (const request of requests) alone.push(...(await collect(runBatch(runner, [request]))));
      const together = await collect(runBatch(runner, requests));
      together.sort((a, b) => a.index - b.index);
      for (const results of [alone, together]) {
        for (const [i, { tokens, endedBy, score }] of found[model]!.entries()) {
          expect(results[i]).toMatchObject({ tokens, endedBy });
          expect(results[i]!.score).toBeCloseTo(score, 4);
        }
      }
      for (let seat = 0; seat < runner.seats; seat++) expect(runner.memory(seat).kvBytes).toBe(0);
    } finally {
      await runner.dispose();
    }
  });
});

describe("beams whose caches evict", () => {
  const run = async (policy: KvPolicy, beams: number) => {
    const runner = await openCase("llama", "default", beams);
    try {
      const request: BatchRequest = {
        prompt: cases.tokens.slice(0, 30),
        text: { policies: () => policy, maxNewTokens: 24, seed: 5 },
        beams,
        endTokens: [],
      };
      return (await collect(runBatch(runner, [request])))[0]!;
    } finally {
      await runner.dispose();
    }
  };

  test("a budget of the whole text changes nothing, with noise and without", async () => {
    const wanted = await run(full(), 4);
    for (const noise of ["gumbel", "none"] as const) {
      const found = await run(keyformer({ budget: { tokens: 54 }, noise, horizon: 24 }), 4);
      expect(found).toMatchObject({ tokens: wanted.tokens, score: wanted.score });
    }
  });

  test("hold their budget each, and the same text again for the same seed", async () => {
    const policy = keyformer({ budget: { tokens: 12 }, horizon: 24 });
    const found = await run(policy, 3);
    // The last token is never read.
    expect(found.memory).toMatchObject({ tokensSeen: 53, evictedTokens: 41 });
    expect(found.memory.kvBytes).toBe(3 * 2 * 2 * 2 * 8 * 4 * (12 + 1));
    expect(await run(policy, 3)).toEqual(found);
  });
});
