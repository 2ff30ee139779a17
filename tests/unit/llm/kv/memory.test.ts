import { expect, it } from "vitest";
import { full, h2o, keyformer, KvCache, type KvPolicy, window } from "../../../../src/llm/index.ts";
import { driveCache, hashLogit } from "../../../support/llm/driveCache.ts";

const SHAPE = { layers: 3, queryHeads: 4, kvHeads: 2, headDim: 4 };
const ROW = SHAPE.kvHeads * SHAPE.headDim;

function cacheOf(policy: KvPolicy, promptTokens: number, maxNewTokens: number): KvCache {
  return new KvCache({ ...SHAPE, promptTokens, maxNewTokens, seed: 0, stream: 0, policies: () => policy });
}

/** Bytes of so many entries a KV head in some layers. */
function kvBytes(entries: number, layers = SHAPE.layers): number {
  return 2 * layers * SHAPE.kvHeads * SHAPE.headDim * 4 * entries;
}

it("holds one layer's prompt at a time, then exactly its budget and one entry, flat over 4,000 steps", () => {
  const [promptTokens, budget] = [100, 20];
  const cache = cacheOf(window({ budget: { count: budget } }), promptTokens, 4000);
  expect(cache.stats.kvBytes).toBe(0);
  const prompt = new Float32Array(promptTokens * ROW);
  for (const [index, layer] of cache.layers.entries()) {
    layer.append(prompt, prompt, promptTokens);
    expect(cache.stats.kvBytes).toBe(kvBytes(budget + 1, index) + kvBytes(promptTokens, 1));
    cache.endPrefill(index);
  }
  const token = new Float32Array(ROW);
  for (let step = 0; step < 4000; step++) {
    for (const [index, layer] of cache.layers.entries()) {
      layer.append(token, token, 1);
      cache.endDecode(index);
    }
    if (step % 500 !== 0) continue;
    expect(cache.stats.kvBytes).toBe(kvBytes(budget + 1));
    // A position and a score of four bytes each for every slot.
    expect(cache.stats.bookkeepingBytes).toBe(8 * SHAPE.layers * SHAPE.kvHeads * (budget + 1));
  }
  expect(cache.stats.liveEntries).toBe(SHAPE.layers * SHAPE.kvHeads * budget);
  expect(cache.stats.evictedEntries).toBe(SHAPE.layers * SHAPE.kvHeads * (promptTokens + 4000 - budget));
});

it("overwrites the evicted one with the newest token and leaves every other slot where it lies", () => {
  const { cache, steps } = driveCache(hashLogit(1, 3), {
    promptTokens: 30,
    newTokens: 0,
    policy: h2o({ budget: { count: 10 } }),
  });
  const layer = cache.layers[0]!;
  expect(steps[0]![0]![0]!.positions).toEqual(Array.from(layer.view(0).positions.subarray(0, 10)));
  for (let position = 30; position < 50; position++) {
    const before = Array.from(layer.view(0).positions.subarray(0, 10));
    layer.append(Float32Array.of(position, 0), Float32Array.of(2 * position, 0), 1);
    cache.endDecode(0);
    const after = Array.from(layer.view(0).positions.subarray(0, 10));
    const changed = after.flatMap((at, slot) => (at === before[slot] ? [] : [{ slot, at }]));
    expect(changed.map(({ at }) => at)).toEqual([position]);
    const { slot } = changed[0]!;
    expect(layer.keys[slot * 2]).toBe(position);
    expect(layer.values[slot * 2]).toBe(2 * position);
  }
});

it("takes its room at once: the prompt's in chunks too, and what decoding will need after a short one", () => {
  const capacity = (policy: KvPolicy, chunk: number, maxNewTokens: number) => {
    const layer = cacheOf(policy, 40, maxNewTokens).layers[0]!;
    const tokens = new Float32Array(chunk * ROW);
    layer.append(tokens, tokens, chunk);
    return layer.capacity;
  };
  expect(capacity(window({ budget: { count: 20 } }), 7, 100)).toBe(40);
  expect(capacity(window({ budget: { count: 60 } }), 7, 100)).toBe(61);
  expect(capacity(window({ budget: { count: 60 } }), 7, 10)).toBe(50);
  expect(capacity(full(), 7, 100)).toBe(140);
});

it("lets a cache grow between evictions, and then evicts all that is over", () => {
  const policy = keyformer({ budget: { count: 10 }, evictEvery: 3, horizon: 9 });
  const { cache, steps } = driveCache(hashLogit(4, 3), { promptTokens: 30, newTokens: 9, policy });
  const lengths = steps.map((layers) => layers[0]![0]!.positions.length);
  expect(lengths).toEqual([10, 11, 12, 10, 11, 12, 10, 11, 12, 10]);
  expect(cache.layers[0]!.capacity).toBe(13);
});

it("takes several tokens at once after eviction, and trims to the best and the newest", () => {
  const policy = h2o({ budget: { count: 10 }, recent: { count: 4 } });
  const logit = hashLogit(6, 3);
  const { cache } = driveCache(logit, { promptTokens: 30, newTokens: 3, policy });
  const layer = cache.layers[0]!;
  const before = layer.length(0);
  layer.append(new Float32Array(10), new Float32Array(10), 5);
  for (let query = 33; query < 38; query++) {
    const visible = before + query - 32;
    const { positions } = layer.view(0);
    const logits = Float64Array.from({ length: visible }, (_, slot) => logit(0, 0, query, positions[slot]!));
    layer.addRow({ kvHead: 0, queryPosition: query, logits, visible });
  }
  const { positions, scores, length } = layer.view(0);
  const entries = Array.from({ length }, (_, slot) => ({ at: positions[slot]!, score: scores[slot]! }));
  const best = entries.filter(({ at }) => at < 34).sort((a, b) => b.score - a.score);
  const expected = [...best.slice(0, 6).map(({ at }) => at), 34, 35, 36, 37].sort((a, b) => a - b);
  cache.endDecode(0);
  const { positions: kept, length: left } = layer.view(0);
  expect(Array.from(kept.subarray(0, left)).sort((a, b) => a - b)).toEqual(expected);
});

it("makes room beyond the tokens that were foretold", () => {
  for (const policy of [full(), keyformer({ budget: { count: 12 }, noise: "none", horizon: 2 })]) {
    const { cache, steps } = driveCache(hashLogit(2, 3), { promptTokens: 4, newTokens: 0, policy });
    expect(steps.length).toBe(1);
    const layer = cache.layers[0]!;
    for (let position = 4; position < 30; position++) {
      layer.append(Float32Array.of(position, 0), Float32Array.of(2 * position, 0), 1);
      cache.endDecode(0);
    }
    const { positions, length } = layer.view(0);
    expect(length).toBe(policy.name === "full" ? 30 : 12);
    for (let slot = 0; slot < length; slot++) {
      expect(layer.keys[slot * 2]).toBe(positions[slot]);
      expect(layer.values[slot * 2]).toBe(2 * positions[slot]!);
    }
    if (policy.name !== "full") expect(layer.capacity).toBe(13);
  }
});

it("drops first what a model's sliding window hides from every later query", () => {
  const sizes = { promptTokens: 20, newTokens: 6, attentionWindow: 8 };
  // Logits of −∞ beyond the window, as the model's own mask gives.
  const logit = (_layer: number, _head: number, query: number, key: number) =>
    query - key >= 8 ? -Infinity : ((query * 7 + key * 5) % 9) / 3;
  for (const [policy, most] of [
    [full(), 7],
    [h2o({ budget: { count: 5 } }), 5],
  ] as const) {
    const { steps } = driveCache(logit, { ...sizes, policy });
    for (const [step, layers] of steps.entries()) {
      const { positions } = layers[0]![0]!;
      expect(positions.length).toBeLessThanOrEqual(most);
      expect(positions[0]!).toBeGreaterThan(20 + step - 8);
    }
  }
});
