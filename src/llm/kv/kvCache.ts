/**
 * @file The KV cache of one sequence: a layer cache for each layer, and when each evicts.
 *
 * Use: for each layer append the prompt (in any chunks), run full causal attention, hand over the rows that
 * `wantsRow` asks for, then `endPrefill(layer)`. In decode, for each layer: append one token, attend over all live
 * slots, hand over the row, then `endDecode(layer)`. Layers come in order. A policy with scope `shared` decides when
 * the last layer ends, others at once, so that one layer alone holds its whole prompt at a time.
 */
import { ParetoError } from "../../base/errors.ts";
import { decideEvicted, decideKept, type DecisionScope, sharedWindow } from "./decide.ts";
import { type CacheSequence, type CacheShape, LayerCache } from "./layerCache.ts";
import type { CacheMemory } from "./cacheMemory.ts";
import type { HeadView, KvDecision, LayerPolicies } from "./policy.ts";

/** How large a cache is, and how much it has evicted. */
export interface KvStats {
  /** Live entries over all layers and KV heads. */
  liveEntries: number;
  /** Entries evicted over all layers and KV heads. */
  evictedEntries: number;
  /** Bytes of keys and values. */
  kvBytes: number;
  /** Bytes of positions and scores. */
  bookkeepingBytes: number;
}

/** What {@link KvCache} is made of. */
export interface KvCacheOptions extends CacheShape, CacheSequence {
  policies: LayerPolicies;
  /** Where entries lie; the host's own memory when left out. */
  memory?: CacheMemory;
  /** Receives each decision as it is made. */
  onDecision?: (decision: KvDecision) => void;
}

/** All layers' caches of one sequence. */
export class KvCache {
  /** One a layer, in order. */
  readonly layers: readonly LayerCache[];
  readonly #options: KvCacheOptions;
  readonly #kvHeads: number;
  readonly #shared: boolean;
  readonly #onDecision: ((decision: KvDecision) => void) | undefined;

  /** @throws ParetoError KV_SHARED when some layers share their scores and others do not, or differ in policy */
  constructor(options: KvCacheOptions, layers?: readonly LayerCache[]) {
    this.#options = options;
    this.layers =
      layers ??
      Array.from(
        { length: options.layers },
        (_, layer) => new LayerCache(options, layer, options.policies(layer), options, options.memory),
      );
    this.#kvHeads = options.kvHeads;
    this.#shared = this.layers.some(({ policy }) => policy.scope === "shared");
    this.#onDecision = options.onDecision;
    if (this.#shared) for (const layer of this.layers) checkShared(layer, this.layers[0]!);
  }

  /** Bytes and entries now. */
  get stats(): KvStats {
    const stats: KvStats = { liveEntries: 0, evictedEntries: 0, kvBytes: 0, bookkeepingBytes: 0 };
    for (const layer of this.layers) {
      for (let head = 0; head < this.#kvHeads; head++) stats.liveEntries += layer.length(head);
      stats.evictedEntries += layer.evicted;
      stats.kvBytes += layer.bytes.kvBytes;
      stats.bookkeepingBytes += layer.bytes.bookkeepingBytes;
    }
    return stats;
  }

  /** Says that tokens are read, up to so many of the sequence: a prompt in pieces, or a further turn. */
  expect(tokens: number): void {
    for (const layer of this.layers) layer.expect(tokens);
  }

  /** Says that a layer has attended over a whole prompt or turn and handed over its rows: it keeps its budget. */
  endPrefill(layer: number): void {
    this.layers[layer]!.settleScores();
    this.layers[layer]!.endPrefill();
    this.#decide(layer, (layers) => this.#keep(layers));
  }

  /** Says that a layer has attended with the newest tokens and handed over their rows: it drops what is over. */
  endDecode(layer: number): void {
    this.layers[layer]!.settleScores();
    this.#decide(layer, (layers) => this.#evict(layers));
  }

  /** Another cache of the same sequence, with memory of its own. */
  clone(): KvCache {
    const layers = this.layers.map((layer) => layer.clone());
    return new KvCache({ ...this.#options, policies: (layer) => this.layers[layer]!.policy }, layers);
  }

  /** Gives the memory back; the cache cannot be used afterwards. */
  dispose(): void {
    for (const layer of this.layers) layer.dispose();
  }

  #decide(layer: number, decide: (layers: readonly LayerCache[]) => void): void {
    if (!this.#shared) decide([this.layers[layer]!]);
    else if (layer === this.layers.length - 1) decide(this.layers);
  }

  /** What stays in layers that decide together, or in one. */
  #keep(layers: readonly LayerCache[]): void {
    const kept: number[][] = [];
    let all = true;
    for (let kvHead = 0; kvHead < this.#kvHeads; kvHead++) {
      const view = layers[0]!.view(kvHead);
      const slots = decideKept(this.#scope(layers, kvHead));
      all &&= slots.length === view.length;
      kept.push(slots);
      if (slots.length < view.length) this.#report("keep", layers, view, slots);
    }
    if (!all) for (const layer of layers) layer.retain(kept);
  }

  #evict(layers: readonly LayerCache[]): void {
    for (let kvHead = 0; kvHead < this.#kvHeads; kvHead++) {
      decideEvicted(this.#scope(layers, kvHead), (slot, view) => this.#report("evict", layers, view, [slot]));
    }
  }

  #scope(layers: readonly LayerCache[], kvHead: number): DecisionScope {
    const { layers: count, attentionWindow } = this.#options;
    const { layer, policy } = layers[0]!;
    const window =
      layers.length === 1 ? (attentionWindow?.(layer) ?? null) : sharedWindow(count, attentionWindow);
    return { policy, layers, kvHead, attentionWindow: window };
  }

  #report(kind: KvDecision["kind"], layers: readonly LayerCache[], view: HeadView, slots: number[]): void {
    if (this.#onDecision === undefined) return;
    const { layer, kvHead, step } = view;
    const positions = slots.map((slot) => view.positions[slot]!).sort((a, b) => a - b);
    this.#onDecision({ kind, layer: layers.length > 1 ? -1 : layer, kvHead, step, positions });
  }
}

function checkShared(layer: LayerCache, first: LayerCache): void {
  const { policy } = layer;
  if (policy.scope === "shared" && layer.budget === first.budget && policy.name === first.policy.name) return;
  throw new ParetoError({
    code: "KV_SHARED",
    where: `KV policy ${policy.name}`,
    message: `layers that share their scores need one policy and one budget, got ${first.budget} and ${layer.budget}`,
    fix: 'Give every layer the same options, or use scope "layer".',
  });
}
