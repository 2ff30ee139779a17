import { expect, it } from "vitest";
import { Rng } from "../../../../src/engine/index.ts";
import { keyformer, KvCache } from "../../../../src/llm/index.ts";
import { denseKeyformer, dot, type HeadTensors, softmax } from "./denseOracle.ts";

const SIZES = {
  queryHeads: 4,
  kvHeads: 2,
  headDim: 8,
  promptTokens: 60,
  newTokens: 64,
  budget: 20,
  seed: 42,
};

/** Rows of normal numbers, exact in float32. */
function rows(rng: Rng, count: number, scale: number): Float64Array[] {
  return Array.from({ length: count }, () =>
    Float64Array.from({ length: SIZES.headDim }, () => Math.fround(scale * rng.normal())),
  );
}

/** Attention over the cache's slots in the way of a model, and what it leaves in the cache. */
function compacted(heads: HeadTensors[], bias: (head: number, query: number, key: number) => number) {
  const { queryHeads, kvHeads, headDim, promptTokens, newTokens, budget, seed } = SIZES;
  const group = queryHeads / kvHeads;
  const cache = new KvCache({
    layers: 1,
    queryHeads,
    kvHeads,
    headDim,
    promptTokens,
    maxNewTokens: newTokens,
    seed,
    stream: 0,
    policies: () => keyformer({ budget: { count: budget }, horizon: newTokens }),
  });
  const layer = cache.layers[0]!;
  const outputs: number[][][] = [];

  function append(first: number, tokens: number): void {
    const pack = (of: (head: HeadTensors) => Float64Array[]) =>
      Float32Array.from(
        Array.from({ length: tokens }, (_, token) =>
          heads.map((head) => Array.from(of(head)[first + token]!)),
        ).flat(2),
      );
    layer.append(
      pack((head) => head.keys),
      pack((head) => head.values),
      tokens,
    );
  }

  function attend(query: number, visible: (kvHead: number) => number): void {
    outputs[query] = [];
    for (const [kvHead, head] of heads.entries()) {
      const count = visible(kvHead);
      const positions = layer.attentionPositions(kvHead);
      const row = (of: Float32Array, slot: number) => {
        const at = (kvHead * layer.capacity + slot) * headDim;
        return of.subarray(at, at + headDim);
      };
      const logits = new Float64Array(group * count);
      for (let member = 0; member < group; member++) {
        const own = Array.from(
          { length: count },
          (_, slot) =>
            dot(head.queries[member]![query]!, row(layer.keys, slot)) / Math.sqrt(headDim) +
            bias(kvHead * group + member, query, positions[slot]!),
        );
        logits.set(own, member * count);
        const weights = softmax(own);
        outputs[query]!.push(
          Array.from({ length: headDim }, (_, d) =>
            weights.reduce((sum, weight, slot) => sum + weight * row(layer.values, slot)[d]!, 0),
          ),
        );
      }
      layer.addRow({ kvHead, queryPosition: query, logits, visible: count });
    }
  }

  const alive: number[][][] = [];
  const noteAlive = (query: number) => {
    alive[query] = heads.map((_, kvHead) => {
      const { positions, length } = layer.view(kvHead);
      return Array.from(positions.subarray(0, length)).sort((a, b) => a - b);
    });
  };
  append(0, promptTokens);
  for (let query = 0; query < promptTokens; query++) attend(query, () => query + 1);
  cache.endPrefill(0);
  noteAlive(promptTokens - 1);
  for (let query = promptTokens; query < promptTokens + newTokens; query++) {
    append(query, 1);
    attend(query, (kvHead) => layer.length(kvHead));
    cache.endDecode(0);
    noteAlive(query);
  }
  return { outputs, alive };
}

it("gives what masking the evicted tokens in a cache of all tokens gives, with grouped heads and ALiBi", () => {
  const rng = new Rng(5);
  const { kvHeads, queryHeads, promptTokens, newTokens, budget, seed } = SIZES;
  const total = promptTokens + newTokens;
  const group = queryHeads / kvHeads;
  const heads: HeadTensors[] = Array.from({ length: kvHeads }, () => ({
    queries: Array.from({ length: group }, () => rows(rng, total, 2)),
    keys: rows(rng, total, 1),
    values: rows(rng, total, 1),
  }));
  const bias = (head: number, query: number, key: number) => -(2 ** -(head + 3)) * (query - key);
  const cache = compacted(heads, bias);
  let stepsWithDecodedKeys = 0;
  for (const [kvHead, head] of heads.entries()) {
    const oracle = denseKeyformer(head, {
      kvHead,
      promptTokens,
      budget,
      seed,
      layer: 0,
      bias,
      recent: 6,
      tau: (step) => 1 + step / newTokens,
    });
    for (const [query, { outputs, alive }] of oracle.entries()) {
      for (const [member, output] of outputs.entries()) {
        const actual = cache.outputs[query]![kvHead * group + member]!;
        for (const [d, value] of output.entries()) expect(Math.abs(actual[d]! - value)).toBeLessThan(1e-5);
      }
      if (query < promptTokens - 1) continue;
      expect(cache.alive[query]![kvHead]).toEqual(alive);
      if (alive.some((at) => at >= promptTokens && at < query - 6)) stepsWithDecodedKeys++;
    }
  }
  // Decoded tokens did become key tokens, so the case is more than a sliding window.
  expect(stepsWithDecodedKeys).toBeGreaterThan(20);
});
