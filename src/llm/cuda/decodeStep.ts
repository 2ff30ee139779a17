/**
 * @file A decode step of several sequences: one recorded graph of launches for each number of rows. All that changes from
 * step to step – tokens, sequences, lengths, positions, temperatures – lies in device memory, so a recording stays right
 * while sequences grow, end, move and evict; it is made anew only when memory that it names has moved.
 */
import { ParetoError } from "../../base/errors.ts";
import {
  CallQueue,
  type CapturedGraph,
  type CudaDevice,
  PinnedBuffer,
} from "../../engine/targets/cuda/index.ts";
import { notNumber, requireLogits } from "../generate/logits.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { RECORD_WORDS, recordWord, decodeBuffers } from "./calls/buffers.ts";
import type { KvModel } from "./calls/model.ts";
import {
  advanceCall,
  attendCall,
  sharedEvictCall,
  decodeKernels,
  type DecodeKernels,
} from "./calls/decodeCalls.ts";
import type { DenseRows } from "./denseRows.ts";
import type { LaunchTimes } from "./launchTimes.ts";
import type { RotaryTables } from "./rotaryTables.ts";
import type { SequenceCaches } from "./sequenceCaches.ts";
import { Workspace } from "./workspace.ts";

/** What a step is made of. */
export interface DecodeParts {
  readonly device: CudaDevice;
  readonly config: DecoderConfig;
  readonly dense: DenseRows;
  readonly caches: SequenceCaches;
  readonly rotary: RotaryTables | null;
  /** Address of float32 `[heads]`, or 0. */
  readonly slopes: number;
  /** Where parts are timed; nothing is recorded then. */
  times: LaunchTimes | null;
}

/** The sequences of a step. */
export interface DecodeSequences {
  readonly sequences: readonly number[];
  readonly tokens: readonly number[];
  /** Some policy numbers its entries anew. */
  readonly isRenumbered: boolean;
  /** Some policy's layers decide together. */
  readonly isShared: boolean;
}

type Piece =
  | ("inputs" | "positions" | "logits" | "partials" | "arrivals")
  | ("hidden" | "next" | "projected" | "attended" | "vocabulary" | "tokens");

interface Kernels {
  kernels: DecodeKernels;
  queue: CallQueue;
}

/** Runs steps. */
export class DecodeStep {
  readonly #parts: DecodeParts;
  readonly #places: Workspace<Piece>;
  readonly #kernels = new Map<boolean, Kernels>();
  readonly #graphs = new Map<string, CapturedGraph>();
  #rows = 0;
  #capacity = 0;
  /** Of all that a recording names and depends on. */
  #versions = "";
  /** Tokens and sequences of the rows; then tokens chosen, the sequences' records, and logits. */
  #staging: PinnedBuffer | undefined;

  constructor(parts: DecodeParts) {
    this.#parts = parts;
    this.#places = new Workspace(parts.device, "decode step");
  }

  /** Compiles and allocates for so many sequences; a step does it by itself. */
  async prepare(count: number, capacity: number, isRenumbered: boolean): Promise<number> {
    const { dense, device, caches, config, rotary } = this.#parts;
    const rows = 2 ** Math.ceil(Math.log2(count));
    await dense.prepare(rows, rows);
    if (!this.#kernels.has(isRenumbered)) {
      const model: KvModel = { ...caches.model, isRenumbered };
      const kernels = decodeKernels(model);
      const queue = await CallQueue.compile(device, [kernels.advance, kernels.attend, kernels.sharedEvict]);
      this.#kernels.set(isRenumbered, { kernels, queue });
    }
    const [mostRows, mostEntries] = [Math.max(this.#rows, rows), Math.max(this.#capacity, capacity)];
    const { positions, logits, partials, arrivals } = decodeBuffers(caches.model, mostRows, mostEntries);
    const { rowBytes } = dense;
    const moved = this.#places.reserve({
      inputs: 8 * mostRows,
      positions,
      logits,
      partials,
      arrivals,
      hidden: mostRows * rowBytes.hidden,
      next: mostRows * rowBytes.hidden,
      projected: mostRows * rowBytes.projected,
      attended: mostRows * rowBytes.attended,
      vocabulary: 4 * mostRows * config.vocabSize,
      tokens: 4 * mostRows,
    });
    // Kernels leave zeros in those that they use, so more of them are zeros only where they were made so.
    if (moved.includes("arrivals") || mostRows > this.#rows) {
      device.stream.clear(this.#places.at("arrivals"), arrivals);
    }
    const versions = `${dense.version} ${rotary?.version} ${mostRows} ${mostEntries}`;
    if (moved.length > 0 || versions !== this.#versions) this.#forget();
    this.#versions = versions;
    [this.#rows, this.#capacity] = [mostRows, mostEntries];
    const bytes = this.#outAt(this.#rows) + 4 * this.#rows + 4 * RECORD_WORDS * caches.maxSequences;
    if (!this.#staging || this.#staging.bytes.length < bytes) {
      this.#staging?.dispose();
      this.#staging = new PinnedBuffer(device.context, bytes);
    }
    return rows;
  }

  /** Runs a step and gives the most probable token of each sequence. @throws ParetoError KV_LOGITS_NOT_FINITE, LLM_LOGITS */
  async greedy(texts: DecodeSequences): Promise<Int32Array> {
    await this.#start(texts);
    const count = texts.sequences.length;
    const { device } = this.#parts;
    const staging = this.#staging!;
    const at = this.#outAt(this.#rows);
    device.stream.copyToHost(
      staging.bytes.subarray(at, at + 4 * count),
      this.#places.at("tokens"),
      4 * count,
    );
    await this.#finish(texts);
    const tokens = staging.int32(at, count).slice();
    if (tokens.includes(-1)) throw notNumber(0);
    return tokens;
  }

  /** Runs a step and gives logits `[sequences, vocabulary]`. @throws ParetoError KV_LOGITS_NOT_FINITE, LLM_LOGITS */
  async logits(texts: DecodeSequences): Promise<Float32Array> {
    await this.#start(texts);
    const { device, config } = this.#parts;
    const logits = new Float32Array(texts.sequences.length * config.vocabSize);
    device.stream.copyToHost(logits, this.#places.at("vocabulary"), logits.byteLength);
    await this.#finish(texts);
    requireLogits(logits, config.vocabSize);
    return logits;
  }

  dispose(): void {
    this.#forget();
    this.#places.dispose();
    this.#staging?.dispose();
    this.#staging = undefined;
  }

  /** Drops recordings, because memory that they name has moved. */
  #forget(): void {
    for (const graph of this.#graphs.values()) graph.dispose();
    this.#graphs.clear();
  }

  async #start(texts: DecodeSequences): Promise<void> {
    const { device, caches, rotary } = this.#parts;
    const { sequences, tokens } = texts;
    for (const sequence of sequences) {
      caches.reserveToken(sequence);
      caches.writeSettings(sequence);
    }
    const last = Math.max(...sequences.map((sequence) => caches.at(sequence)!.tokensSeen));
    rotary?.reserve(last + 1);
    const rows = await this.prepare(sequences.length, caches.capacityOf(sequences), texts.isRenumbered);
    const wanted = new Int32Array(2 * rows).fill(-1, rows);
    wanted.set(tokens);
    wanted.set(sequences, rows);
    // A copy of equal numbers may be under way.
    const staged = this.#staging!.int32(0, 2 * rows);
    if (wanted.some((word, i) => staged[i] !== word)) staged.set(wanted);
    const key = `${rows} ${texts.isRenumbered} ${texts.isShared}`;
    let graph = this.#parts.times ? undefined : this.#graphs.get(key);
    if (!graph && !this.#parts.times) {
      graph = device.stream.capture(() => this.#record(rows, texts));
      this.#graphs.set(key, graph);
    }
    device.stream.copyToDevice(
      this.#places.at("inputs"),
      this.#staging!.bytes.subarray(0, 8 * rows),
      8 * rows,
    );
    if (graph) graph.launch(device.stream);
    else {
      this.#parts.times!.keepBusy();
      this.#record(rows, texts);
    }
    for (const sequence of sequences) {
      const text = caches.at(sequence)!;
      text.tokensSeen++;
      text.step++;
    }
  }

  #record(rows: number, { isRenumbered, isShared }: DecodeSequences): void {
    const { device, config, dense, caches, rotary, slopes } = this.#parts;
    const { kernels, queue } = this.#kernels.get(isRenumbered)!;
    const { stream } = device;
    const { heads, kvHeads, headDim, layers } = config;
    const at = (name: Piece) => this.#places.at(name);
    const sizes = { rows, maxSequences: caches.maxSequences, capacity: this.#capacity };
    const inputs = at("inputs");
    const stepPlaces = (layer: number) => ({
      ...caches.tablesOf(layer),
      rowSequences: inputs + 4 * rows,
      positions: at("positions"),
      logits: at("logits"),
      partials: at("partials"),
      arrivals: at("arrivals"),
    });
    const mark = (label: string) => this.#parts.times?.mark(label);
    mark("start");
    queue.launch(stream, [advanceCall(kernels, sizes, stepPlaces(0))]);
    dense.embed(rows, { tokens: inputs, positions: at("positions") }, at("hidden"));
    mark("embedding");
    let [hidden, next] = [at("hidden"), at("next")];
    const [projected, attended] = [at("projected"), at("attended")];
    const element = dense.rowBytes.attended / (heads * headDim);
    const stride = (heads + 2 * kvHeads) * headDim;
    for (let layer = 0; layer < layers; layer++) {
      dense.project(layer, rows, { hidden, projected });
      mark("projections");
      const places = {
        ...stepPlaces(layer),
        q: projected,
        k: projected + heads * headDim * element,
        v: projected + (heads + kvHeads) * headDim * element,
        rotaryTable: rotary?.pointer ?? null,
        slopes: slopes === 0 ? null : slopes,
        out: attended,
      };
      const numbers = {
        layer,
        scale: config.attentionScale(layer),
        qStride: stride,
        kStride: stride,
        vStride: stride,
        rotaryRows: rotary?.rows ?? 0,
      };
      queue.launch(stream, [attendCall(kernels, sizes, places, numbers, 0)]);
      mark("attention, scores, eviction");
      dense.finish(layer, rows, { hidden, attended }, next);
      mark("output and MLP");
      [hidden, next] = [next, hidden];
    }
    if (isShared) queue.launch(stream, [sharedEvictCall(kernels, sizes, stepPlaces(0))]);
    dense.head(rows, hidden, { logits: at("vocabulary"), tokens: at("tokens") });
    mark("head");
  }

  /** Waits for a step and looks whether its numbers were sound. */
  async #finish({ sequences }: DecodeSequences): Promise<void> {
    const { device, caches } = this.#parts;
    const from = this.#outAt(this.#rows) + 4 * this.#rows;
    const bytes = 4 * RECORD_WORDS * caches.maxSequences;
    const staging = this.#staging!;
    device.stream.copyToHost(staging.bytes.subarray(from, from + bytes), caches.tables.records, bytes);
    await device.finished();
    checkFaults(staging.int32(from, bytes / 4), sequences);
  }

  /** Where results begin in the page-locked block. */
  #outAt(rows: number): number {
    return 8 * rows;
  }
}

/** @throws ParetoError KV_LOGITS_NOT_FINITE when a record of some sequences says so */
export function checkFaults(records: Int32Array, sequences: readonly number[]): void {
  for (const sequence of sequences) {
    const fault = records[sequence * RECORD_WORDS + recordWord.fault]!;
    if (fault === 0) continue;
    throw new ParetoError({
      code: "KV_LOGITS_NOT_FINITE",
      where: `layer ${fault - 1}`,
      message: `logits of attention must be finite or −∞, got another one in sequence ${sequence}`,
      fix: "Check the weights, and that the dtype holds the model's activations (bf16 has float32's range).",
    });
  }
}
