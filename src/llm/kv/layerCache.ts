/**
 * @file Keys, values, true positions and scores of one layer of one sequence.
 *
 * Each KV head has its own entries in slots 0 … length − 1, so attention reads one run of memory; slots are in no
 * order, positions say whose they are. A read – the prompt, or a further turn – lies in a buffer with room for all of
 * it and is gathered into one of the budget's size when it ends. In decode the newest token lies in the spare last slot
 * and then overwrites the victim. Padding must not be appended; only real tokens have positions. Grouped query heads
 * share entries, never copies.
 */
import { invariant } from "../../engine/errors.ts";
import type { LayerSnapshot } from "../runner/runner.ts";
import { type CacheMemory, hostMemory, type MemoryBlock } from "./cacheMemory.ts";
import { type NoiseKey, PairNoise } from "./noise.ts";
import { poolVotes } from "./poolVotes.ts";
import type { HeadView, KvPolicy } from "./policy.ts";
import { type LogitRow, ScoreRows } from "./scoreRows.ts";
import { slotsByPosition } from "./select.ts";

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
  readonly #sequence: CacheSequence;
  readonly #memory: CacheMemory;
  readonly #noise: PairNoise;
  readonly #rows: ScoreRows | null;
  readonly #lengths: Int32Array;
  /** Tokens of the text when the last read ended, or when the one that goes on will end. */
  #readTokens: number;
  #isReading = true;
  #decoded = 0;
  #most: number;
  #budget: number;
  #capacity = 0;
  #block: MemoryBlock | null = null;
  #keys = new Float32Array(0);
  #values = new Float32Array(0);
  #positions = new Int32Array(0);
  #scores = new Float32Array(0);
  /** Where entries are numbered anew: the order of live slots by position, `[kvHeads, capacity]`. */
  #ranks: Int32Array | null;
  /** Of a read: sums of its rows over a group, `[kvHeads, capacity]`, in float64 until it ends. */
  #sums = new Float64Array(0);
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
    this.#layer = layer;
    this.#sequence = sequence;
    this.#memory = memory;
    this.#readTokens = sequence.promptTokens;
    [this.#budget, this.#most] = this.#room();
    this.#noise = new PairNoise(sequence, layer);
    const { scoring } = policy;
    this.#rows =
      scoring.from === "attention" ? new ScoreRows(scoring, queryHeads / kvHeads, this.#noise, layer) : null;
    this.#lengths = new Int32Array(kvHeads);
    this.#ranks = policy.positions === "new" ? new Int32Array(0) : null;
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

  /** `[kvHeads, capacity]`; fetch it anew after each append and eviction. */
  get positions(): Int32Array {
    return this.#positions;
  }

  /** `[kvHeads, capacity]`; fetch it anew after each append and eviction. */
  get scores(): Float32Array {
    return this.#scores;
  }

  /** `[kvHeads, capacity]`: positions for rotary and ALiBi; fetch them anew after each append and eviction. */
  get places(): Int32Array {
    return this.#ranks ?? this.#positions;
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
    return this.#readTokens;
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
    return {
      kvBytes: this.#keys.byteLength + this.#values.byteLength,
      bookkeepingBytes: this.#positions.byteLength + this.#scores.byteLength + (this.#ranks?.byteLength ?? 0),
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
    const from = kvHead * this.#capacity;
    return this.places.subarray(from, from + this.#lengths[kvHead]!);
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
      promptTokens: this.#readTokens,
      tokensSeen: this.#tokensSeen,
      step: this.#decoded,
      budget: this.#budget,
    };
  }

  /** Says that tokens are read, up to so many of the text: a prompt in pieces, or a further turn. */
  expect(tokens: number): void {
    const { scoring } = this.policy;
    if (scoring.from === "attention" && scoring.rows !== "accumulate" && tokens > this.#readTokens) {
      // Votes, and the last row, are those of this read alone, or of its last piece where its length was not known.
      this.#scores.fill(0);
      this.#sums.fill(0);
    }
    this.#isReading = true;
    this.#readTokens = Math.max(tokens, this.#tokensSeen);
  }

  /** Says that a read has ended: the budget is now that of all tokens seen. */
  endRead(): void {
    this.#isReading = false;
    this.#readTokens = this.#tokensSeen;
    this.#sums = new Float64Array(0);
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
    for (let head = 0; head < kvHeads; head++) {
      for (let token = 0; token < tokens; token++) {
        const entry = head * this.#capacity + this.#lengths[head]! - tokens + token;
        const row = (token * kvHeads + head) * headDim;
        this.#keys.set(keys.subarray(row, row + headDim), entry * headDim);
        this.#values.set(values.subarray(row, row + headDim), entry * headDim);
      }
    }
  }

  /** As `append`, but leaves it to the caller to write keys and values into the new slots. */
  place(keys: Float32Array, tokens: number): void {
    const { kvHeads, headDim } = this.#shape;
    this.#reserve(tokens);
    const { from } = this.policy.scoring;
    for (let head = 0; head < kvHeads; head++) {
      for (let token = 0; token < tokens; token++) {
        const rank = this.#lengths[head]!++;
        const entry = head * this.#capacity + rank;
        if (this.#ranks) this.#ranks[entry] = rank;
        const position = this.#tokensSeen + token;
        this.#positions[entry] = position;
        if (from === "keyNorm")
          this.#scores[entry] = -norm(keys, (token * kvHeads + head) * headDim, headDim);
        else this.#scores[entry] = from === "random" ? this.#noise.uniform(head, position) : 0;
      }
    }
    this.#tokensSeen += tokens;
    if (!this.#isReading) this.#decoded += tokens;
  }

  /** Whether the policy needs the logits of a query; rows that it does not want need not be handed over. */
  wantsRow(queryPosition: number): boolean {
    return queryPosition >= this.firstScored();
  }

  /** Position of the first query whose row the policy needs; `Infinity` for none. */
  firstScored(): number {
    return this.#rows?.first(this.#isReading, this.#readTokens) ?? Infinity;
  }

  /**
   * Scores a query's row of logits. Rows of a KV head come in order of query, each once, after their tokens were
   * appended; in what chunks they come does not change a bit of the scores.
   * @throws ParetoError KV_LOGITS_NOT_FINITE for a logit that is NaN or +∞
   */
  addRow(row: LogitRow): void {
    if (this.#rows === null || !this.wantsRow(row.queryPosition)) return;
    const { positions, scores, length } = this.view(row.kvHead);
    const step = this.#isReading
      ? this.#decoded
      : Math.max(0, this.#decoded - (this.#tokensSeen - 1 - row.queryPosition));
    this.#rows.add(row, positions, scores, length, { step, isReading: this.#isReading });
  }

  /**
   * For whoever scores rows itself: the sums of a read's rows over a group so far, by slot of a KV head, in float64.
   * They become scores when the read ends.
   */
  readSums(kvHead: number): Float64Array {
    if (this.#sums.length === 0) this.#sums = new Float64Array(this.#shape.kvHeads * this.#capacity);
    return this.#sums.subarray(kvHead * this.#capacity, (kvHead + 1) * this.#capacity);
  }

  /** Brings scores into the form that the policy decides by, once all rows of a read or a step are in. */
  settleScores(): void {
    const { scoring } = this.policy;
    if (scoring.from !== "attention") return;
    const { kvHeads } = this.#shape;
    const views = Array.from({ length: kvHeads }, (_, head) => this.view(head));
    if (this.#isReading) for (const view of views) this.#settleRead(view);
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
  #settleRead(view: HeadView): void {
    const scoring = this.policy.scoring as Extract<KvPolicy["scoring"], { from: "attention" }>;
    if (this.#sums.length > 0) {
      const sums = this.readSums(view.kvHead);
      const { share } = this.#rows!;
      for (let slot = 0; slot < view.length; slot++) view.scores[slot]! += share * sums[slot]!;
    }
    if (scoring.rows !== "window") return;
    const slots = slotsByPosition(view);
    const byPosition = Float32Array.from(slots, (slot) => view.scores[slot]!);
    const voters = scoring.window?.(this.#readTokens) ?? 1;
    const voted = slots.filter((slot) => view.positions[slot]! < this.#readTokens - voters).length;
    poolVotes(byPosition, voted, scoring.pool ?? 1);
    for (const [rank, slot] of slots.entries()) view.scores[slot] = byPosition[rank]!;
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
    const last = this.#lengths[kvHead]! - 1;
    const ranks = this.#ranks?.subarray(kvHead * this.#capacity, kvHead * this.#capacity + last + 1);
    const gone = ranks?.[slot];
    this.#copyEntry(kvHead, last, slot);
    if (ranks) for (let at = 0; at < last; at++) if (ranks[at]! > gone!) ranks[at]!--;
    this.#lengths[kvHead] = last;
    this.#evicted++;
  }

  /** Keeps the given slots of each KV head, in that order, in a new buffer of the budget's size. */
  retain(keptByHead: readonly (readonly number[])[]): void {
    const longest = keptByHead.reduce((most, kept) => Math.max(most, kept.length), 0);
    this.#resize(Math.max(this.#most, longest), keptByHead);
    for (const [head, kept] of keptByHead.entries()) {
      this.#evicted += this.#lengths[head]! - kept.length;
      this.#lengths[head] = kept.length;
    }
    this.#rank();
  }

  /** Another cache of the same text, with memory of its own. */
  clone(): LayerCache {
    const copy = new LayerCache(this.#shape, this.#layer, this.policy, this.#sequence, this.#memory);
    copy.#lengths.set(this.#lengths);
    copy.#readTokens = this.#readTokens;
    copy.#isReading = this.#isReading;
    copy.#decoded = this.#decoded;
    copy.#most = this.#most;
    copy.#budget = this.#budget;
    copy.#tokensSeen = this.#tokensSeen;
    copy.#evicted = this.#evicted;
    copy.#sums = this.#sums.slice();
    if (this.#block) {
      copy.#take(this.#capacity);
      for (const name of ["keys", "values", "positions", "scores", "places"] as const) {
        copy[name].set(this[name]);
      }
    }
    return copy;
  }

  /** What a text needs to go on from here; not within a read. */
  snapshot(): LayerSnapshot {
    const { kvHeads, headDim } = this.#shape;
    const gathered = <T extends Float32Array | Int32Array>(array: T, width: number, to: T): T => {
      let at = 0;
      for (let head = 0; head < kvHeads; head++) {
        const from = head * this.#capacity * width;
        const run = array.subarray(from, from + this.#lengths[head]! * width);
        to.set(run as never, at);
        at += run.length;
      }
      return to;
    };
    const entries = this.#lengths.reduce((sum, length) => sum + length, 0);
    return {
      lengths: this.#lengths.slice(),
      keys: gathered(this.#keys, headDim, new Float32Array(entries * headDim)),
      values: gathered(this.#values, headDim, new Float32Array(entries * headDim)),
      positions: gathered(this.#positions, 1, new Int32Array(entries)),
      scores: gathered(this.#scores, 1, new Float32Array(entries)),
      evicted: this.#evicted,
    };
  }

  /** Brings a text back into a cache that has seen none. @param tokens as a `TextSnapshot` names them */
  restore(
    snapshot: LayerSnapshot,
    tokens: { tokensSeen: number; promptTokens: number; decodedTokens: number },
  ): void {
    const { kvHeads, headDim } = this.#shape;
    this.#tokensSeen = tokens.promptTokens;
    this.endRead();
    this.#tokensSeen = tokens.tokensSeen;
    this.#decoded = tokens.decodedTokens;
    this.#evicted = snapshot.evicted;
    this.#lengths.set(snapshot.lengths);
    this.#take(snapshot.lengths.reduce((most, length) => Math.max(most, length), this.#most));
    let from = 0;
    for (let head = 0; head < kvHeads; head++) {
      const to = head * this.#capacity;
      const end = from + this.#lengths[head]!;
      this.#keys.set(snapshot.keys.subarray(from * headDim, end * headDim), to * headDim);
      this.#values.set(snapshot.values.subarray(from * headDim, end * headDim), to * headDim);
      this.#positions.set(snapshot.positions.subarray(from, end), to);
      this.#scores.set(snapshot.scores.subarray(from, end), to);
      from = end;
    }
    this.#rank();
  }

  /** Gives the memory back; the cache cannot be used afterwards. */
  dispose(): void {
    if (this.#block) this.#memory.free(this.#block);
    this.#block = null;
    this.#capacity = 0;
    this.#keys = this.#values = this.#scores = new Float32Array(0);
    this.#positions = new Int32Array(0);
    if (this.#ranks) this.#ranks = this.#positions;
    this.#lengths.fill(0);
  }

  /** The budget of a text that was read to `#readTokens`, and the slots that it needs a KV head. */
  #room(): [number, number] {
    const budget = this.policy.budget(this.#readTokens);
    const all = this.#readTokens + Math.max(1, this.#sequence.maxNewTokens);
    return [budget, Math.min(budget + this.policy.evictEvery, all)];
  }

  /** Ranks all live slots anew. */
  #rank(): void {
    if (!this.#ranks) return;
    for (let head = 0; head < this.#shape.kvHeads; head++) {
      const from = head * this.#capacity;
      for (const [rank, slot] of slotsByPosition(this.view(head)).entries()) this.#ranks[from + slot] = rank;
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
    if (this.#ranks) this.#ranks[target] = this.#ranks[source]!;
  }

  #reserve(tokens: number): void {
    const needed = tokens + this.#lengths.reduce((most, length) => Math.max(most, length), 0);
    if (needed <= this.#capacity) return;
    // The first tokens bring the prompt's buffer, so a layer that has not begun holds nothing.
    if (this.#capacity === 0) {
      const first = this.#readTokens > this.#budget ? this.#readTokens : this.#most;
      this.#resize(Math.max(needed, first), []);
      return;
    }
    const kept = Array.from(this.#lengths, (length) => Array.from({ length }, (_, slot) => slot));
    // What of the read is still to come, or some more decoded tokens, but no room that eviction will leave empty.
    const later = this.#isReading
      ? needed - tokens + Math.max(tokens, this.#readTokens - this.#tokensSeen)
      : Math.min(2 * this.#capacity, this.#budget + this.policy.evictEvery);
    this.#resize(Math.max(needed, later), kept);
    this.#rank();
  }

  #resize(capacity: number, slotsByHead: readonly (readonly number[])[]): void {
    const { kvHeads, headDim } = this.#shape;
    const from = this.#capacity;
    const [block, keys, values, positions, scores, sums] = [
      this.#block,
      this.#keys,
      this.#values,
      this.#positions,
      this.#scores,
      this.#sums,
    ];
    this.#take(capacity);
    if (sums.length > 0) this.#sums = new Float64Array(kvHeads * capacity);
    for (const [head, slots] of slotsByHead.entries()) {
      // Neighbours move together.
      for (let at = 0; at < slots.length;) {
        let end = at + 1;
        while (end < slots.length && slots[end] === slots[end - 1]! + 1) end++;
        const source = head * from + slots[at]!;
        const target = head * capacity + at;
        const stop = source + end - at;
        this.#keys.set(keys.subarray(source * headDim, stop * headDim), target * headDim);
        this.#values.set(values.subarray(source * headDim, stop * headDim), target * headDim);
        this.#positions.set(positions.subarray(source, stop), target);
        this.#scores.set(scores.subarray(source, stop), target);
        if (sums.length > 0) this.#sums.set(sums.subarray(source, stop), target);
        at = end;
      }
    }
    if (block) this.#memory.free(block);
  }

  /** Takes memory for so many slots a KV head. */
  #take(capacity: number): void {
    const { kvHeads, headDim } = this.#shape;
    const entries = kvHeads * capacity;
    const { buffer, byteOffset } = this.#memory.allocate(4 * entries * (2 * headDim + (this.#ranks ? 3 : 2)));
    this.#block = { buffer, byteOffset };
    this.#capacity = capacity;
    this.#keys = new Float32Array(buffer as ArrayBuffer, byteOffset, entries * headDim);
    this.#values = new Float32Array(
      buffer as ArrayBuffer,
      byteOffset + 4 * entries * headDim,
      entries * headDim,
    );
    const bookkeeping = byteOffset + 8 * entries * headDim;
    this.#positions = new Int32Array(buffer as ArrayBuffer, bookkeeping, entries);
    this.#scores = new Float32Array(buffer as ArrayBuffer, bookkeeping + 4 * entries, entries);
    if (this.#ranks) this.#ranks = new Int32Array(buffer as ArrayBuffer, bookkeeping + 8 * entries, entries);
  }
}

/** L2 norm of `length` elements. */
function norm(elements: Float32Array, from: number, length: number): number {
  let squares = 0;
  for (let at = from; at < from + length; at++) squares += elements[at]! ** 2;
  return Math.sqrt(squares);
}
