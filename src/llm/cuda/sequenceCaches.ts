/**
 * @file The KV caches of all sequences in a GPU's memory: a slab for each layer of each sequence, the table of where they are,
 * the policies' settings and the sequences' records, which the launches of a step read.
 *
 * The host knows how far each sequence is, as it says what is read; lengths and scores live on the GPU alone. Copies of
 * tables are queued on the device's stream, behind what was queued before.
 */
import { dtypeBytes } from "../../base/dtype.ts";
import type { CudaDevice, DeviceBuffer } from "../../engine/targets/cuda/index.ts";
import { budgetCapacity } from "../kv/capacity.ts";
import type { KvPolicy } from "../kv/policy.ts";
import type { SequenceMemory, SequenceOptions } from "../runner/runner.ts";
import {
  RECORD_WORDS,
  sequenceBuffers,
  recordWord,
  SETTINGS_WORDS,
  SLAB_WORDS,
  slabLayout,
  type SlabLayout,
} from "./calls/buffers.ts";
import type { KvModel } from "./calls/model.ts";
import { isStepwise, settingsWords } from "./calls/settings.ts";

/** The cache of one layer of one sequence. */
export interface Slab {
  readonly buffer: DeviceBuffer;
  readonly capacity: number;
}

/** What the host knows of a sequence. */
export interface CachedSequence {
  readonly options: SequenceOptions;
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
  hasPrompt: boolean;
}

/** The tables' addresses, as the calls name them. */
export interface Tables {
  slabs: number;
  settings: number;
  records: number;
}

/** All sequences of a model. */
export class SequenceCaches {
  readonly model: KvModel;
  readonly maxSequences: number;
  readonly tables: Tables;
  readonly #device: CudaDevice;
  readonly #memory: DeviceBuffer[] = [];
  readonly #sequences: (CachedSequence | null)[];

  constructor(device: CudaDevice, model: KvModel, maxSequences: number) {
    this.#device = device;
    this.model = model;
    this.maxSequences = maxSequences;
    this.#sequences = Array.from({ length: maxSequences }, () => null);
    const bytes = sequenceBuffers(model, maxSequences);
    const table = (size: number) => {
      const buffer = device.allocator.allocate(size, "tables of sequences");
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
      slabs: slabs + 4 * layer * this.maxSequences * SLAB_WORDS,
      settings: settings + 4 * layer * this.maxSequences * SETTINGS_WORDS,
      records,
    };
  }

  at(sequence: number): CachedSequence | null {
    return this.#sequences[sequence] ?? null;
  }

  /** Begins a sequence without memory; what it held must be gone. */
  begin(sequence: number, options: SequenceOptions): CachedSequence {
    const { layers } = this.model;
    const text: CachedSequence = {
      options,
      policies: Array.from({ length: layers }, (_, layer) => options.policies(layer)),
      slabs: [],
      most: Array.from({ length: layers }, () => 0),
      tokensSeen: 0,
      promptTokens: 0,
      step: 0,
      isPartial: false,
      hasPrompt: false,
    };
    this.#sequences[sequence] = text;
    return text;
  }

  /** Empties a sequence. Its memory is used again behind what is queued, as all work is in one stream. */
  release(sequence: number): void {
    const text = this.#sequences[sequence];
    this.#sequences[sequence] = null;
    for (const { buffer } of text?.slabs ?? []) buffer.free();
  }

  layout(capacity: number): SlabLayout {
    return slabLayout(this.model, capacity);
  }

  /** Entries a layer of a sequence must have room for between reads. */
  wantedCapacity(text: CachedSequence, layer: number, promptTokens: number): number {
    const policy = text.policies[layer]!;
    const budget = policy.budget(promptTokens);
    const newTokens = text.options.maxNewTokens;
    return budgetCapacity({ budget, evictEvery: policy.evictEvery, promptTokens, newTokens });
  }

  /** An empty slab, not yet of any sequence. */
  newSlab(capacity: number): Slab {
    const { bytes, lengths } = this.layout(capacity);
    const buffer = this.#device.allocator.allocate(bytes, "KV caches");
    this.#device.stream.clear(buffer.pointer + lengths.offsetBytes, lengths.bytes);
    return { buffer, capacity };
  }

  /** Makes a slab that of a layer of a sequence; what was there is freed. */
  setSlab(sequence: number, layer: number, slab: Slab): void {
    const text = this.#sequences[sequence]!;
    const old = text.slabs[layer];
    text.slabs[layer] = slab;
    if (old && old !== slab) old.buffer.free();
    this.writeSlab(sequence, layer, slab);
  }

  /** Tells the table where a layer's slab of a sequence is. */
  writeSlab(sequence: number, layer: number, { buffer, capacity }: Slab): void {
    const words = Uint32Array.of(buffer.pointer % 2 ** 32, Math.floor(buffer.pointer / 2 ** 32), capacity, 0);
    const at = this.tables.slabs + 4 * (layer * this.maxSequences + sequence) * SLAB_WORDS;
    this.#device.stream.copyToDevice(at, words, words.byteLength);
  }

  /** Tells the tables how far a sequence is and what its policies do. */
  writeRecord(sequence: number): void {
    const { tokensSeen, step, options } = this.#sequences[sequence]!;
    const record = new Uint32Array(RECORD_WORDS);
    const seed = BigInt.asUintN(64, BigInt(options.seed ?? 0));
    record[recordWord.tokensSeen] = tokensSeen;
    record[recordWord.step] = step;
    record[recordWord.seedLow] = Number(seed & 0xffffffffn);
    record[recordWord.seedHigh] = Number(seed >> 32n);
    record[recordWord.stream] = options.stream ?? 0;
    const { stream } = this.#device;
    stream.copyToDevice(this.tables.records + 4 * sequence * RECORD_WORDS, record, record.byteLength);
    for (let layer = 0; layer < this.model.layers; layer++) this.#writeSettings(sequence, layer);
  }

  /** Tells the tables what changes with a step and is not known to the GPU. */
  writeSettings(sequence: number): void {
    const { policies } = this.#sequences[sequence]!;
    for (const [layer, policy] of policies.entries())
      if (isStepwise(policy)) this.#writeSettings(sequence, layer, 1);
  }

  /** Makes room for one entry more in every layer of a sequence. */
  reserveToken(sequence: number): void {
    const text = this.#sequences[sequence]!;
    for (const [layer, slab] of text.slabs.entries()) {
      const policy = text.policies[layer]!;
      const limit = policy.budget(text.promptTokens) + policy.evictEvery;
      const needed = Math.min(text.most[layer]! + 1, limit);
      if (needed > slab.capacity) this.resize(sequence, layer, Math.min(2 * slab.capacity, limit));
      // With as many as the limit the launch evicts.
      text.most[layer] = needed === limit ? limit - policy.evictEvery : needed;
    }
  }

  /** Most entries that a slab in use has room for. */
  capacityOf(sequences: readonly number[]): number {
    let most = 1;
    for (const sequence of sequences)
      for (const { capacity } of this.#sequences[sequence]!.slabs) most = Math.max(most, capacity);
    return most;
  }

  /** What a sequence's cache holds. Waits for the work that is queued. */
  memory(sequence: number): SequenceMemory {
    const { kvHeads, headDim, layers, dtype } = this.model;
    const text = this.#sequences[sequence];
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

  /** Copies a sequence with its memory to another one, which must be empty. */
  fork(from: number, to: number): void {
    const source = this.#sequences[from]!;
    this.#sequences[to] = { ...source, most: [...source.most], slabs: [] };
    for (const [layer, { buffer, capacity }] of source.slabs.entries()) {
      const slab = this.newSlab(capacity);
      this.#device.stream.copyOnDevice(slab.buffer.pointer, buffer.pointer, this.layout(capacity).bytes);
      this.setSlab(to, layer, slab);
    }
    this.writeRecord(to);
  }

  /** Frees all memory; nothing may be under way. */
  dispose(): void {
    for (let sequence = 0; sequence < this.maxSequences; sequence++) this.release(sequence);
    for (const buffer of this.#memory.splice(0)) buffer.free();
  }

  #writeSettings(sequence: number, layer: number, ahead = 0): void {
    const { policies, promptTokens, step } = this.#sequences[sequence]!;
    const words = settingsWords(policies[layer]!, { promptTokens, step: step + ahead });
    const at = this.tables.settings + 4 * (layer * this.maxSequences + sequence) * SETTINGS_WORDS;
    this.#device.stream.copyToDevice(at, words, words.byteLength);
  }

  /** Moves a layer's entries to a slab of another size, head by head. */
  resize(sequence: number, layer: number, capacity: number): void {
    const { kvHeads } = this.model;
    const old = this.#sequences[sequence]!.slabs[layer]!;
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
    this.setSlab(sequence, layer, slab);
  }
}
