/**
 * @file Keys, values, true positions and scores of one layer of one sequence.
 *
 * Each KV head has its own entries in slots 0 … length − 1, so attention reads one run of memory; slots are in no
 * order, positions say whose they are. The prompt lies in a buffer of its own length and is gathered into one of the
 * budget's size when it ends. In decode the newest token lies in the spare last slot and then overwrites the victim.
 * Padding must not be appended; only real tokens have positions. Grouped query heads share entries, never copies.
 */
import { invariant } from "../../engine/errors.ts";
import { type NoiseKey, PairNoise } from "./noise.ts";
import { poolVotes } from "./poolVotes.ts";
import type { HeadView, KvPolicy } from "./policy.ts";
import { type LogitRow, ScoreRows } from "./scoreRows.ts";

/** Sizes of a model's caches. */
export interface CacheShape {
  layers: number;
  queryHeads: number;
  /** Divides `queryHeads`. */
  kvHeads: number;
  headDim: number;
  /** Tokens that a query sees, itself included, where the model has a sliding window; entries beyond it go first. */
  attentionWindow?: number;
}

/** What a cache must know of its sequence. */
export interface CacheSequence extends NoiseKey {
  /** Tokens of the whole prompt, without padding. */
  promptTokens: number;
  /** Tokens that decoding may add; room is made for more when they come. */
  maxNewTokens: number;
}

/** The entries of one layer. A `KvCache` owns one for each layer and says when it evicts. */
export class LayerCache {
  readonly policy: KvPolicy;
  readonly #shape: CacheShape;
  readonly #layer: number;
  readonly #promptTokens: number;
  readonly #most: number;
  readonly #budget: number;
  readonly #noise: PairNoise;
  readonly #rows: ScoreRows | null;
  readonly #lengths: Int32Array;
  #capacity = 0;
  #keys = new Float32Array(0);
  #values = new Float32Array(0);
  #positions = new Int32Array(0);
  #scores = new Float32Array(0);
  #tokensSeen = 0;
  #evicted = 0;

  constructor(shape: CacheShape, layer: number, policy: KvPolicy, sequence: CacheSequence) {
    const { queryHeads, kvHeads } = shape;
    invariant(queryHeads % kvHeads === 0, `${queryHeads} query heads over ${kvHeads} KV heads`);
    this.policy = policy;
    this.#shape = shape;
    this.#layer = layer;
    this.#promptTokens = sequence.promptTokens;
    this.#budget = policy.budget(sequence.promptTokens);
    this.#most = Math.min(
      this.#budget + policy.evictEvery,
      sequence.promptTokens + Math.max(1, sequence.maxNewTokens),
    );
    this.#noise = new PairNoise(sequence, layer);
    const { scoring } = policy;
    this.#rows =
      scoring.from === "attention"
        ? new ScoreRows(scoring, queryHeads / kvHeads, sequence.promptTokens, this.#noise, layer)
        : null;
    this.#lengths = new Int32Array(kvHeads);
  }

  /** Slots a KV head has room for; the stride, in entries, between heads in `keys` and `values`. */
  get capacity(): number {
    return this.#capacity;
  }

  /** `[kvHeads, capacity, headDim]`; fetch it anew after each append and eviction. */
  get keys(): Float32Array {
    return this.#keys;
  }

  /** `[kvHeads, capacity, headDim]`; fetch it anew after each append and eviction. */
  get values(): Float32Array {
    return this.#values;
  }

  /** Tokens seen so far, kept or not. */
  get tokensSeen(): number {
    return this.#tokensSeen;
  }

  /** Entries evicted so far, over all KV heads. */
  get evicted(): number {
    return this.#evicted;
  }

  /** Most entries that a KV head keeps between steps. */
  get budget(): number {
    return this.#budget;
  }

  /** Bytes of keys and values, and of positions and scores. */
  get bytes(): { kvBytes: number; bookkeepingBytes: number } {
    return {
      kvBytes: this.#keys.byteLength + this.#values.byteLength,
      bookkeepingBytes: this.#positions.byteLength + this.#scores.byteLength,
    };
  }

  /** Live entries of a KV head. */
  length(kvHead: number): number {
    return this.#lengths[kvHead]!;
  }

  /**
   * The position that the next token appended takes in rotary, ALiBi or learned embeddings: tokens seen, or the
   * entries kept where the policy numbers them anew.
   */
  nextPosition(kvHead: number): number {
    return this.policy.positions === "original" ? this.#tokensSeen : this.#lengths[kvHead]!;
  }

  /**
   * The position of each live slot for rotary or ALiBi: that of its token in the text, or its rank among the kept
   * where the policy numbers them anew (keys must then be cached unrotated).
   */
  attentionPositions(kvHead: number): Int32Array {
    const { positions, length } = this.view(kvHead);
    const live = positions.subarray(0, length);
    if (this.policy.positions === "original") return live;
    const order = Array.from(live.keys()).sort((a, b) => live[a]! - live[b]!);
    const ranks = new Int32Array(length);
    for (const [rank, slot] of order.entries()) ranks[slot] = rank;
    return ranks;
  }

  /** A KV head as its policy sees it; `positions` and `scores` are views of the cache. */
  view(kvHead: number): HeadView {
    const from = kvHead * this.#capacity;
    const to = from + this.#capacity;
    return {
      layer: this.#layer,
      kvHead,
      length: this.#lengths[kvHead]!,
      positions: this.#positions.subarray(from, to),
      scores: this.#scores.subarray(from, to),
      promptTokens: this.#promptTokens,
      tokensSeen: this.#tokensSeen,
      step: Math.max(0, this.#tokensSeen - this.#promptTokens),
      budget: this.#budget,
    };
  }

  /**
   * Appends the next tokens after the live slots of every KV head.
   * @param keys rows as projections give them, `[tokens, kvHeads, headDim]`
   * @param values as `keys`
   */
  append(keys: Float32Array, values: Float32Array, tokens: number): void {
    const { kvHeads, headDim } = this.#shape;
    invariant(keys.length >= tokens * kvHeads * headDim, `${tokens} tokens in ${keys.length} key elements`);
    this.#reserve(tokens);
    const { from } = this.policy.scoring;
    for (let head = 0; head < kvHeads; head++) {
      for (let token = 0; token < tokens; token++) {
        const entry = head * this.#capacity + this.#lengths[head]!++;
        const row = (token * kvHeads + head) * headDim;
        this.#keys.set(keys.subarray(row, row + headDim), entry * headDim);
        this.#values.set(values.subarray(row, row + headDim), entry * headDim);
        const position = this.#tokensSeen + token;
        this.#positions[entry] = position;
        if (from === "keyNorm") this.#scores[entry] = -norm(keys, row, headDim);
        else this.#scores[entry] = from === "random" ? this.#noise.uniform(head, position) : 0;
      }
    }
    this.#tokensSeen += tokens;
  }

  /** Whether the policy needs the logits of a query; rows that it does not want need not be handed over. */
  wantsRow(queryPosition: number): boolean {
    return this.#rows?.wants(queryPosition) ?? false;
  }

  /**
   * Scores a query's row of logits. Rows of a KV head come in order of query, each once, after their tokens were
   * appended; in what chunks they come does not change a bit of the scores.
   * @throws ParetoError KV_LOGITS_NOT_FINITE for a logit that is NaN or +∞
   */
  addRow(row: LogitRow): void {
    if (this.#rows === null || !this.#rows.wants(row.queryPosition)) return;
    const { positions, scores, length } = this.view(row.kvHead);
    this.#rows.add(row, positions, scores, length);
  }

  /** Brings scores into the form that the policy decides by, once all rows of the prompt or a step are in. */
  settleScores(): void {
    const { scoring } = this.policy;
    if (scoring.from !== "attention") return;
    const { kvHeads } = this.#shape;
    const views = Array.from({ length: kvHeads }, (_, head) => this.view(head));
    if (scoring.rows === "window" && this.#tokensSeen === this.#promptTokens) {
      const prefix = this.#promptTokens - (scoring.window?.(this.#promptTokens) ?? 1);
      for (const view of views) poolVotes(view.scores, Math.max(0, prefix), scoring.pool ?? 1);
    }
    if (scoring.heads === "mean" && kvHeads > 1) {
      // The same decisions in every head leave the same token in the same slot of each.
      for (let slot = 0; slot < views[0]!.length; slot++) {
        let sum = 0;
        for (const view of views) sum += view.scores[slot]!;
        for (const view of views) view.scores[slot] = sum / kvHeads;
      }
    }
  }

  /** Slots of a KV head that no later query can see, because of the model's sliding window; from the last down. */
  unseenSlots(kvHead: number): number[] {
    const window = this.#shape.attentionWindow;
    if (window === undefined) return [];
    const { positions, length } = this.view(kvHead);
    const unseen: number[] = [];
    for (let slot = length - 1; slot >= 0; slot--) {
      if (positions[slot]! <= this.#tokensSeen - window) unseen.push(slot);
    }
    return unseen;
  }

  /** Drops a slot: the last live one, which is the newest token, takes its place. */
  drop(kvHead: number, slot: number): void {
    const length = this.#lengths[kvHead]!;
    this.#copyEntry(kvHead, length - 1, slot);
    this.#lengths[kvHead] = length - 1;
    this.#evicted++;
  }

  /** Keeps the given slots of each KV head, in that order, in a new buffer of the budget's size. */
  retain(keptByHead: readonly (readonly number[])[]): void {
    this.#resize(this.#most, keptByHead);
    for (const [head, kept] of keptByHead.entries()) {
      this.#evicted += this.#lengths[head]! - kept.length;
      this.#lengths[head] = kept.length;
    }
  }

  #copyEntry(kvHead: number, from: number, to: number): void {
    if (from === to) return;
    const { headDim } = this.#shape;
    const source = kvHead * this.#capacity + from;
    const target = kvHead * this.#capacity + to;
    this.#keys.copyWithin(target * headDim, source * headDim, (source + 1) * headDim);
    this.#values.copyWithin(target * headDim, source * headDim, (source + 1) * headDim);
    this.#positions[target] = this.#positions[source]!;
    this.#scores[target] = this.#scores[source]!;
  }

  #reserve(tokens: number): void {
    const needed = tokens + this.#lengths.reduce((most, length) => Math.max(most, length), 0);
    if (needed <= this.#capacity) return;
    // The first tokens bring the prompt's buffer, so a layer that has not begun holds nothing.
    if (this.#capacity === 0) {
      const first = this.#promptTokens > this.#budget ? this.#promptTokens : this.#most;
      this.#resize(Math.max(needed, first), []);
      return;
    }
    const kept = Array.from(this.#lengths, (length) => Array.from({ length }, (_, slot) => slot));
    const limit = this.#budget + this.policy.evictEvery;
    this.#resize(Math.max(needed, Math.min(2 * this.#capacity, limit)), kept);
  }

  #resize(capacity: number, slotsByHead: readonly (readonly number[])[]): void {
    const { kvHeads, headDim } = this.#shape;
    const keys = new Float32Array(kvHeads * capacity * headDim);
    const values = new Float32Array(kvHeads * capacity * headDim);
    const positions = new Int32Array(kvHeads * capacity);
    const scores = new Float32Array(kvHeads * capacity);
    for (const [head, slots] of slotsByHead.entries()) {
      for (const [to, from] of slots.entries()) {
        const source = head * this.#capacity + from;
        const target = head * capacity + to;
        keys.set(this.#keys.subarray(source * headDim, (source + 1) * headDim), target * headDim);
        values.set(this.#values.subarray(source * headDim, (source + 1) * headDim), target * headDim);
        positions[target] = this.#positions[source]!;
        scores[target] = this.#scores[source]!;
      }
    }
    this.#capacity = capacity;
    this.#keys = keys;
    this.#values = values;
    this.#positions = positions;
    this.#scores = scores;
  }
}

/** L2 norm of `length` elements. */
function norm(elements: Float32Array, from: number, length: number): number {
  let squares = 0;
  for (let at = from; at < from + length; at++) squares += elements[at]! ** 2;
  return Math.sqrt(squares);
}
