/**
 * @file A model's attention over the cache of one sequence: rotates queries and keys, attends, hands the cache the
 * rows of logits that its policy scores, and lets it evict.
 *
 * A prompt is attended to row by row, so that no matrix of queries by keys exists: beside the output it takes memory
 * for one row of logits for each query head of a group. The output never sees a score: noise and temperature belong
 * to the policy alone.
 */
import type { KvCache } from "../kv/kvCache.ts";
import type { LayerCache } from "../kv/layerCache.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { rotate } from "../models/rotary.ts";
import type { Block } from "./denseDecoder.ts";
import { logitsOf, WeightedValues } from "./headAttention.ts";

/** The attention of one sequence. */
export class CachedAttention {
  readonly #config: DecoderConfig;
  readonly #cache: KvCache;
  readonly #weighted: WeightedValues;
  readonly #group: number;
  #logits = new Float32Array(0);

  constructor(config: DecoderConfig, cache: KvCache) {
    this.#config = config;
    this.#cache = cache;
    this.#weighted = new WeightedValues(config.headDim);
    this.#group = config.heads / config.kvHeads;
  }

  /**
   * Attention of a whole prompt in a layer, after which the layer keeps its budget.
   * @param block queries and keys are rotated in place
   * @returns `[rows, heads · headDim]`
   */
  prompt(layer: number, { q, k, v }: Block): Float32Array {
    const { heads, kvHeads, headDim } = this.#config;
    const cache = this.#cache.layers[layer]!;
    const rows = q.length / (heads * headDim);
    // Where entries are numbered anew, keys are cached as they were before the rotation; the output is as always.
    const isRenumbered = this.#isRenumbered(cache);
    if (isRenumbered) cache.append(k, v, rows);
    this.#rotate(q, rows, 0, rows);
    this.#rotate(k, rows, 0, rows);
    if (!isRenumbered) cache.append(k, v, rows);
    const rotated = isRenumbered ? headRows(k, rows, kvHeads, headDim) : cache.keys;
    const stride = isRenumbered ? rows : cache.capacity;
    const attended = new Float32Array(q.length);
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const from = kvHead * stride * headDim;
      const keys = rotated.subarray(from, from + rows * headDim);
      for (let row = 0; row < rows; row++) {
        this.#attend(layer, kvHead, { q, keys, row, position: row, count: row + 1 }, attended, null);
      }
    }
    this.#cache.endPrompt(layer);
    return attended;
  }

  /** Attention of the newest token in a layer, after which the layer evicts what is over its budget. */
  step(layer: number, { q, k, v }: Block): Float32Array {
    const { headDim, kvHeads } = this.#config;
    const cache = this.#cache.layers[layer]!;
    const position = cache.tokensSeen;
    const isRenumbered = this.#isRenumbered(cache);
    if (!isRenumbered) {
      this.#rotate(q, 1, position, position + 1);
      this.#rotate(k, 1, position, position + 1);
    }
    cache.append(k, v, 1);
    const attended = new Float32Array(q.length);
    const width = this.#group * headDim;
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const count = cache.length(kvHead);
      const from = kvHead * cache.capacity * headDim;
      let keys = cache.keys.subarray(from, from + count * headDim);
      // Ranks are sorted out only for who reads them.
      const isPlaced = isRenumbered || this.#config.alibiSlopes !== null;
      const positions = isPlaced ? cache.attentionPositions(kvHead) : cache.view(kvHead).positions;
      if (isRenumbered) {
        keys = this.#rotatedByRank(keys, positions);
        this.#rotate(q.subarray(kvHead * width, (kvHead + 1) * width), 1, count - 1, count);
      }
      this.#attend(layer, kvHead, { q, keys, row: 0, position, count }, attended, positions);
    }
    this.#cache.endStep(layer);
    return attended;
  }

  /** One row of one KV head: every query head of its group. @param positions of the slots; null when they are the slots' numbers */
  #attend(
    layer: number,
    kvHead: number,
    {
      q,
      keys,
      row,
      position,
      count,
    }: { q: Float32Array; keys: Float32Array; row: number; position: number; count: number },
    attended: Float32Array,
    positions: Int32Array | null,
  ): void {
    const { heads, headDim, slidingWindow, attentionScale, alibiSlopes } = this.#config;
    const cache = this.#cache.layers[layer]!;
    const group = this.#group;
    if (this.#logits.length < group * count) this.#logits = new Float32Array(2 * group * count);
    const logits = this.#logits;
    const unseen = slidingWindow === null ? Number.NEGATIVE_INFINITY : position - slidingWindow;
    const from = positions === null ? Math.max(0, unseen + 1) : 0;
    const range = { from, to: count, headDim, scale: attentionScale(layer) };
    const start = kvHead * cache.capacity * headDim;
    const values = cache.values.subarray(start, start + count * headDim);
    for (let member = 0; member < group; member++) {
      const at = (row * heads + kvHead * group + member) * headDim;
      const out = member * count;
      logits.fill(Number.NEGATIVE_INFINITY, out, out + from);
      logitsOf(q, at, keys, range, logits, out);
      if (alibiSlopes) {
        // The query is at the last place of all: its own slot is the newest.
        const slope = alibiSlopes[kvHead * group + member]!;
        const own = positions === null ? row : positions[count - 1]!;
        for (let j = from; j < count; j++) logits[out + j]! -= slope * (own - (positions?.[j] ?? j));
      }
      this.#weighted.write(logits, out, range, values, attended, at);
    }
    if (cache.wantsRow(position)) cache.addRow({ kvHead, queryPosition: position, logits, visible: count });
  }

  /** Keys are rotated when they are read, not when they are cached. */
  #isRenumbered(cache: LayerCache): boolean {
    return cache.policy.positions === "new" && this.#config.rotary !== null;
  }

  #rotate(x: Float32Array, rows: number, first: number, length: number): void {
    const { rotary, headDim } = this.#config;
    if (rotary) rotate(x, rotary, { rows, headDim, first, length });
  }

  /** Keys, slot by slot, rotated by their ranks. */
  #rotatedByRank(keys: Float32Array, ranks: Int32Array): Float32Array {
    const { headDim } = this.#config;
    const rows = ranks.length;
    const byRank = new Float32Array(keys.length);
    for (let slot = 0; slot < rows; slot++)
      byRank.set(keys.subarray(slot * headDim, (slot + 1) * headDim), ranks[slot]! * headDim);
    this.#rotate(byRank, rows, 0, rows);
    const bySlot = new Float32Array(keys.length);
    for (let slot = 0; slot < rows; slot++)
      bySlot.set(byRank.subarray(ranks[slot]! * headDim, (ranks[slot]! + 1) * headDim), slot * headDim);
    return bySlot;
  }
}

/** `[rows, heads, headDim]` as `[heads, rows, headDim]`. */
function headRows(x: Float32Array, rows: number, heads: number, headDim: number): Float32Array {
  const out = new Float32Array(x.length);
  for (let row = 0; row < rows; row++) {
    for (let head = 0; head < heads; head++) {
      const at = (row * heads + head) * headDim;
      out.set(x.subarray(at, at + headDim), (head * rows + row) * headDim);
    }
  }
  return out;
}
