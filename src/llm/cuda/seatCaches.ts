/**
 * @file The KV caches of all seats in a GPU's memory: a slab for each layer of each text, the table of where they are,
 * the policies' settings and the seats' records, which the launches of a step read.
 *
 * The host knows how far each text is, as it says what is read; lengths and scores live on the GPU alone. Copies of
 * tables are queued on the device's stream, behind what was queued before.
 */
import { dtypeBytes } from "../../base/dtype.ts";
import type { CudaDevice, DeviceBuffer } from "../../engine/targets/cuda/index.ts";
import { budgetCapacity } from "../kv/occupancy.ts";
import type { KvPolicy } from "../kv/policy.ts";
import type { TextMemory, TextOptions } from "../runner/runner.ts";
import {
  SEAT_WORDS,
  seatBuffers,
  seatWord,
  SETTINGS_WORDS,
  SLAB_WORDS,
  slabLayout,
  type SlabLayout,
} from "./calls/buffers.ts";
import type { KvModel } from "./calls/model.ts";
import { isStepwise, settingsWords } from "./calls/settings.ts";

/** The cache of one layer of one text. */
export interface Slab {
  readonly buffer: DeviceBuffer;
  readonly capacity: number;
}

/** A text in a seat. */
export interface Text {
  readonly options: TextOptions;
  readonly policies: readonly KvPolicy[];
  /** One a layer; none before the first read. */
  slabs: Slab[];
  /** Most entries that a head of each layer may hold now. */
  most: number[];
  tokensSeen: number;
  /** Tokens that budgets are a share of. */
  promptTokens: number;
  /** Tokens decoded. */
  step: number;
  /** A piece of a prompt or turn was read and more is to come. */
  isPartial: boolean;
  /** A whole prompt was read. */
  hasRead: boolean;
}

/** The tables' addresses, as the calls name them. */
export interface Tables {
  slabs: number;
  settings: number;
  records: number;
}

/** All seats of a model. */
export class SeatCaches {
  readonly model: KvModel;
  readonly seats: number;
  readonly tables: Tables;
  readonly #device: CudaDevice;
  readonly #memory: DeviceBuffer[] = [];
  readonly #texts: (Text | null)[];

  constructor(device: CudaDevice, model: KvModel, seats: number) {
    this.#device = device;
    this.model = model;
    this.seats = seats;
    this.#texts = Array.from({ length: seats }, () => null);
    const bytes = seatBuffers(model, seats);
    const table = (size: number) => {
      const buffer = device.allocator.allocate(size, "tables of seats");
      this.#memory.push(buffer);
      device.stream.clear(buffer.pointer, size);
      return buffer.pointer;
    };
    this.tables = {
      slabs: table(bytes.slabs),
      settings: table(bytes.settings),
      records: table(bytes.records),
    };
  }

  /** The tables from a layer's row on. */
  tablesOf(layer: number): Tables {
    const { slabs, settings, records } = this.tables;
    return {
      slabs: slabs + 4 * layer * this.seats * SLAB_WORDS,
      settings: settings + 4 * layer * this.seats * SETTINGS_WORDS,
      records,
    };
  }

  text(seat: number): Text | null {
    return this.#texts[seat] ?? null;
  }

  /** Puts a text without memory in a seat, whose own must be gone. */
  begin(seat: number, options: TextOptions): Text {
    const { layers } = this.model;
    const text: Text = {
      options,
      policies: Array.from({ length: layers }, (_, layer) => options.policies(layer)),
      slabs: [],
      most: Array.from({ length: layers }, () => 0),
      tokensSeen: 0,
      promptTokens: 0,
      step: 0,
      isPartial: false,
      hasRead: false,
    };
    this.#texts[seat] = text;
    return text;
  }

  /** Empties a seat. Its memory is used again behind what is queued, as all work is in one stream. */
  release(seat: number): void {
    const text = this.#texts[seat];
    this.#texts[seat] = null;
    for (const { buffer } of text?.slabs ?? []) buffer.free();
  }

  layout(capacity: number): SlabLayout {
    return slabLayout(this.model, capacity);
  }

  /** Entries a layer of a text must have room for between reads. */
  wantedCapacity(text: Text, layer: number, promptTokens: number): number {
    const policy = text.policies[layer]!;
    const budget = policy.budget(promptTokens);
    const newTokens = text.options.maxNewTokens;
    return budgetCapacity({ budget, evictEvery: policy.evictEvery, promptTokens, newTokens });
  }

  /** An empty slab, not yet of any text. */
  newSlab(capacity: number): Slab {
    const { bytes, lengths } = this.layout(capacity);
    const buffer = this.#device.allocator.allocate(bytes, "KV caches");
    this.#device.stream.clear(buffer.pointer + lengths.offsetBytes, lengths.bytes);
    return { buffer, capacity };
  }

  /** Makes a slab that of a layer of a text; what was there is freed. */
  setSlab(seat: number, layer: number, slab: Slab): void {
    const text = this.#texts[seat]!;
    const old = text.slabs[layer];
    text.slabs[layer] = slab;
    if (old && old !== slab) old.buffer.free();
    this.writeSlab(seat, layer, slab);
  }

  /** Tells the table where a layer's slab of a seat is. */
  writeSlab(seat: number, layer: number, { buffer, capacity }: Slab): void {
    const words = Uint32Array.of(buffer.pointer % 2 ** 32, Math.floor(buffer.pointer / 2 ** 32), capacity, 0);
    const at = this.tables.slabs + 4 * (layer * this.seats + seat) * SLAB_WORDS;
    this.#device.stream.copyToDevice(at, words, words.byteLength);
  }

  /** Tells the tables how far a text is and what its policies do. */
  writeText(seat: number): void {
    const { tokensSeen, step, options } = this.#texts[seat]!;
    const record = new Uint32Array(SEAT_WORDS);
    const seed = BigInt.asUintN(64, BigInt(options.seed ?? 0));
    record[seatWord.tokensSeen] = tokensSeen;
    record[seatWord.step] = step;
    record[seatWord.seedLow] = Number(seed & 0xffffffffn);
    record[seatWord.seedHigh] = Number(seed >> 32n);
    record[seatWord.stream] = options.stream ?? 0;
    const { stream } = this.#device;
    stream.copyToDevice(this.tables.records + 4 * seat * SEAT_WORDS, record, record.byteLength);
    for (let layer = 0; layer < this.model.layers; layer++) this.#writeSettings(seat, layer);
  }

  /** Tells the tables what changes with a step and is not known to the GPU. */
  writeStep(seat: number): void {
    const { policies } = this.#texts[seat]!;
    for (const [layer, policy] of policies.entries())
      if (isStepwise(policy)) this.#writeSettings(seat, layer, 1);
  }

  /** Makes room for one entry more in every layer of a text. */
  reserveStep(seat: number): void {
    const text = this.#texts[seat]!;
    for (const [layer, slab] of text.slabs.entries()) {
      const policy = text.policies[layer]!;
      const limit = policy.budget(text.promptTokens) + policy.evictEvery;
      const needed = Math.min(text.most[layer]! + 1, limit);
      if (needed > slab.capacity) this.resize(seat, layer, Math.min(2 * slab.capacity, limit));
      // With as many as the limit the launch evicts.
      text.most[layer] = needed === limit ? limit - policy.evictEvery : needed;
    }
  }

  /** Most entries that a slab in use has room for. */
  capacityOf(seats: readonly number[]): number {
    let most = 1;
    for (const seat of seats)
      for (const { capacity } of this.#texts[seat]!.slabs) most = Math.max(most, capacity);
    return most;
  }

  /** What a seat's cache holds. Waits for the work that is queued. */
  memory(seat: number): TextMemory {
    const { kvHeads, headDim, layers, dtype } = this.model;
    const text = this.#texts[seat];
    const slabs = text?.slabs ?? [];
    const tokensSeen = text?.tokensSeen ?? 0;
    const entryBytes = 2 * headDim * dtypeBytes(dtype);
    const entries = kvHeads * slabs.reduce((sum, { capacity }) => sum + capacity, 0);
    const lengths = new Int32Array(kvHeads);
    let live = 0;
    for (const { buffer } of slabs) {
      this.#device.stream.copyToHost(lengths, buffer.pointer, lengths.byteLength);
      this.#device.stream.synchronize();
      for (const length of lengths) live += length;
    }
    return {
      kvBytes: entries * entryBytes,
      // A position, a score and a rank.
      bookkeepingBytes: entries * 12,
      fullKvBytes: tokensSeen * layers * kvHeads * entryBytes,
      evictedTokens: slabs.length === 0 ? 0 : tokensSeen - live / (layers * kvHeads),
      tokensSeen,
    };
  }

  /** Copies a text with its memory to another seat, which must be empty. */
  fork(from: number, to: number): void {
    const source = this.#texts[from]!;
    this.#texts[to] = { ...source, most: [...source.most], slabs: [] };
    for (const [layer, { buffer, capacity }] of source.slabs.entries()) {
      const slab = this.newSlab(capacity);
      this.#device.stream.copyOnDevice(slab.buffer.pointer, buffer.pointer, this.layout(capacity).bytes);
      this.setSlab(to, layer, slab);
    }
    this.writeText(to);
  }

  /** Frees all memory; nothing may be under way. */
  dispose(): void {
    for (let seat = 0; seat < this.seats; seat++) this.release(seat);
    for (const buffer of this.#memory.splice(0)) buffer.free();
  }

  #writeSettings(seat: number, layer: number, ahead = 0): void {
    const { policies, promptTokens, step } = this.#texts[seat]!;
    const words = settingsWords(policies[layer]!, { promptTokens, step: step + ahead });
    const at = this.tables.settings + 4 * (layer * this.seats + seat) * SETTINGS_WORDS;
    this.#device.stream.copyToDevice(at, words, words.byteLength);
  }

  /** Moves a layer's entries to a slab of another size, head by head. */
  resize(seat: number, layer: number, capacity: number): void {
    const { kvHeads } = this.model;
    const old = this.#texts[seat]!.slabs[layer]!;
    if (old.capacity === capacity) return;
    const slab = this.newSlab(capacity);
    const [from, to] = [this.layout(old.capacity), this.layout(capacity)];
    const { stream } = this.#device;
    const copy = (source: number, target: number, bytes: number) =>
      stream.copyOnDevice(slab.buffer.pointer + target, old.buffer.pointer + source, bytes);
    copy(from.lengths.offsetBytes, to.lengths.offsetBytes, from.lengths.bytes);
    for (const part of ["positions", "scores", "ranks", "keys", "values"] as const) {
      const [oldBytes, newBytes] = [from[part].bytes / kvHeads, to[part].bytes / kvHeads];
      for (let head = 0; head < kvHeads; head++)
        copy(
          from[part].offsetBytes + head * oldBytes,
          to[part].offsetBytes + head * newBytes,
          Math.min(oldBytes, newBytes),
        );
    }
    this.setSlab(seat, layer, slab);
  }
}
