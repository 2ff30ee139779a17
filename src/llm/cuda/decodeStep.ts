/**
 * @file A decode step of several texts: one recorded graph of launches for each number of rows. All that changes from
 * step to step – tokens, seats, lengths, positions, temperatures – lies in device memory, so a recording stays right
 * while texts grow, end, move and evict; it is made anew only when memory that it names has moved.
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
import { SEAT_WORDS, seatWord, stepBuffers } from "./calls/buffers.ts";
import type { KvModel } from "./calls/model.ts";
import {
  advanceCall,
  attendCall,
  sharedEvictCall,
  stepKernels,
  type StepKernels,
} from "./calls/stepCalls.ts";
import type { DenseRows } from "./denseRows.ts";
import type { LaunchTimes } from "./launchTimes.ts";
import type { RotaryPlaces } from "./rotaryPlaces.ts";
import type { SeatCaches } from "./seatCaches.ts";
import { Workspace } from "./workspace.ts";

/** What a step is made of. */
export interface StepParts {
  readonly device: CudaDevice;
  readonly config: DecoderConfig;
  readonly dense: DenseRows;
  readonly caches: SeatCaches;
  readonly rotary: RotaryPlaces | null;
  /** Address of float32 `[heads]`, or 0. */
  readonly slopes: number;
  /** Where parts are timed; nothing is recorded then. */
  times: LaunchTimes | null;
}

/** The texts of a step. */
export interface StepTexts {
  readonly seats: readonly number[];
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
  kernels: StepKernels;
  queue: CallQueue;
}

/** Runs steps. */
export class DecodeStep {
  readonly #parts: StepParts;
  readonly #places: Workspace<Piece>;
  readonly #kernels = new Map<boolean, Kernels>();
  readonly #graphs = new Map<string, CapturedGraph>();
  #rows = 0;
  #capacity = 0;
  /** Of all that a recording names and depends on. */
  #versions = "";
  /** Tokens and seats of the rows; then tokens chosen, the seats' records, and logits. */
  #staging: PinnedBuffer | undefined;

  constructor(parts: StepParts) {
    this.#parts = parts;
    this.#places = new Workspace(parts.device, "decode step");
  }

  /** Compiles and allocates for so many texts; a step does it by itself. */
  async prepare(count: number, capacity: number, isRenumbered: boolean): Promise<number> {
    const { dense, device, caches, config, rotary } = this.#parts;
    const rows = 2 ** Math.ceil(Math.log2(count));
    await dense.prepare(rows, rows);
    if (!this.#kernels.has(isRenumbered)) {
      const model: KvModel = { ...caches.model, isRenumbered };
      const kernels = stepKernels(model);
      const queue = await CallQueue.compile(device, [kernels.advance, kernels.attend, kernels.sharedEvict]);
      this.#kernels.set(isRenumbered, { kernels, queue });
    }
    const [mostRows, mostEntries] = [Math.max(this.#rows, rows), Math.max(this.#capacity, capacity)];
    const { positions, logits, partials, arrivals } = stepBuffers(caches.model, mostRows, mostEntries);
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
      vocabulary: 4 * mostRows * config.vocabulary,
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
    const bytes = this.#outAt(this.#rows) + 4 * this.#rows + 4 * SEAT_WORDS * caches.seats;
    if (!this.#staging || this.#staging.bytes.length < bytes) {
      this.#staging?.dispose();
      this.#staging = new PinnedBuffer(device.context, bytes);
    }
    return rows;
  }

  /** Runs a step and gives the most probable token of each text. @throws ParetoError KV_LOGITS_NOT_FINITE, LLM_LOGITS */
  async greedy(texts: StepTexts): Promise<Int32Array> {
    await this.#start(texts);
    const count = texts.seats.length;
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

  /** Runs a step and gives logits `[texts, vocabulary]`. @throws ParetoError KV_LOGITS_NOT_FINITE, LLM_LOGITS */
  async logits(texts: StepTexts): Promise<Float32Array> {
    await this.#start(texts);
    const { device, config } = this.#parts;
    const logits = new Float32Array(texts.seats.length * config.vocabulary);
    device.stream.copyToHost(logits, this.#places.at("vocabulary"), logits.byteLength);
    await this.#finish(texts);
    requireLogits(logits, config.vocabulary);
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

  async #start(texts: StepTexts): Promise<void> {
    const { device, caches, rotary } = this.#parts;
    const { seats, tokens } = texts;
    for (const seat of seats) {
      caches.reserveStep(seat);
      caches.writeStep(seat);
    }
    const last = Math.max(...seats.map((seat) => caches.text(seat)!.tokensSeen));
    rotary?.reserve(last + 1);
    const rows = await this.prepare(seats.length, caches.capacityOf(seats), texts.isRenumbered);
    const wanted = new Int32Array(2 * rows).fill(-1, rows);
    wanted.set(tokens);
    wanted.set(seats, rows);
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
    for (const seat of seats) {
      const text = caches.text(seat)!;
      text.tokensSeen++;
      text.step++;
    }
  }

  #record(rows: number, { isRenumbered, isShared }: StepTexts): void {
    const { device, config, dense, caches, rotary, slopes } = this.#parts;
    const { kernels, queue } = this.#kernels.get(isRenumbered)!;
    const { stream } = device;
    const { heads, kvHeads, headDim, layers } = config;
    const at = (name: Piece) => this.#places.at(name);
    const sizes = { rows, seats: caches.seats, capacity: this.#capacity };
    const inputs = at("inputs");
    const stepPlaces = (layer: number) => ({
      ...caches.tablesOf(layer),
      rowSeats: inputs + 4 * rows,
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
        turns: rotary?.pointer ?? null,
        slopes: slopes === 0 ? null : slopes,
        out: attended,
      };
      const numbers = {
        layer,
        scale: config.attentionScale(layer),
        qStride: stride,
        kStride: stride,
        vStride: stride,
        turnRows: rotary?.rows ?? 0,
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
  async #finish({ seats }: StepTexts): Promise<void> {
    const { device, caches } = this.#parts;
    const from = this.#outAt(this.#rows) + 4 * this.#rows;
    const bytes = 4 * SEAT_WORDS * caches.seats;
    const staging = this.#staging!;
    device.stream.copyToHost(staging.bytes.subarray(from, from + bytes), caches.tables.records, bytes);
    await device.finished();
    checkFaults(staging.int32(from, bytes / 4), seats);
  }

  /** Where results begin in the page-locked block. */
  #outAt(rows: number): number {
    return 8 * rows;
  }
}

/** @throws ParetoError KV_LOGITS_NOT_FINITE when a record of some seats says so */
export function checkFaults(records: Int32Array, seats: readonly number[]): void {
  for (const seat of seats) {
    const fault = records[seat * SEAT_WORDS + seatWord.fault]!;
    if (fault === 0) continue;
    throw new ParetoError({
      code: "KV_LOGITS_NOT_FINITE",
      where: `layer ${fault - 1}`,
      message: `logits of attention must be finite or −∞, got another one in seat ${seat}`,
      fix: "check the weights, and that the dtype holds the model's activations (bf16 has float32's range)",
    });
  }
}
