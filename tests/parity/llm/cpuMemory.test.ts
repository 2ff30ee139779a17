/** @file What a text takes of the host's memory: exactly its budget, the same after thousands of tokens, and nothing once it is released. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import { streaming } from "../../../src/llm/kv/policies/streaming.ts";
import type { KvPolicy } from "../../../src/llm/kv/policy.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import { leastGrowth } from "../../support/memoryGrowth.ts";
import { cases, openCase } from "./goldenModels.ts";

let runner: LlmRunner;
beforeAll(async () => {
  runner = await openCase("llama", "default", 3);
});
afterAll(() => runner.dispose());

const prompt = cases.tokens.slice(0, 50);

/** Keys and values of so many entries a KV head, in float32. */
function kvBytes(entries: number): number {
  const { layers, kvHeads, headDim } = runner.config;
  return 2 * layers * kvHeads * headDim * 4 * entries;
}

test.each<[name: string, policy: KvPolicy, wordsASlot: number, entries: number]>([
  ["keyformer", keyformer({ budget: { count: 20 }, horizon: 4000 }), 2, 21],
  ["keyformer, evicting every 4", keyformer({ budget: { count: 20 }, evictEvery: 4, horizon: 4000 }), 2, 24],
  ["streaming", streaming({ budget: { count: 20 } }), 3, 21],
])("%s holds its budget and the newest entries over 4,000 steps", async (_name, policy, words, entries) => {
  const { layers, kvHeads } = runner.config;
  runner.begin(0, { policies: () => policy, maxNewTokens: 4000 });
  await runner.prefill([{ sequence: 0, tokens: prompt }]);
  const growth = await leastGrowth(async (round) => {
    for (let step = 1000 * round; step < 1000 * (round + 1); step++) {
      await runner.decode([{ sequence: 0, token: step % 60 }]);
      if (step % 200 !== 0) continue;
      const { kvBytes: held, bookkeepingBytes, tokensSeen } = runner.memory(0);
      expect(held).toBe(kvBytes(entries));
      expect(bookkeepingBytes).toBe(4 * words * layers * kvHeads * entries);
      expect(tokensSeen).toBe(prompt.length + step + 1);
    }
  });
  expect(runner.memory(0).fullKvBytes).toBe(kvBytes(prompt.length + 4000));
  // A leak of the rows of a step alone would be 6 MiB and more in each round.
  expect(growth).toBeLessThan(4 * 2 ** 20);
});

test("a released sequence holds nothing, and a fork only what it has written", async () => {
  const bytes = (sequence: number) => runner.memory(sequence).kvBytes;
  runner.begin(0, { policies: full, maxNewTokens: 10 });
  await runner.prefill([{ sequence: 0, tokens: prompt }]);
  expect(bytes(0)).toBe(kvBytes(60));
  await runner.fork(0, 1);
  await runner.fork(1, 2);
  runner.release(0);
  expect(bytes(0)).toBe(0);
  const [one, two] = [
    await runner.decode([{ sequence: 1, token: 3 }]),
    await runner.decode([{ sequence: 2, token: 3 }]),
  ];
  expect(one).toEqual(two);
  expect(bytes(1)).toBe(kvBytes(60));
  runner.release(1);
  runner.release(2);
  expect([bytes(1), bytes(2)]).toEqual([0, 0]);
});
