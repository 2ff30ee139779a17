/**
 * @file The memory of one layer's entries: keys, values, true positions and scores of each KV head in slots
 * 0 … length − 1, one run of memory a head, in no order.
 *
 * Arrays are views of one block; fetch them anew after whatever may have moved it (`resize`).
 */
import type { CacheMemory, MemoryBlock } from "./cacheMemory.ts";
import type { LayerSnapshot } from "./snapshot.ts";

/** What a slab holds. */
export interface BufferShape {
  kvHeads: number;
  headDim: number;
  /** Entries are numbered anew by their order, which is kept beside their positions. */
  isRanked: boolean;
}

/** Entries of all KV heads of a layer. */
export class CacheBuffer {
  /** Live entries of each KV head. */
  readonly lengths: Int32Array;
  readonly #shape: BufferShape;
  readonly #memory: CacheMemory;
  #block: MemoryBlock | null = null;
  #capacity = 0;
  /** `[kvHeads, capacity, headDim]` */
  keys = new Float32Array(0);
  /** `[kvHeads, capacity, headDim]` */
  values = new Float32Array(0);
  /** `[kvHeads, capacity]` */
  positions = new Int32Array(0);
  /** `[kvHeads, capacity]` */
  scores = new Float32Array(0);
  /** The order of live slots by position, `[kvHeads, capacity]`, where it is kept. */
  ranks: Int32Array | null;
  #sums = new Float64Array(0);

  constructor(shape: BufferShape, memory: CacheMemory) {
    this.#shape = shape;
    this.#memory = memory;
    this.lengths = new Int32Array(shape.kvHeads);
    this.ranks = shape.isRanked ? new Int32Array(0) : null;
  }

  /** Slots a KV head has room for; the stride, in entries, between heads. */
  get capacity(): number {
    return this.#capacity;
  }

  /** The longest head's entries. */
  get longest(): number {
    return this.lengths.reduce((most, length) => Math.max(most, length), 0);
  }

  /** Bytes of keys and values, and of all that is known of them. */
  get bytes(): { kvBytes: number; bookkeepingBytes: number } {
    return {
      kvBytes: this.keys.byteLength + this.values.byteLength,
      bookkeepingBytes: this.positions.byteLength + this.scores.byteLength + (this.ranks?.byteLength ?? 0),
    };
  }

  /** Whether {@link sumsOf} was asked for since they were last cleared. */
  get hasSums(): boolean {
    return this.#sums.length > 0;
  }

  /** Float64 beside the scores of a KV head, for a time: they move with their entries. */
  sumsOf(kvHead: number): Float64Array {
    if (!this.hasSums) this.#sums = new Float64Array(this.#shape.kvHeads * this.#capacity);
    return this.#sums.subarray(kvHead * this.#capacity, (kvHead + 1) * this.#capacity);
  }

  clearSums(): void {
    this.#sums = new Float64Array(0);
  }

  /** Writes keys and values of the newest `tokens` entries, from rows `[tokens, kvHeads, headDim]`. */
  writeNewest(keys: Float32Array, values: Float32Array, tokens: number): void {
    const { kvHeads, headDim } = this.#shape;
    for (let head = 0; head < kvHeads; head++) {
      for (let token = 0; token < tokens; token++) {
        const entry = head * this.#capacity + this.lengths[head]! - tokens + token;
        const row = (token * kvHeads + head) * headDim;
        this.keys.set(keys.subarray(row, row + headDim), entry * headDim);
        this.values.set(values.subarray(row, row + headDim), entry * headDim);
      }
    }
  }

  /** Drops a slot: the last live one takes its place. */
  drop(kvHead: number, slot: number): void {
    const { headDim } = this.#shape;
    const from = kvHead * this.#capacity;
    const last = this.lengths[kvHead]! - 1;
    const ranks = this.ranks?.subarray(from, from + last + 1);
    const gone = ranks?.[slot];
    this.lengths[kvHead] = last;
    if (slot < last) {
      const [source, target] = [from + last, from + slot];
      this.keys.copyWithin(target * headDim, source * headDim, (source + 1) * headDim);
      this.values.copyWithin(target * headDim, source * headDim, (source + 1) * headDim);
      this.positions[target] = this.positions[source]!;
      this.scores[target] = this.scores[source]!;
      if (ranks) ranks[slot] = ranks[last]!;
    }
    if (ranks) for (let at = 0; at < last; at++) if (ranks[at]! > gone!) ranks[at]!--;
  }

  /** Makes room for more slots. */
  grow(capacity: number): void {
    const kept = Array.from(this.lengths, (length) => Array.from({ length }, (_, slot) => slot));
    this.keep(kept, capacity);
  }

  /** Keeps the given slots of each KV head, in that order, in a new block. */
  keep(slotsByHead: readonly (readonly number[])[], capacity: number): void {
    const { kvHeads, headDim } = this.#shape;
    const { keys, values, positions, scores } = this;
    const [from, block, sums] = [this.#capacity, this.#block, this.#sums];
    this.#take(capacity);
    if (sums.length > 0) this.#sums = new Float64Array(kvHeads * capacity);
    for (const [head, slots] of slotsByHead.entries()) {
      this.lengths[head] = slots.length;
      // Neighbours move together.
      for (let at = 0; at < slots.length;) {
        let end = at + 1;
        while (end < slots.length && slots[end] === slots[end - 1]! + 1) end++;
        const source = head * from + slots[at]!;
        const target = head * capacity + at;
        const stop = source + end - at;
        this.keys.set(keys.subarray(source * headDim, stop * headDim), target * headDim);
        this.values.set(values.subarray(source * headDim, stop * headDim), target * headDim);
        this.positions.set(positions.subarray(source, stop), target);
        this.scores.set(scores.subarray(source, stop), target);
        if (sums.length > 0) this.#sums.set(sums.subarray(source, stop), target);
        at = end;
      }
    }
    if (block) this.#memory.free(block);
    this.#rank();
  }

  /** Another slab of the same entries. */
  clone(): CacheBuffer {
    const copy = new CacheBuffer(this.#shape, this.#memory);
    copy.lengths.set(this.lengths);
    copy.#sums = this.#sums.slice();
    if (!this.#block) return copy;
    copy.#take(this.#capacity);
    for (const name of ["keys", "values", "positions", "scores"] as const) copy[name].set(this[name]);
    if (this.ranks) copy.ranks!.set(this.ranks);
    return copy;
  }

  /** The live entries, head after head. */
  read(): Omit<LayerSnapshot, "evicted"> {
    const { kvHeads, headDim } = this.#shape;
    const gathered = <T extends Float32Array | Int32Array>(array: T, width: number, to: T): T => {
      let at = 0;
      for (let head = 0; head < kvHeads; head++) {
        const from = head * this.#capacity * width;
        const run = array.subarray(from, from + this.lengths[head]! * width);
        to.set(run as never, at);
        at += run.length;
      }
      return to;
    };
    const entries = this.lengths.reduce((sum, length) => sum + length, 0);
    return {
      lengths: this.lengths.slice(),
      keys: gathered(this.keys, headDim, new Float32Array(entries * headDim)),
      values: gathered(this.values, headDim, new Float32Array(entries * headDim)),
      positions: gathered(this.positions, 1, new Int32Array(entries)),
      scores: gathered(this.scores, 1, new Float32Array(entries)),
    };
  }

  /** Puts entries into a slab that has none, with room for at least so many slots. */
  write(entries: Omit<LayerSnapshot, "evicted">, capacity: number): void {
    const { kvHeads, headDim } = this.#shape;
    this.lengths.set(entries.lengths);
    this.#take(Math.max(capacity, this.longest));
    let from = 0;
    for (let head = 0; head < kvHeads; head++) {
      const to = head * this.#capacity;
      const end = from + this.lengths[head]!;
      this.keys.set(entries.keys.subarray(from * headDim, end * headDim), to * headDim);
      this.values.set(entries.values.subarray(from * headDim, end * headDim), to * headDim);
      this.positions.set(entries.positions.subarray(from, end), to);
      this.scores.set(entries.scores.subarray(from, end), to);
      from = end;
    }
    this.#rank();
  }

  /** Gives the memory back. */
  dispose(): void {
    if (this.#block) this.#memory.free(this.#block);
    this.#block = null;
    this.#capacity = 0;
    this.keys = this.values = this.scores = new Float32Array(0);
    this.positions = new Int32Array(0);
    if (this.ranks) this.ranks = this.positions;
    this.clearSums();
    this.lengths.fill(0);
  }

  /** Ranks all live slots anew. */
  #rank(): void {
    if (!this.ranks) return;
    for (const [head, length] of this.lengths.entries()) {
      const from = head * this.#capacity;
      const positions = this.positions.subarray(from, from + length);
      const slots = Array.from(positions.keys()).sort((a, b) => positions[a]! - positions[b]!);
      for (const [rank, slot] of slots.entries()) this.ranks[from + slot] = rank;
    }
  }

  /** Takes a block for so many slots a KV head. */
  #take(capacity: number): void {
    const { kvHeads, headDim } = this.#shape;
    const entries = kvHeads * capacity;
    const block = this.#memory.allocate(4 * entries * (2 * headDim + (this.ranks ? 3 : 2)));
    const buffer = block.buffer as ArrayBuffer;
    const vectors = 4 * entries * headDim;
    const bookkeeping = block.byteOffset + 2 * vectors;
    this.#block = block;
    this.#capacity = capacity;
    this.keys = new Float32Array(buffer, block.byteOffset, entries * headDim);
    this.values = new Float32Array(buffer, block.byteOffset + vectors, entries * headDim);
    this.positions = new Int32Array(buffer, bookkeeping, entries);
    this.scores = new Float32Array(buffer, bookkeeping + 4 * entries, entries);
    if (this.ranks) this.ranks = new Int32Array(buffer, bookkeeping + 8 * entries, entries);
  }
}
