/**
 * @file A dense attention of the tests' own: it keeps everything and masks exactly the entries that a cache says it
 * dropped. Beside it, what accumulated attention without noise would have kept.
 */
import { expect } from "vitest";
import type { DenseDecoder } from "../../../src/llm/cpu/denseDecoder.ts";
import type { KvDecision } from "../../../src/llm/kv/policy.ts";
import { rotate } from "../../../src/llm/models/rotary.ts";

/**
 * Keeps all keys and values as they were before any rotation; looks at those that are not hidden, at their places in
 * the text or, renumbered, among those that are seen.
 */
export class MaskedModel {
  readonly #dense: DenseDecoder;
  /** By layer and position: `[kvHeads · headDim]`. */
  readonly #keys: Float32Array[][] = [];
  readonly #values: Float32Array[][] = [];
  readonly #hidden = new Set<string>();
  /** By layer, KV head and position: the sum of attention, the mean over the group's query heads. */
  readonly #sums = new Map<string, number>();
  readonly #isRenumbered: boolean;

  constructor(dense: DenseDecoder, isRenumbered: boolean) {
    this.#dense = dense;
    this.#isRenumbered = isRenumbered;
  }

  /** Entries hidden so far, over all layers and KV heads. */
  get hidden(): number {
    return this.#hidden.size;
  }

  /** Hides what a decision drops, of `tokensSeen` tokens. */
  apply({ kind, layer, kvHead, positions }: KvDecision, tokensSeen: number): void {
    const kept = new Set(positions);
    const gone =
      kind === "evict"
        ? positions
        : Array.from({ length: tokensSeen }, (_, at) => at).filter((at) => !kept.has(at));
    const layers = Array.from({ length: this.#dense.config.layers }, (_, i) => i);
    for (const each of layer < 0 ? layers : [layer])
      for (const at of gone) this.#hidden.add(`${each}/${kvHead}/${at}`);
  }

  /** What a decision of accumulated attention should be: see {@link heavy}. */
  expectHeavy({ kind, layer, kvHead, positions }: KvDecision, tokensSeen: number, recent: number): void {
    const live = this.#live(layer, kvHead, tokensSeen);
    const budget = kind === "evict" ? live.length - 1 : positions.length;
    const kept = new Set(this.#heavy(layer, kvHead, live, { budget, recent }));
    expect(positions).toEqual(live.filter((at) => kept.has(at) === (kind === "keep")));
  }

  /** Hides what accumulated attention without noise drops: all but `budget` entries of each head. */
  evictHeavy(tokensSeen: number, keep: { budget: number; recent: number }): void {
    for (let layer = 0; layer < this.#dense.config.layers; layer++) {
      for (let kvHead = 0; kvHead < this.#dense.config.kvHeads; kvHead++) {
        const live = this.#live(layer, kvHead, tokensSeen);
        const kept = new Set(this.#heavy(layer, kvHead, live, keep));
        for (const at of live) if (!kept.has(at)) this.#hidden.add(`${layer}/${kvHead}/${at}`);
      }
    }
  }

  /** Another text that goes on from here. */
  clone(): MaskedModel {
    const other = new MaskedModel(this.#dense, this.#isRenumbered);
    this.#keys.forEach((keys, layer) => (other.#keys[layer] = [...keys]));
    this.#values.forEach((values, layer) => (other.#values[layer] = [...values]));
    for (const hidden of this.#hidden) other.#hidden.add(hidden);
    for (const [key, sum] of this.#sums) other.#sums.set(key, sum);
    return other;
  }

  #live(layer: number, kvHead: number, tokensSeen: number): number[] {
    return Array.from({ length: tokensSeen }, (_, at) => at).filter(
      (at) => !this.#hidden.has(`${layer}/${kvHead}/${at}`),
    );
  }

  /** The `recent` newest entries and, of the older ones, those with the largest sums, the older first of equals. */
  #heavy(
    layer: number,
    kvHead: number,
    live: readonly number[],
    { budget, recent }: { budget: number; recent: number },
  ): number[] {
    const sumOf = (at: number) => this.#sums.get(`${layer}/${kvHead}/${at}`) ?? 0;
    const from = live.at(-1)! + 1 - recent;
    const newest = live.filter((at) => at >= from);
    const older = live.filter((at) => at < from).sort((a, b) => sumOf(b) - sumOf(a) || a - b);
    return [...older.slice(0, Math.max(0, budget - newest.length)), ...newest];
  }

  /** @returns the logits of the token after `token` */
  async read(token: number, position: number): Promise<Float32Array> {
    const { config } = this.#dense;
    const place = this.#isRenumbered ? this.#seen(0, 0, position).length - 1 : position;
    const { hidden, q, k } = this.#dense.rowsShape(1);
    const array = (width: number) => new Float32Array(new SharedArrayBuffer(4 * width));
    const row = {
      count: 1,
      hidden: array(hidden),
      q: array(q),
      k: array(k),
      v: array(k),
      attended: array(q),
    };
    await this.#dense.begin(row, [token], [place]);
    for (let layer = 0; ; layer++) {
      (this.#keys[layer] ??= []).push(row.k.slice());
      (this.#values[layer] ??= []).push(row.v.slice());
      row.attended.set(this.#attend(layer, row.q, position));
      if (layer + 1 === config.layers) return this.#dense.end(row, [0]);
      await this.#dense.between(layer, row);
    }
  }

  /** Positions that the query at `position` sees, itself the last. */
  #seen(layer: number, kvHead: number, position: number): number[] {
    const window = this.#dense.config.slidingWindow(layer);
    const first = window === null ? 0 : Math.max(0, position - window + 1);
    return Array.from({ length: position + 1 - first }, (_, i) => first + i).filter(
      (at) => !this.#hidden.has(`${layer}/${kvHead}/${at}`),
    );
  }

  /** A head of a row, rotated for a place. */
  #head(row: Float32Array, head: number, place: number): Float32Array {
    const { headDim, rotary } = this.#dense.config;
    const part = row.slice(head * headDim, (head + 1) * headDim);
    if (rotary) rotate(part, rotary, { rows: 1, headDim, first: place, length: place + 1 });
    return part;
  }

  #attend(layer: number, q: Float32Array, position: number): Float32Array {
    const { heads, kvHeads, headDim, attentionScale, alibiSlopes } = this.#dense.config;
    const out = new Float32Array(q.length);
    const dims = Array.from({ length: headDim }, (_, i) => i);
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor(head / (heads / kvHeads));
      const seen = this.#seen(layer, kvHead, position);
      const placeOf = (rank: number) => (this.#isRenumbered ? rank : seen[rank]!);
      const query = this.#head(q, head, placeOf(seen.length - 1));
      const logits = seen.map((at, rank) => {
        const key = this.#head(this.#keys[layer]![at]!, kvHead, placeOf(rank));
        const product = dims.reduce((sum, i) => sum + query[i]! * key[i]!, 0);
        // ALiBi but for what all keys of a query have in common.
        return attentionScale(layer) * product + (alibiSlopes?.[head] ?? 0) * placeOf(rank);
      });
      const most = Math.max(...logits);
      const weights = logits.map((x) => Math.exp(x - most));
      const total = weights.reduce((a, b) => a + b);
      for (const [rank, at] of seen.entries()) {
        const key = `${layer}/${kvHead}/${at}`;
        const share = (weights[rank]! / total) * (kvHeads / heads);
        this.#sums.set(key, (this.#sums.get(key) ?? 0) + share);
      }
      for (const i of dims) {
        const sum = seen.reduce(
          (n, at, j) => n + weights[j]! * this.#values[layer]![at]![kvHead * headDim + i]!,
          0,
        );
        out[head * headDim + i] = sum / total;
      }
    }
    return out;
  }
}
