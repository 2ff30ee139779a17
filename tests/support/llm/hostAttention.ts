/**
 * @file A model's attention over one layer's cache of one text: rotates queries and keys, attends row by row, and hands
 * the cache the rows of logits that its policy scores. The output never sees a score: noise and temperature belong to
 * the policy alone.
 */
import type { LayerCache } from "../../../src/llm/kv/layerCache.ts";
import type { DecoderConfig } from "../../../src/llm/models/decoder.ts";
import { rotate } from "../../../src/llm/models/rotary.ts";
import { logitsOf, WeightedValues } from "./hostRows.ts";

/** Queries, keys and values of the newest tokens of a text, `[tokens, …]`. */
export interface Projected {
  q: Float32Array;
  k: Float32Array;
  v: Float32Array;
}

/**
 * Appends tokens to a layer's cache and attends causally to what it holds.
 * @param projected not yet rotated
 * @returns `[tokens, heads · headDim]`
 */
export function attend(
  config: DecoderConfig,
  layer: number,
  cache: LayerCache,
  projected: Projected,
  tokens: number,
): Float32Array {
  const { heads, kvHeads, headDim, rotary, alibiSlopes } = config;
  const window = config.slidingWindow(layer);
  const group = heads / kvHeads;
  const first = cache.tokensSeen;
  const before = Array.from({ length: kvHeads }, (_, head) => cache.length(head));
  const isRenumbered = cache.policy.positions === "new";
  const q = projected.q.slice(0, tokens * heads * headDim);
  const k = projected.k.slice(0, tokens * kvHeads * headDim);
  const turn = (x: Float32Array, rows: number, from: number) => {
    if (rotary) rotate(x, rotary, { rows, headDim, first: from, length: from + rows });
  };
  if (!isRenumbered) turn(k, tokens, first);
  turn(q, tokens, isRenumbered ? before[0]! : first);
  cache.append(k, projected.v, tokens);
  const attended = new Float32Array(q.length);
  const weighted = new WeightedValues(headDim);
  for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
    const start = kvHead * cache.capacity * headDim;
    const length = cache.length(kvHead);
    let keys = cache.keys.subarray(start, start + length * headDim);
    const values = cache.values.subarray(start, start + length * headDim);
    const { positions } = cache.view(kvHead);
    const places = cache.attentionPositions(kvHead);
    if (isRenumbered && rotary) {
      keys = keys.slice();
      for (let slot = 0; slot < length; slot++)
        turn(keys.subarray(slot * headDim, (slot + 1) * headDim), 1, places[slot]!);
    }
    for (let row = 0; row < tokens; row++) {
      const visible = before[kvHead]! + row + 1;
      const logits = new Float32Array(group * visible);
      const range = { from: 0, to: visible, headDim, scale: config.attentionScale(layer) };
      for (let member = 0; member < group; member++) {
        const head = kvHead * group + member;
        const at = (row * heads + head) * headDim;
        const out = member * visible;
        logitsOf(q, at, keys, range, logits, out);
        for (let slot = 0; slot < visible; slot++) {
          if (alibiSlopes) logits[out + slot]! -= alibiSlopes[head]! * (places[visible - 1]! - places[slot]!);
          if (window !== null && positions[slot]! <= first + row - window)
            logits[out + slot] = Number.NEGATIVE_INFINITY;
        }
        weighted.write(logits, out, range, values, attended, at);
      }
      if (cache.wantsRow(first + row)) cache.addRow({ kvHead, queryPosition: first + row, logits, visible });
    }
  }
  return attended;
}
