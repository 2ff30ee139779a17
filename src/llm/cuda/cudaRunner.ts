/**
 * @file Runs a language model on a GPU. Weights, caches and all that a step needs stay in its memory; a decode step is
 * one recorded graph, and what comes back to the host is tokens, or logits when they are asked for.
 *
 * When a call fails, the texts in it are gone: begin again.
 */
import type { HalfDType } from "../../base/dtype.ts";
import { type AllocatorStats, CudaDevice, type DeviceBuffer } from "../../engine/targets/cuda/index.ts";
import type { ModelFiles } from "../load/weights.ts";
import type { Decoder, DecoderConfig } from "../models/decoder.ts";
import { decoderOf } from "../models/models.ts";
import { attentionFactor } from "../models/rotary.ts";
import type { LlmDtype } from "../runner/dtype.ts";
import type {
  LlmRunner,
  TextMemory,
  TextOptions,
  TextSnapshot,
  TextToken,
  TextTokens,
} from "../runner/runner.ts";
import {
  requireBegun,
  requireFit,
  requireOnce,
  requireRead,
  requireSeat,
  requireStep,
  requireWhole,
  type TextState,
} from "../runner/textErrors.ts";
import type { KvModel } from "./calls/model.ts";
import { Decisions } from "./decisions.ts";
import { DecodeStep, type StepParts, type StepTexts } from "./decodeStep.ts";
import { DenseRows } from "./denseRows.ts";
import { HostPolicies } from "./hostPolicies.ts";
import { LaunchTimes } from "./launchTimes.ts";
import { PromptPass } from "./promptPass.ts";
import { requireSteady, RotaryPlaces } from "./rotaryPlaces.ts";
import { SeatCaches, type Text } from "./seatCaches.ts";
import { restoreSnapshot, takeSnapshot } from "./snapshots.ts";
import { loadWeights, randomWeights, type LoadProgress } from "./weights.ts";

/** How a runner is opened. */
export interface CudaRunnerOptions {
  /** What weights, keys and values are; sums and scores are float32 always. Defaults to bf16. */
  dtype?: LlmDtype;
  /** Texts held at a time. Defaults to 1. */
  seats?: number;
  /** Told tensors loaded so far, and in all. */
  onProgress?: LoadProgress;
}

const dtypes = { f32: "float32", bf16: "bfloat16", f16: "float16" } as const satisfies Record<
  LlmDtype,
  "float32" | HalfDType
>;

/** A model on a GPU. */
export class CudaRunner implements LlmRunner {
  readonly config: DecoderConfig;
  readonly seats: number;
  readonly #device: CudaDevice;
  readonly #dense: DenseRows;
  readonly #caches: SeatCaches;
  readonly #rotary: RotaryPlaces | null;
  readonly #slopes: DeviceBuffer | null;
  readonly #parts: StepParts;
  readonly #step: DecodeStep;
  readonly #prompts: PromptPass;
  readonly #host: HostPolicies;
  readonly #decisions: Decisions;

  private constructor(device: CudaDevice, decoder: Decoder, seats: number) {
    const { config } = decoder;
    this.config = config;
    this.seats = seats;
    this.#device = device;
    this.#dense = new DenseRows(device, decoder);
    this.#caches = new SeatCaches(device, kvModelOf(decoder), seats);
    this.#rotary = config.rotary ? new RotaryPlaces(device, config.rotary) : null;
    this.#slopes = null;
    if (config.alibiSlopes) {
      const slopes = Float32Array.from(config.alibiSlopes);
      this.#slopes = device.allocator.allocate(slopes.byteLength, "ALiBi slopes");
      device.stream.copyToDevice(this.#slopes.pointer, slopes, slopes.byteLength);
    }
    const parts: StepParts = {
      device,
      config,
      dense: this.#dense,
      caches: this.#caches,
      rotary: this.#rotary,
      slopes: this.#slopes?.pointer ?? 0,
      times: null,
    };
    this.#parts = parts;
    this.#step = new DecodeStep(parts);
    this.#host = new HostPolicies(device, this.#caches);
    this.#prompts = new PromptPass(parts, this.#host);
    this.#decisions = new Decisions(device, this.#caches);
  }

  /**
   * Loads a model. The files may be closed afterwards.
   * @throws ParetoError what opening a GPU refuses, CUDA_OUT_OF_MEMORY, and what reading refuses
   */
  static async open(files: ModelFiles, options: CudaRunnerOptions = {}): Promise<CudaRunner> {
    return CudaRunner.#open(files.config, options, (device, decoder) =>
      loadWeights(device, decoder, files, options.onProgress),
    );
  }

  /** A model of a shape with random weights of deviation 0.02, to measure and to test. */
  static async random(config: DecoderConfig, options: CudaRunnerOptions = {}, seed = 0): Promise<CudaRunner> {
    return CudaRunner.#open(config, options, (device, decoder) => randomWeights(device, decoder, seed));
  }

  static async #open(
    config: DecoderConfig,
    { dtype = "bf16", seats = 1 }: CudaRunnerOptions,
    fill: (device: CudaDevice, decoder: Decoder) => Promise<void>,
  ): Promise<CudaRunner> {
    const decoder = decoderOf(config, { dtype: dtypes[dtype], isMerged: true });
    const device = await CudaDevice.open();
    try {
      await fill(device, decoder);
      return new CudaRunner(device, decoder, seats);
    } catch (error) {
      await device.dispose();
      throw error;
    }
  }

  begin(seat: number, options: TextOptions): void {
    this.release(seat);
    this.#caches.begin(seat, options);
  }

  async prepare(...prompts: readonly number[]): Promise<void> {
    await this.#prompts.prepare(prompts);
    await this.#step.prepare(this.seats, 1, false);
  }

  async read(texts: readonly TextTokens[]): Promise<Float32Array> {
    requireOnce(texts);
    for (const text of texts) {
      requireRead(this.config, this.#state(text.seat), text);
      this.#requireSteady(this.#text(text.seat), text.tokens.length);
    }
    return this.#guarded(texts, async () => {
      const reads = texts.map(({ seat, tokens, more = false }) => ({ seat, tokens, more }));
      const ending = reads.filter(({ more }) => !more);
      const held = await this.#decisions.before(ending.map(({ seat }) => seat));
      const logits = await this.#prompts.read(reads);
      await this.#decisions.tellKept(held, new Map(ending.map(({ seat, tokens }) => [seat, tokens.length])));
      return logits;
    });
  }

  async step(tokens: readonly TextToken[]): Promise<Float32Array> {
    return this.#stepped(tokens, (texts) => this.#step.logits(texts));
  }

  async stepGreedy(tokens: readonly TextToken[]): Promise<Int32Array> {
    return this.#stepped(tokens, (texts) => this.#step.greedy(texts));
  }

  async fork(from: number, to: number): Promise<void> {
    this.#text(from);
    requireSeat(to, this.seats);
    if (from === to) return;
    this.release(to);
    await this.#guarded([{ seat: to }], async () => this.#caches.fork(from, to));
  }

  async snapshot(seat: number): Promise<TextSnapshot> {
    requireWhole(this.#state(seat));
    return takeSnapshot(this.#device, this.#caches, seat);
  }

  async restore(seat: number, snapshot: TextSnapshot): Promise<void> {
    const { options } = this.#text(seat);
    requireFit(this.config, snapshot);
    this.begin(seat, options);
    await this.#guarded([{ seat }], () => restoreSnapshot(this.#device, this.#caches, seat, snapshot));
  }

  release(seat: number): void {
    requireSeat(seat, this.seats);
    this.#caches.release(seat);
  }

  memory(seat: number): TextMemory {
    requireSeat(seat, this.seats);
    return this.#caches.memory(seat);
  }

  async dispose(): Promise<void> {
    await this.#device.finished();
    this.#step.dispose();
    this.#prompts.dispose();
    this.#caches.dispose();
    this.#rotary?.dispose();
    this.#slopes?.free();
    this.#dense.dispose();
    await this.#device.dispose();
  }

  /** A step, and what the host has to do with it. */
  async #stepped<T>(tokens: readonly TextToken[], run: (texts: StepTexts) => Promise<T>): Promise<T> {
    requireOnce(tokens);
    for (const { seat, token } of tokens) requireStep(this.config, this.#state(seat), token);
    return this.#guarded(tokens, async () => {
      const texts = this.#textsOf(tokens);
      const held = await this.#decisions.before(texts.seats);
      const result = await run(texts);
      for (const seat of texts.seats) {
        if (this.#text(seat).policies.some(({ rule }) => rule === undefined)) await this.#host.evict(seat);
      }
      await this.#decisions.tellEvicted(held);
      return result;
    });
  }

  #requireSteady(text: Text, tokens: number): void {
    const { rotary } = this.config;
    if (!rotary) return;
    const seen = Math.max(text.tokensSeen + tokens, text.hasRead ? 0 : (text.options.promptTokens ?? 0));
    for (const [layer, { positions }] of text.policies.entries())
      if (positions === "new") requireSteady(rotary, this.#caches.wantedCapacity(text, layer, seen));
  }

  /** Milliseconds of GPU work of the parts of what `run` does with this runner, which is not recorded meanwhile. */
  async partTimes(run: () => Promise<unknown>): Promise<Map<string, number>> {
    this.#parts.times = new LaunchTimes(this.#device);
    try {
      await run();
      return await this.#parts.times.totals();
    } finally {
      this.#parts.times = null;
    }
  }

  /** What the GPU's memory is used for, all programs and tables with it. */
  get deviceMemory(): AllocatorStats {
    return this.#device.allocator.stats();
  }

  /** Launches that a layer takes in a decode step of one text. */
  get layerLaunches(): number {
    return this.#dense.layerSteps + 1;
  }

  /** Empties the seats of a call that fails. */
  async #guarded<T>(texts: readonly { seat: number }[], run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      for (const { seat } of texts) this.release(seat);
      throw error;
    }
  }

  #textsOf(tokens: readonly TextToken[]): StepTexts {
    const policies = tokens.flatMap(({ seat }) => this.#text(seat).policies);
    return {
      seats: tokens.map(({ seat }) => seat),
      tokens: tokens.map(({ token }) => token),
      isRenumbered: policies.some(({ positions }) => positions === "new"),
      isShared: policies.some(({ scope }) => scope === "shared"),
    };
  }

  #text(seat: number): Text {
    requireSeat(seat, this.seats);
    return requireBegun(this.#caches.text(seat), seat);
  }

  #state(seat: number): TextState {
    const { options, policies, most, tokensSeen, hasRead, isPartial } = this.#text(seat);
    const isRenumbered = policies[0]!.positions === "new";
    return { options, isRenumbered, nextPosition: isRenumbered ? most[0]! : tokensSeen, hasRead, isPartial };
  }
}

function kvModelOf({ config, dtype }: Decoder): KvModel {
  const { layers, heads, kvHeads, headDim, rotary, alibiSlopes, slidingWindow } = config;
  return {
    layers,
    heads,
    kvHeads,
    headDim,
    dtype,
    hasAlibi: alibiSlopes !== null,
    rotary: rotary && { ...rotary, factor: attentionFactor(rotary) },
    slidingWindow,
    isRenumbered: false,
  };
}
