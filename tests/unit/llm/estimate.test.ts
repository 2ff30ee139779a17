/** @file What a model will take, against sums by hand and against caches that exist. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  kvPolicy,
  estimate,
  full,
  keyformer,
  readModelShape,
  snapkv,
  streaming,
  type KvPolicy,
} from "../../../src/llm/index.ts";
import { budgetCapacity, meanAttended } from "../../../src/llm/kv/capacity.ts";
import { driveCache } from "../../support/llm/driveCache.ts";
import { writeTinyLlama2c } from "../../support/llm/tinyLlama2c.ts";

const MPT_7B = {
  model_type: "mpt",
  d_model: 4096,
  n_heads: 32,
  n_layers: 32,
  expansion_ratio: 4,
  max_seq_len: 2048,
  vocab_size: 50_432,
  no_bias: true,
  attn_config: { alibi: true },
};
const LLAMA_3_8B = {
  model_type: "llama",
  hidden_size: 4096,
  intermediate_size: 14_336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 128_256,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
  max_position_embeddings: 8192,
  tie_word_embeddings: false,
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-estimate-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function shapeOf(config: object) {
  const path = join(folder, "config.json");
  await writeFile(path, JSON.stringify(config));
  return (await readModelShape(path)).config;
}

const half = keyformer({ budget: { share: 0.5 }, horizon: 1024 });
const KILO = { contextTokens: 1024, newTokens: 1024, dtype: "bf16" } as const;

describe("estimate", () => {
  test("gives MPT-7B's published sizes", async () => {
    const bandwidth = 3e12;
    const found = estimate(await shapeOf(MPT_7B), { ...KILO, policies: () => half, bandwidth });
    expect(found.parameters).toBe(6_649_286_656);
    expect(found.weightBytes).toBe(13_298_573_312);
    expect(found.kvBytesPerToken).toBe(524_288);
    expect(found.full.kvBytes).toBe(2048 * 524_288);
    // 2 · layers · KV heads · head size · bytes · (k + 1), and 8 bytes an entry.
    expect(found.policy.kvBytes).toBe(2 * 32 * 32 * 128 * 2 * 513);
    expect(found.policy.bookkeepingBytes).toBe(32 * 32 * 513 * 8);
    const onGpu = estimate(await shapeOf(MPT_7B), { ...KILO, policies: () => half, device: "cuda" });
    expect(onGpu.policy.bookkeepingBytes).toBe(32 * 32 * 513 * 12);
    // One layer holds the whole prompt while all have room for their budget.
    expect(found.policy.promptPeakBytes).toBe(513 * (524_288 + 8192) + 1024 * (16_384 + 256));
    // Of 1024 steps the first attends to 1025 tokens, the last to 2048.
    expect(found.full.stepBytes).toBe(13_298_573_312 + 1536.5 * 524_288);
    // Position and score are read, the score written.
    expect(found.policy.stepBytes).toBe(13_298_573_312 + 513 * (524_288 + 32 * 32 * 12));
    expect(found.full.tokensPerSecond).toBeCloseTo(212.7, 1);
    expect(found.full.peakBytes).toBeGreaterThan(found.weightBytes + found.full.kvBytes);
  });

  test("gives Llama-3-8B's, whose embedding is looked up and not read", async () => {
    const config = await shapeOf(LLAMA_3_8B);
    const found = estimate(config, { ...KILO, batch: 4, policies: () => half });
    expect(found.parameters).toBe(8_030_261_248);
    expect(found.kvBytesPerToken).toBe(131_072);
    expect(found.policy.kvBytes).toBe(4 * 513 * 131_072);
    const read = 2 * (8_030_261_248 - 128_256 * 4096 + 4 * 4096);
    expect(found.full.stepBytes).toBe(read + 4 * 1536.5 * 131_072);
    expect(found.full.tokensPerSecond).toBeNull();
    expect(estimate(config, { ...KILO, dtype: "f32", policies: full }).kvBytesPerToken).toBe(262_144);
  });

  test("finds the shortest prompt at which a step's bytes are 10 % fewer, to the token", async () => {
    const config = await shapeOf(MPT_7B);
    const options = { ...KILO, newTokens: 1, policies: () => half };
    const { paysFrom } = estimate(config, options);
    const ratio = (contextTokens: number) => {
      const { full, policy } = estimate(config, { ...options, contextTokens });
      return policy.stepBytes / full.stepBytes;
    };
    // 0.9 · (weights + n · kv) = weights + n/2 · (kv + 12 bytes a head): n = 0.1 · weights / (0.4 · kv − …), nearly.
    expect(paysFrom.tenPercent).toBeCloseTo(13_298_573_312 / 10 / (0.4 * 524_288 - 0.5 * 12_288), -2);
    // A share of the prompt is rounded down, so the ratio falls in steps of two tokens.
    expect(ratio(paysFrom.tenPercent!)).toBeLessThanOrEqual(0.9);
    expect(ratio(paysFrom.tenPercent! - 2)).toBeGreaterThan(0.9);
  });

  test.each([
    [{ contextTokens: 0 }, "contextTokens"],
    [{ contextTokens: 1.5 }, "contextTokens"],
    [{ newTokens: Number.NaN }, "newTokens"],
    [{ batch: -1 }, "batch"],
    [{ bandwidth: Number.POSITIVE_INFINITY }, "bandwidth"],
  ])("refuses %j", async (change, name) => {
    const config = await shapeOf(MPT_7B);
    expect(() => estimate(config, { ...KILO, policies: full, ...change })).toThrow(
      expect.objectContaining({ code: "LLM_OPTION", message: expect.stringContaining(name) as unknown }),
    );
  });

  test("says that a full cache never pays against itself", async () => {
    const { paysFrom, full: whole, policy } = estimate(await shapeOf(MPT_7B), { ...KILO, policies: full });
    expect(paysFrom).toEqual({ bytes: null, tenPercent: null });
    expect(policy).toEqual(whole);
  });

  test("reads the shape of a llama2.c file, and refuses what is no model", async () => {
    const path = await writeTinyLlama2c(folder);
    const { name, config } = await readModelShape(path);
    expect({ name, layers: config.layers, kvHeads: config.kvHeads }).toEqual({
      name: "tiny",
      layers: 2,
      kvHeads: 2,
    });
    await expect(readModelShape(join(folder, "none"))).rejects.toMatchObject({ code: "FILE_MISSING" });
    await writeFile(join(folder, "short.bin"), "abc");
    await expect(readModelShape(join(folder, "short.bin"))).rejects.toMatchObject({
      code: "LLM_MODEL_DAMAGED",
    });
  });
});

describe("capacity, against caches that run", () => {
  const policies: ((share: number) => KvPolicy)[] = [
    full,
    (share) => keyformer({ budget: { share: share }, horizon: 9 }),
    (share) => keyformer({ budget: { share: share }, horizon: 9, evictEvery: 4 }),
    (share) => keyformer({ budget: { share: share }, horizon: 9, mode: "reference-mask" }),
    (share) => streaming({ budget: { share: share } }),
    (share) => snapkv({ budget: { count: 2 + Math.floor(30 * share) } }),
    (share) => kvPolicy({ name: "tova", budget: { share: share } }, { maxNewTokens: 9 }),
  ];

  test("bytes and attended entries are those of the cache", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...policies),
        fc.integer({ min: 5, max: 100 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 30 }),
        (make, percent, promptTokens, newTokens) => {
          const policy = make(percent / 100);
          const { cache, steps } = driveCache(() => 0, {
            policy,
            promptTokens,
            newTokens,
            kvHeads: 2,
            queryHeads: 2,
          });
          const budget = policy.budget(promptTokens);
          const text = { budget, evictEvery: policy.evictEvery, promptTokens, newTokens };
          const { kvBytes, bookkeepingBytes } = cache.stats;
          expect(kvBytes).toBe(2 * 2 * 2 * 4 * budgetCapacity(text));
          const perEntry = policy.positions === "new" ? 12 : 8;
          expect(bookkeepingBytes).toBe(2 * perEntry * budgetCapacity(text));
          const attended = steps.slice(1).map(([layer]) => layer![0]!.attended.length);
          const mean = attended.reduce((sum, n) => sum + n, 0) / newTokens;
          expect(meanAttended(text, Number.POSITIVE_INFINITY)).toBeCloseTo(mean, 9);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("a sliding window bounds what is attended to", () => {
    for (const promptTokens of [3, 8, 20]) {
      const { steps } = driveCache(() => 0, {
        policy: full(),
        promptTokens,
        newTokens: 15,
        attentionWindow: 8,
      });
      const attended = steps.slice(1).map(([layer]) => layer![0]!.attended.length);
      const text = { budget: Number.POSITIVE_INFINITY, evictEvery: 1, promptTokens, newTokens: 15 };
      expect(meanAttended(text, 8)).toBeCloseTo(attended.reduce((sum, n) => sum + n, 0) / 15, 9);
    }
  });
});
