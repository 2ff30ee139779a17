/**
 * @file Reads prompts, pieces of them and further turns on a GPU: the dense rows of several sequences together, attention,
 * scores and eviction sequence by sequence, layer after layer. A layer evicts as soon as a sequence was read in it, so at any time
 * one layer alone holds all of it – unless the policy's layers decide together, or more of the read follows.
 */
import { CallQueue, type KernelCall } from "../../engine/targets/cuda/index.ts";
import { requireLogits } from "../generate/logits.ts";
import { prefillBuffers, RECORD_WORDS, slabLayout } from "./calls/buffers.ts";
import { gatherCall, keepCall, settleCalls, sumLayersCall } from "./calls/keepCalls.ts";
import {
  appendCall,
  attendPrefillCall,
  liftCall,
  scoreCalls,
  type PrefillPlaces,
  type PrefillSizes,
} from "./calls/prefillCalls.ts";
import { prefillKernels, type PrefillKernels, prefillSources } from "./calls/prefillKernels.ts";
import { checkFaults, type DecodeParts } from "./decodeStep.ts";
import { roundedRows } from "./denseRows.ts";
import type { HostEviction } from "./hostEviction.ts";
import type { CachedSequence } from "./sequenceCaches.ts";
import { PrefillAttention } from "./prefillAttention.ts";
import { prefillGroups } from "./prefillGroups.ts";
import { PrefillRotary } from "./prefillRotary.ts";
import { Workspace } from "./workspace.ts";

/** Reads are padded to a multiple of this for attention, so that few programs serve all lengths. */
const ATTENTION_ROWS = 128;

/** What one sequence reads. */
export interface PrefillSequence {
  readonly sequence: number;
  readonly tokens: readonly number[];
  readonly more: boolean;
}

type Piece =
  | ("tokens" | "positions" | "hidden" | "next" | "projected" | "attended" | "lastHidden" | "lastAttended")
  | ("lastNext" | "vocabulary" | "chosen" | "region" | "queries" | "rowSums" | "unrotated" | "votes")
  | ("kept" | "keptCounts" | "length" | "arena");

/** A sequence within a group. */
interface Part {
  readonly read: PrefillSequence;
  readonly cached: CachedSequence;
  /** Its first row. */
  readonly row: number;
  /** Entries that were cached before, at most, in each layer. */
  readonly before: readonly number[];
  /** A prompt or turn begins with this read. */
  readonly isReset: boolean;
}

/** Reads sequences. */
export class PrefillPass {
  readonly #parts: DecodeParts;
  readonly #host: HostEviction;
  readonly #places: Workspace<Piece>;
  readonly #kernels = new Map<boolean, { kernels: PrefillKernels; queue: CallQueue }>();
  readonly #attention: PrefillAttention;
  readonly #rotary: PrefillRotary | null;

  constructor(parts: DecodeParts, host: HostEviction) {
    this.#parts = parts;
    this.#host = host;
    this.#places = new Workspace(parts.device, "prompts");
    this.#attention = new PrefillAttention(parts.device, parts.dense.decoder);
    const { device, config, rotary } = parts;
    this.#rotary = rotary && new PrefillRotary(device, config.rotary!, rotary);
  }

  /** Reads tokens of sequences, which have begun. @returns logits `[sequences, vocabulary]` after the last token of each */
  async prefill(reads: readonly PrefillSequence[]): Promise<Float32Array> {
    const { device, config, caches } = this.#parts;
    const { vocabSize } = config;
    const logits = new Float32Array(reads.length * vocabSize);
    for (const { from, to } of prefillGroups(reads.map(({ tokens }) => tokens.length))) {
      const group = reads.slice(from, to);
      const at = await this.#group(group);
      const part = logits.subarray(from * vocabSize, to * vocabSize);
      device.stream.copyToHost(part, at, part.byteLength);
      const records = new Int32Array(RECORD_WORDS * caches.maxSequences);
      device.stream.copyToHost(records, caches.tables.records, records.byteLength);
      await device.finished();
      const sequences = group.map(({ sequence }) => sequence);
      checkFaults(records, sequences);
      requireLogits(part, vocabSize);
    }
    return logits;
  }

  /** Compiles what prompts of so many tokens each need, read together. */
  async prepare(lengths: readonly number[]): Promise<void> {
    for (const { from, to, rows } of prefillGroups(lengths)) await this.#parts.dense.prepare(rows, to - from);
    await this.#compileKernels(false);
    for (const rows of new Set(lengths.map(paddedRows))) await this.#attention.compile(rows);
  }

  dispose(): void {
    this.#places.dispose();
    this.#attention.dispose();
    this.#rotary?.dispose();
  }

  /** @returns address of the logits */
  async #group(reads: readonly PrefillSequence[]): Promise<number> {
    const { device, config, dense } = this.#parts;
    const parts = this.#begin(reads);
    const rows = reads.reduce((sum, { tokens }) => sum + tokens.length, 0);
    await dense.prepare(rows, reads.length);
    for (const part of parts) await this.#compile(part);
    this.#reserve(parts, rows);
    this.#rotary?.reserve(
      new Set(parts.flatMap((part) => part.before.map((_, i) => this.#rotaryLength(part, i)))),
    );
    this.#copyTokens(parts, rows);
    const at = (name: Piece) => this.#places.at(name);
    const { stream } = device;
    const [projected, attended] = [at("projected"), at("attended")];
    let [hidden, next] = [at("hidden"), at("next")];
    const mark = (label: string) => this.#parts.times?.mark(label);
    mark("start");
    dense.embed(rows, { tokens: at("tokens"), positions: at("positions") }, hidden);
    for (let layer = 0; layer < config.layers; layer++) {
      dense.project(layer, rows, { hidden, projected });
      mark("projections");
      for (const part of parts) await this.#prefillLayer(part, layer);
      if (layer + 1 === config.layers) break;
      dense.finish(layer, rows, { hidden, attended }, next);
      mark("output and MLP");
      [hidden, next] = [next, hidden];
    }
    for (const part of parts) await this.#endPrefill(part);
    // Only the logits after each sequence's last token are wanted.
    for (const [i, { row, read }] of parts.entries()) {
      const from = row + read.tokens.length - 1;
      for (const [name, source, bytes] of [
        ["lastHidden", hidden, dense.rowBytes.hidden],
        ["lastAttended", attended, dense.rowBytes.attended],
      ] as const)
        stream.copyOnDevice(at(name) + i * bytes, source + from * bytes, bytes);
    }
    const places = { hidden: at("lastHidden"), attended: at("lastAttended") };
    dense.finish(config.layers - 1, reads.length, places, at("lastNext"));
    mark("last rows");
    dense.head(reads.length, at("lastNext"), { logits: at("vocabulary"), tokens: at("chosen") });
    mark("head");
    return at("vocabulary");
  }

  /** Notes what is read; from here on the sequences are as long as after the read. */
  #begin(reads: readonly PrefillSequence[]): Part[] {
    const { caches } = this.#parts;
    let row = 0;
    return reads.map((read) => {
      const cached = caches.at(read.sequence)!;
      const count = read.tokens.length;
      const part: Part = {
        read,
        cached,
        row,
        before: cached.slabs.length === 0 ? cached.most.map(() => 0) : [...cached.most],
        isReset: !cached.isPartial,
      };
      cached.tokensSeen += count;
      const whole = !cached.hasPrompt && read.more ? (cached.options.promptTokens ?? 0) : 0;
      cached.promptTokens = Math.max(cached.tokensSeen, whole);
      cached.isPartial = read.more;
      cached.hasPrompt ||= !read.more;
      caches.writeRecord(read.sequence);
      row += count;
      return part;
    });
  }

  #reserve(parts: readonly Part[], rows: number): void {
    const { caches, dense, config } = this.#parts;
    const { rowBytes } = dense;
    const rounded = roundedRows(rows) + ATTENTION_ROWS;
    const texts = roundedRows(parts.length);
    const places: Partial<Record<Piece, number>> = {
      tokens: 4 * rounded,
      positions: 4 * rounded,
      hidden: rounded * rowBytes.hidden,
      next: rounded * rowBytes.hidden,
      projected: rounded * rowBytes.projected,
      attended: rounded * rowBytes.attended,
      lastHidden: texts * rowBytes.hidden,
      lastAttended: texts * rowBytes.attended,
      lastNext: texts * rowBytes.hidden,
      vocabulary: 4 * texts * config.vocabSize,
      chosen: 4 * texts,
      length: 4,
    };
    const grow = (name: Piece, bytes: number) => {
      places[name] = Math.max(places[name] ?? 0, bytes);
    };
    for (const part of parts) {
      const { queryStride, capacity } = this.#sizes(part, 0, Math.max(...part.before));
      const { region, unrotated, ...others } = prefillBuffers(caches.model, queryStride, capacity);
      grow("region", region.bytes);
      if (this.#isRenumbered(part.cached)) grow("unrotated", unrotated);
      for (const [name, bytes] of Object.entries(others)) grow(name as keyof typeof others, bytes);
      grow("arena", this.#attention.arenaBytes);
    }
    this.#places.reserve(places);
  }

  #copyTokens(parts: readonly Part[], rows: number): void {
    const { device } = this.#parts;
    const ids = new Int32Array(rows);
    const positions = new Int32Array(rows);
    for (const { read, row, cached, before } of parts) {
      ids.set(read.tokens, row);
      const isRenumbered = cached.policies[0]!.positions === "new";
      const first = isRenumbered ? before[0]! : cached.tokensSeen - read.tokens.length;
      for (let i = 0; i < read.tokens.length; i++) positions[row + i] = first + i;
    }
    device.stream.copyToDevice(this.#places.at("tokens"), ids, ids.byteLength);
    device.stream.copyToDevice(this.#places.at("positions"), positions, positions.byteLength);
  }

  /** Queues one sequence's attention in a layer and what it keeps there. */
  async #prefillLayer(part: Part, layer: number): Promise<void> {
    const { caches, config, dense } = this.#parts;
    const { cached, read, row, before } = part;
    const policy = cached.policies[layer]!;
    const { kernels, queue } = this.#kernels.get(this.#isRenumbered(cached))!;
    const sizes = this.#sizes(part, layer, before[layer]!);
    const places = this.#prefillPlaces(part, layer);
    const run = (...calls: KernelCall<number>[]) => queue.launch(this.#parts.device.stream, calls);
    const rotaryRows = this.#rotary?.of(this.#rotaryLength(part, layer)).rows ?? 0;
    const old = cached.slabs[layer];
    const options = { isPrefill: true, isReset: part.isReset, slabCapacity: old?.capacity ?? 0, rotaryRows };
    if (old) run(liftCall(kernels, sizes, places, options));
    else this.#emptyRegion(sizes.capacity);
    const { heads, kvHeads, headDim } = config;
    const element = dense.rowBytes.attended / (heads * headDim);
    const q = this.#places.at("projected") + row * dense.rowBytes.projected;
    const stride = (heads + 2 * kvHeads) * headDim;
    const projections = {
      q,
      k: q + heads * headDim * element,
      v: q + (heads + kvHeads) * headDim * element,
      qStride: stride,
      kStride: stride,
      vStride: stride,
    };
    run(appendCall(kernels, sizes, places, projections, rotaryRows));
    const mark = (label: string) => this.#parts.times?.mark(label);
    mark("rotation and layout");
    const out = this.#places.at("attended") + row * dense.rowBytes.attended;
    if (old) run(attendPrefillCall(kernels, sizes, places, out));
    else this.#attend(sizes, out);
    mark("attention");
    run(...scoreCalls(kernels, sizes, places, policy));
    mark("scores");
    const isShared = policy.scope === "shared";
    if (!read.more) run(...settleCalls(kernels, sizes, places, policy));
    const keepsAll = read.more || isShared;
    if (policy.rule || keepsAll) run(keepCall(kernels, sizes, places, { by: "scores", keepsAll }));
    else {
      const region = { layer, pointer: this.#places.at("region"), capacity: sizes.capacity };
      await this.#host.keep(cached, [region], this.#kept(sizes));
    }
    const wanted = caches.wantedCapacity(cached, layer, cached.promptTokens);
    const capacity = keepsAll ? sizes.entries : wanted;
    if (old?.capacity !== capacity) caches.setSlab(read.sequence, layer, caches.newSlab(capacity));
    const isRenumbered = policy.positions === "new";
    run(gatherCall(kernels, sizes, places, { isInPlace: false, isRenumbered }));
    mark("choice and gather");
    const budget = policy.budget(cached.promptTokens);
    cached.most[layer] = keepsAll ? sizes.entries : Math.min(sizes.entries, budget);
  }

  /** Lets layers that decide together decide, once all of them have been read. */
  async #endPrefill(part: Part): Promise<void> {
    const { caches, device } = this.#parts;
    const { cached, read } = part;
    if (read.more || cached.policies[0]!.scope !== "shared") return;
    const { kernels, queue } = this.#kernels.get(this.#isRenumbered(cached))!;
    const run = (...calls: KernelCall<number>[]) => queue.launch(device.stream, calls);
    const entries = cached.most[0]!;
    const inSlab = (layer: number): [PrefillSizes, PrefillPlaces<number>] => {
      const { buffer, capacity } = cached.slabs[layer]!;
      const sizes = { ...this.#sizes(part, layer, part.before[layer]!), capacity, entries };
      return [sizes, { ...this.#prefillPlaces(part, layer), region: buffer.pointer }];
    };
    const [sizes, places] = inSlab(0);
    if (cached.policies[0]!.rule) {
      run(sumLayersCall(kernels, sizes, places, caches.tables.slabs));
      run(keepCall(kernels, sizes, places, { by: "votes", keepsAll: false }));
    } else {
      const slabs = cached.slabs.map(({ buffer, capacity }, layer) => {
        return { layer, pointer: buffer.pointer, capacity };
      });
      await this.#host.keep(cached, slabs, this.#kept(sizes));
    }
    const budget = cached.policies[0]!.budget(cached.promptTokens);
    for (const layer of cached.slabs.keys()) {
      run(gatherCall(kernels, ...inSlab(layer), { isInPlace: true, isRenumbered: false }));
      cached.most[layer] = Math.min(entries, budget);
      caches.resize(read.sequence, layer, caches.wantedCapacity(cached, layer, cached.promptTokens));
    }
  }

  /** Attention of a first read, by the engine's kernel. */
  #attend(sizes: PrefillSizes, out: number): void {
    const { keys, values } = slabLayout(this.#parts.caches.model, sizes.capacity);
    const region = this.#places.at("region");
    this.#attention.queue(sizes, {
      q: this.#places.at("queries"),
      k: region + keys.offsetBytes,
      v: region + values.offsetBytes,
      length: this.#places.at("length"),
      arena: this.#places.at("arena"),
      out,
    });
  }

  #kept({ capacity }: PrefillSizes) {
    return { slots: this.#places.at("kept"), counts: this.#places.at("keptCounts"), stride: capacity };
  }

  #emptyRegion(capacity: number): void {
    const { lengths } = slabLayout(this.#parts.caches.model, capacity);
    this.#parts.device.stream.clear(this.#places.at("region") + lengths.offsetBytes, lengths.bytes);
  }

  #sizes({ read, cached }: Part, layer: number, before: number): PrefillSizes {
    const { caches, config } = this.#parts;
    const rows = read.tokens.length;
    const padded = paddedRows(rows);
    return {
      sequence: read.sequence,
      maxSequences: caches.maxSequences,
      layer,
      rows,
      queryStride: padded,
      capacity: cached.slabs.length === 0 || before === 0 ? padded : before + padded,
      entries: before + rows,
      scale: config.attentionScale(layer),
    };
  }

  #prefillPlaces(part: Part, layer: number): PrefillPlaces<number> {
    const { caches, slopes } = this.#parts;
    const at = (name: Piece) => this.#places.at(name);
    return {
      ...caches.tablesOf(layer),
      region: at("region"),
      queries: at("queries"),
      rowSums: at("rowSums"),
      votes: at("votes"),
      kept: at("kept"),
      keptCounts: at("keptCounts"),
      unrotated: this.#isRenumbered(part.cached) ? at("unrotated") : null,
      rotaryTable: this.#rotary?.of(this.#rotaryLength(part, layer)).pointer ?? null,
      slopes: slopes === 0 ? null : slopes,
      none: 0,
    };
  }

  /**
   * Length of the sequence by which a layer turns heads, where it matters: of all its tokens, or of its entries where they
   * are numbered anew. Keys that were cached turned stay so.
   */
  #rotaryLength({ cached, read, before }: Part, layer: number): number {
    return cached.policies[layer]!.positions === "new"
      ? before[layer]! + read.tokens.length
      : cached.tokensSeen;
  }

  #isRenumbered(text: CachedSequence): boolean {
    return text.policies.some(({ positions }) => positions === "new");
  }

  async #compile(part: Part): Promise<void> {
    await this.#compileKernels(this.#isRenumbered(part.cached));
    if (part.cached.slabs.length === 0) await this.#attention.compile(paddedRows(part.read.tokens.length));
  }

  async #compileKernels(isRenumbered: boolean): Promise<void> {
    if (this.#kernels.has(isRenumbered)) return;
    const { device, caches } = this.#parts;
    const kernels = prefillKernels({ ...caches.model, isRenumbered });
    const queue = await CallQueue.compile(device, prefillSources(kernels));
    this.#kernels.set(isRenumbered, { kernels, queue });
  }
}

/** Rows of a read as attention has them. */
function paddedRows(rows: number): number {
  return Math.ceil(rows / ATTENTION_ROWS) * ATTENTION_ROWS;
}
