import { describe, expect, test } from "vitest";
import { h2o, KvCache, type KvPolicy, streaming } from "../../../../src/llm/index.ts";
import { type CopiedEntries, evictedByHost, keptByHost } from "../../../../src/llm/cuda/calls/copiedLayer.ts";
import { hashLogit } from "../../../support/llm/driveCache.ts";

const SHAPE = { layers: 3, queryHeads: 4, kvHeads: 2, headDim: 2 };
const ROW = SHAPE.kvHeads * SHAPE.headDim;
const logit = hashLogit(7, 3);

/** What a layer holds, as it would be copied from a GPU. */
function copyOf(cache: KvCache, layer: number): CopiedEntries {
  const { positions, scores, capacity } = cache.layers[layer]!;
  const lengths = Int32Array.from({ length: SHAPE.kvHeads }, (_, head) => cache.layers[layer]!.length(head));
  return { layer, capacity, lengths, positions: positions.slice(), scores: scores.slice() };
}

/** Live positions of each KV head, in order of slot. */
function slotsOf({ lengths, positions, capacity }: CopiedEntries): number[][] {
  return Array.from(lengths, (length, head) =>
    Array.from(positions.subarray(head * capacity, head * capacity + length)),
  );
}

describe.each<[string, KvPolicy, number | null]>([
  ["by scores", h2o({ budget: { count: 9 } }), null],
  ["by age", streaming({ budget: { count: 9 }, sinks: 2 }), null],
  ["with several evictions at once", { ...h2o({ budget: { count: 9 } }), evictEvery: 4 }, null],
  ["within a sliding window", h2o({ budget: { count: 9 } }), 7],
  ["in all layers together", { ...h2o({ budget: { count: 9 } }), scope: "shared" }, null],
])("decisions about copies from a GPU, %s", (_, policy, window) => {
  test("are those about a host's cache, slot by slot", () => {
    const [promptTokens, newTokens] = [24, 12];
    const cache = new KvCache({
      ...SHAPE,
      ...(window !== null && { attentionWindow: () => window }),
      promptTokens,
      maxNewTokens: newTokens,
      seed: 1,
      stream: 0,
      policies: () => policy,
    });
    const shared = policy.scope === "shared";
    const groups = shared ? [[0, 1, 2]] : [[0], [1], [2]];
    const append = (first: number, tokens: number) => {
      for (const [index, layer] of cache.layers.entries()) {
        const rows = new Float32Array(tokens * ROW);
        layer.append(rows, rows, tokens);
        for (let kvHead = 0; kvHead < SHAPE.kvHeads; kvHead++)
          for (let query = first; query < first + tokens; query++) {
            const visible = layer.length(kvHead) - (first + tokens - 1 - query);
            const { positions } = layer.view(kvHead);
            const logits = Float32Array.from({ length: 2 * visible }, (_, i) =>
              logit(index, 2 * kvHead + Math.floor(i / visible), query, positions[i % visible]!),
            );
            layer.addRow({ kvHead, queryPosition: query, logits, visible });
          }
      }
    };
    const progress = (step: number) => ({
      promptTokens,
      tokensSeen: promptTokens + step,
      step,
      slidingWindow: window,
    });

    append(0, promptTokens);
    const prefilled = [0, 1, 2].map((layer) => copyOf(cache, layer));
    for (let layer = 0; layer < SHAPE.layers; layer++) cache.endPrefill(layer);
    for (const group of groups) {
      const kept = keptByHost(
        policy,
        group.map((layer) => prefilled[layer]!),
        progress(0),
      );
      for (const layer of group) {
        const before = slotsOf(prefilled[layer]!);
        const expected = slotsOf(copyOf(cache, layer)).map((held) => [...held].sort((a, b) => a - b));
        expect(kept.map((slots, head) => slots.map((slot) => before[head]![slot]!))).toEqual(expected);
      }
    }

    for (let step = 1; step <= newTokens; step++) {
      append(promptTokens + step - 1, 1);
      const copies = [0, 1, 2].map((layer) => copyOf(cache, layer));
      for (let layer = 0; layer < SHAPE.layers; layer++) cache.endDecode(layer);
      for (const group of groups) {
        const rounds = evictedByHost(
          policy,
          group.map((layer) => copies[layer]!),
          progress(step),
        );
        expect(rounds.length).toBeLessThanOrEqual(4);
        for (const layer of group) expect(slotsOf(copies[layer]!)).toEqual(slotsOf(copyOf(cache, layer)));
      }
    }
    expect(cache.stats.evictedEntries).toBeGreaterThan(0);
  });
});
