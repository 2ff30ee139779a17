/**
 * @file Keys, values, true positions and scores of one layer of one sequence.
 *
 * Each KV head has its own entries in slots 0 … length − 1, so attention reads one run of memory; slots are in no
 * order, positions say whose they are. A read – the prompt, or a further turn – lies in a buffer with room for all of
 * it and is gathered into one of the budget's size when it ends. In decode the newest token lies in the spare last slot
 * and then overwrites the evicted one. Padding must not be appended; only real tokens have positions. Grouped query heads
 * share entries, never copies.
 */
import { invariant } from "../../base/errors.ts";
import { type CacheMemory, hostMemory } from "./cacheMemory.ts";
import { CacheBuffer } from "./cacheBuffer.ts";
import { type NoiseKey, PairNoise } from "./noise.ts";
import { budgetCapacity } from "./capacity.ts";
import { averagePool } from "./averagePool.ts";
import type { HeadView, KvPolicy } from "./policy.ts";
import { type LogitRow, ScoreRows } from "./scoreRows.ts";
import { slotsByPosition } from "./select.ts";
import type { LayerSnapshot } from "./snapshot.ts";

/** Sizes of a model's caches. */
export interface CacheShape {
  layers: number;
  queryHeads: number;
  /** Divides `queryHeads`. */
  kvHeads: number;
  headDim: number;
  /**
   * Tokens that a query of a layer sees, itself included; null where that has no sliding window. Entries beyond it go
   * first. No layer has one when left out.
   */
  attentionWindow?: (layer: number) => number | null;
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
  /** What decides about its entries. */
  readonly policy: KvPolicy;
  readonly #shape: CacheShape;
  /** Its number. */
  readonly layer: number;
  readonly #sequence: CacheSequence;
  readonly #memory: CacheMemory;
  readonly #noise: PairNoise;
  readonly #rows: ScoreRows | null;
  /** Tokens of the sequence when the last read ended, or when the one that goes on will end. */
  #prefillTokens: number;
  #isPrefilling = true;
  #decoded = 0;
  #most: number;
  #budget: number;
  #entries: CacheBuffer;
  #tokensSeen = 0;
  #evicted = 0;

  constructor(
    shape: CacheShape,
    layer: number,
    policy: KvPolicy,
    sequence: CacheSequence,
    memory: CacheMemory = hostMemory,
  ) {
    const { queryHeads, kvHeads } = shape;
    invariant(queryHeads % kvHeads === 0, `${queryHeads} query heads over ${kvHeads} KV heads`);
    this.policy = policy;
    this.#shape = shape;
    this.layer = layer;
    this.#sequence = sequence;
    this.#memory = memory;
    this.#prefillTokens = sequence.promptTokens;
    [this.#budget, this.#most] = this.#room();
    this.#noise = new PairNoise(sequence, layer);
    const { scoring } = policy;
    this.#rows =
      scoring.from === "attention" ? new ScoreRows(scoring, queryHeads / kvHeads, this.#noise, layer) : null;
    const isRanked = policy.positions === "new";
    this.#entries = new CacheBuffer({ kvHeads, headDim: shape.headDim, isRanked }, memory);
  }

  /** Slots a KV head has room for; the stride, in entries, between heads in `keys` and `values`. */
  get capacity(): number {
    return this.#entries.capacity;
  }

  /** `[kvHeads, capacity, headDim]`; fetch it anew after each append and eviction. */
  get keys(): Float32Array {
    return this.#entries.keys;
  }

  /** `[kvHeads, capacity, headDim]`; fetch it anew after each append and eviction. */
  get values(): Float32Array {
    return this.#entries.values;
  }

  /** `[kvHeads, capacity]`; fetch it anew after each append and eviction. */
  get positions(): Int32Array {
    return this.#entries.positions;
  }

  /** `[kvHeads, capacity]`; fetch it anew after each append and eviction. */
  get scores(): Float32Array {
    return this.#entries.scores;
  }

  /** `[kvHeads, capacity]`: positions for rotary and ALiBi; fetch them anew after each append and eviction. */
  get places(): Int32Array {
    return this.#entries.ranks ?? this.#entries.positions;
  }

  /** What noise is keyed by: words of the seed, and the stream. */
  get noiseKey(): { low: number; high: number; stream: number } {
    return this.#noise.key;
  }

  /** Tokens seen so far, kept or not. */
  get tokensSeen(): number {
    return this.#tokensSeen;
  }

  /** Tokens seen when the last read ended. */
  get promptTokens(): number {
    return this.#prefillTokens;
  }

  /** Tokens decoded so far, which is the step of the scoring temperature. */
  get decodedTokens(): number {
    return this.#decoded;
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
    return this.#entries.bytes;
  }

  /** Live entries of a KV head. */
  length(kvHead: number): number {
    return this.#entries.lengths[kvHead]!;
  }

  /**
   * The position that the next token appended takes in rotary, ALiBi or learned embeddings: tokens seen, or the
   * entries kept where the policy numbers them anew.
   */
  nextPosition(kvHead: number): number {
    return this.policy.positions === "original" ? this.#tokensSeen : this.length(kvHead);
  }

  /**
   * The position of each live slot for rotary or ALiBi: that of its token in the sequence, or its rank among the kept
   * where the policy numbers them anew (keys must then be cached unrotated).
   */
  attentionPositions(kvHead: number): Int32Array {
    const from = kvHead * this.capacity;
    return this.places.subarray(from, from + this.length(kvHead));
  }

  /** A KV head as its policy sees it; `positions` and `scores` are views of the cache. */
  view(kvHead: number): HeadView {
    const { capacity, positions, scores } = this.#entries;
    const from = kvHead * capacity;
    const to = from + capacity;
    return {
      layer: this.layer,
      kvHead,
      length: this.length(kvHead),
      positions: positions.subarray(from, to),
      scores: scores.subarray(from, to),
      promptTokens: this.#prefillTokens,
      tokensSeen: this.#tokensSeen,
      step: this.#decoded,
      budget: this.#budget,
    };
  }

  /** Says that tokens are read, up to so many of the sequence: a prompt in pieces, or a further turn. */
  expect(tokens: number): void {
    const { scoring } = this.policy;
    if (scoring.from === "attention" && scoring.rows !== "accumulate" && tokens > this.#prefillTokens) {
      // Votes, and the last row, are those of this read alone, or of its last piece where its length was not known.
      this.#entries.scores.fill(0);
      this.#entries.clearSums();
    }
    this.#isPrefilling = true;
    this.#prefillTokens = Math.max(tokens, this.#tokensSeen);
  }

  /** Says that a read has ended: the budget is now that of all tokens seen. */
  endPrefill(): void {
    this.#isPrefilling = false;
    this.#prefillTokens = this.#tokensSeen;
    this.#entries.clearSums();
    [this.#budget, this.#most] = this.#room();
  }

  /**
   * Appends the next tokens after the live slots of every KV head.
   * @param keys rows as projections give them, `[tokens, kvHeads, headDim]`
   * @param values as `keys`
   */
  append(keys: Float32Array, values: Float32Array, tokens: number): void {
    const { kvHeads, headDim } = this.#shape;
    invariant(keys.length >= tokens * kvHeads * headDim, `${tokens} tokens in ${keys.length} key elements`);
    this.place(keys, tokens);
    this.#entries.writeNewest(keys, values, tokens);
  }

  /** As `append`, but leaves it to the caller to write keys and values into the new slots. */
  place(keys: Float32Array, tokens: number): void {
    const { kvHeads, headDim } = this.#shape;
    this.#reserve(tokens);
    const { from } = this.policy.scoring;
    const { capacity, lengths, positions, scores, ranks } = this.#entries;
    for (let head = 0; head < kvHeads; head++) {
      for (let token = 0; token < tokens; token++) {
        const rank = lengths[head]!++;
        const entry = head * capacity + rank;
        if (ranks) ranks[entry] = rank;
        const position = this.#tokensSeen + token;
        positions[entry] = position;
        if (from === "keyNorm") scores[entry] = -norm(keys, (token * kvHeads + head) * headDim, headDim);
        else scores[entry] = from === "random" ? this.#noise.uniform(head, position) : 0;
      }
    }
    this.#tokensSeen += tokens;
    if (!this.#isPrefilling) this.#decoded += tokens;
  }

  /** Whether the policy needs the logits of a query; rows that it does not want need not be handed over. */
  wantsRow(queryPosition: number): boolean {
    return queryPosition >= this.firstScored();
  }

  /** Position of the first query whose row the policy needs; `Infinity` for none. */
  firstScored(): number {
    return this.#rows?.first(this.#isPrefilling, this.#prefillTokens) ?? Infinity;
  }

  /**
   * Scores a query's row of logits. Rows of a KV head come in order of query, each once, after their tokens were
   * appended; in what chunks they come does not change a bit of the scores.
   * @throws ParetoError KV_LOGITS_NOT_FINITE for a logit that is NaN or +∞
   */
  addRow(row: LogitRow): void {
    if (this.#rows === null || !this.wantsRow(row.queryPosition)) return;
    const { positions, scores, length } = this.view(row.kvHead);
    const step = this.#isPrefilling
      ? this.#decoded
      : Math.max(0, this.#decoded - (this.#tokensSeen - 1 - row.queryPosition));
    this.#rows.add(row, positions, scores, length, { step, isPrefilling: this.#isPrefilling });
  }

  /**
   * For whoever scores rows itself: the sums of a read's rows over a group so far, by slot of a KV head, in float64.
   * They become scores when the read ends.
   */
  prefillSums(kvHead: number): Float64Array {
    return this.#entries.sumsOf(kvHead);
  }

  /** Brings scores into the form that the policy decides by, once all rows of a read or a step are in. */
  settleScores(): void {
    const { scoring } = this.policy;
    if (scoring.from !== "attention") return;
    const { kvHeads } = this.#shape;
    const views = Array.from({ length: kvHeads }, (_, head) => this.view(head));
    if (this.#isPrefilling) for (const view of views) this.#settlePrefill(view);
    if (scoring.heads === "mean" && kvHeads > 1) {
      // The same decisions in every head leave the same token in the same slot of each.
      for (let slot = 0; slot < views[0]!.length; slot++) {
        let sum = 0;
        for (const view of views) sum += view.scores[slot]!;
        for (const view of views) view.scores[slot] = sum / kvHeads;
      }
    }
  }

  /** A head's sums become scores, and votes are averaged. */
  #settlePrefill(view: HeadView): void {
    const scoring = this.policy.scoring as Extract<KvPolicy["scoring"], { from: "attention" }>;
    if (this.#entries.hasSums) {
      const sums = this.prefillSums(view.kvHead);
      const { share } = this.#rows!;
      for (let slot = 0; slot < view.length; slot++) view.scores[slot]! += share * sums[slot]!;
    }
    if (scoring.rows !== "window") return;
    const slots = slotsByPosition(view);
    const byPosition = Float32Array.from(slots, (slot) => view.scores[slot]!);
    const voters = scoring.window?.(this.#prefillTokens) ?? 1;
    const voted = slots.filter((slot) => view.positions[slot]! < this.#prefillTokens - voters).length;
    averagePool(byPosition, voted, scoring.pool ?? 1);
    for (const [rank, slot] of slots.entries()) view.scores[slot] = byPosition[rank]!;
  }

  /** Drops a slot: the last live one, which is the newest token, takes its place. */
  drop(kvHead: number, slot: number): void {
    this.#entries.drop(kvHead, slot);
    this.#evicted++;
  }

  /** Keeps the given slots of each KV head, in that order, in a new buffer of the budget's size. */
  retain(keptByHead: readonly (readonly number[])[]): void {
    const longest = keptByHead.reduce((most, kept) => Math.max(most, kept.length), 0);
    for (const [head, kept] of keptByHead.entries()) this.#evicted += this.length(head) - kept.length;
    this.#entries.keep(keptByHead, Math.max(this.#most, longest));
  }

  /** Another cache of the same sequence, with memory of its own. */
  clone(): LayerCache {
    const copy = new LayerCache(this.#shape, this.layer, this.policy, this.#sequence, this.#memory);
    copy.#prefillTokens = this.#prefillTokens;
    copy.#isPrefilling = this.#isPrefilling;
    copy.#decoded = this.#decoded;
    copy.#most = this.#most;
    copy.#budget = this.#budget;
    copy.#tokensSeen = this.#tokensSeen;
    copy.#evicted = this.#evicted;
    copy.#entries = this.#entries.clone();
    return copy;
  }

  /** What a sequence needs to go on from here; not within a read. */
  snapshot(): LayerSnapshot {
    return { ...this.#entries.read(), evicted: this.#evicted };
  }

  /** Brings a sequence back into a cache that has seen none. @param tokens as a `TextSnapshot` names them */
  restore(
    snapshot: LayerSnapshot,
    tokens: { tokensSeen: number; promptTokens: number; decodedTokens: number },
  ): void {
    this.#tokensSeen = tokens.promptTokens;
    this.endPrefill();
    this.#tokensSeen = tokens.tokensSeen;
    this.#decoded = tokens.decodedTokens;
    this.#evicted = snapshot.evicted;
    this.#entries.write(snapshot, this.#most);
  }

  /** Gives the memory back; the cache cannot be used afterwards. */
  dispose(): void {
    this.#entries.dispose();
  }

  /** The budget of a sequence that was read to `#readTokens`, and the slots that it needs a KV head. */
  #room(): [number, number] {
    const text = { promptTokens: this.#prefillTokens, newTokens: this.#sequence.maxNewTokens };
    const budget = this.policy.budget(text.promptTokens);
    return [budget, budgetCapacity({ ...text, budget, evictEvery: this.policy.evictEvery })];
  }

  #reserve(tokens: number): void {
    const { longest, capacity } = this.#entries;
    const needed = longest + tokens;
    if (needed <= capacity) return;
    // The first tokens bring the prompt's buffer, so a layer that has not begun holds nothing.
    if (capacity === 0) {
      const first = this.#prefillTokens > this.#budget ? this.#prefillTokens : this.#most;
      this.#entries.grow(Math.max(needed, first));
      return;
    }
    // What of the read is still to come, or some more decoded tokens, but no room that eviction will leave empty.
    const later = this.#isPrefilling
      ? longest + Math.max(tokens, this.#prefillTokens - this.#tokensSeen)
      : Math.min(2 * capacity, this.#budget + this.policy.evictEvery);
    this.#entries.grow(Math.max(needed, later));
  }
}

/** L2 norm of `length` elements. */
function norm(elements: Float32Array, from: number, length: number): number {
  let squares = 0;
  for (let at = from; at < from + length; at++) squares += elements[at]! ** 2;
  return Math.sqrt(squares);
}
