/**
 * @file Runs a language model on a GPU. Weights, caches and all that a step needs stay in its memory; a decode step is
 * one recorded graph, and what comes back to the host is tokens, or logits when they are asked for.
 *
 * When a call fails, the sequences in it are gone: begin again.
 */
import { ParetoError } from "../../base/errors.ts";
import type { HalfDType } from "../../base/dtype.ts";
import { type AllocatorStats, CudaDevice, type DeviceBuffer } from "../../engine/targets/cuda/index.ts";
import { chooseTokens, type Sampler } from "../generate/sampler.ts";
import type { ModelFiles } from "../load/weights.ts";
import type { Decoder, DecoderConfig } from "../models/decoder.ts";
import { decoderOf } from "../models/models.ts";
import { attentionFactor } from "../models/rotary.ts";
import type { LlmDtype } from "../runner/dtype.ts";
import type {
  LlmRunner,
  SequenceMemory,
  SequenceOptions,
  SequenceSnapshot,
  SequenceToken,
  SequenceTokens,
} from "../runner/runner.ts";
import {
  requireBegun,
  requireFit,
  requireOnce,
  requirePrefill,
  requireSequence,
  requireSequenceOptions,
  requireDecode,
  requireWhole,
  type SequenceState,
} from "../runner/sequenceErrors.ts";
import type { KvModel } from "./calls/model.ts";
import { Decisions } from "./decisions.ts";
import { DecodeStep, type DecodeParts, type DecodeSequences } from "./decodeStep.ts";
import { DenseRows } from "./denseRows.ts";
import { HostEviction } from "./hostEviction.ts";
import { LaunchTimes } from "./launchTimes.ts";
import { PrefillPass } from "./prefillPass.ts";
import { requireSteady, RotaryTables } from "./rotaryTables.ts";
import { SequenceCaches, type CachedSequence } from "./sequenceCaches.ts";
import { restoreSnapshot, takeSnapshot } from "./snapshots.ts";
import { loadWeights, randomWeights, type LoadProgress } from "./weights.ts";

/** How a runner is opened. */
export interface CudaRunnerOptions {
  /** What weights, keys and values are; sums and scores are float32 always. Defaults to bf16. */
  dtype?: LlmDtype;
  /** Most sequences at a time. Defaults to 1. */
  maxSequences?: number;
  /** Receives tensors loaded so far, and in all. */
  onProgress?: LoadProgress;
}

const dtypes = { f32: "float32", bf16: "bfloat16", f16: "float16" } as const satisfies Record<
  LlmDtype,
  "float32" | HalfDType
>;

/** A model on a GPU. */
export class CudaRunner implements LlmRunner {
  readonly config: DecoderConfig;
  readonly device = "cuda";
  readonly dtype: LlmDtype;
  readonly maxSequences: number;
  readonly #device: CudaDevice;
  readonly #dense: DenseRows;
  readonly #caches: SequenceCaches;
  readonly #rotary: RotaryTables | null;
  readonly #slopes: DeviceBuffer | null;
  readonly #parts: DecodeParts;
  readonly #step: DecodeStep;
  readonly #prompts: PrefillPass;
  readonly #host: HostEviction;
  readonly #decisions: Decisions;

  private constructor(device: CudaDevice, decoder: Decoder, dtype: LlmDtype, maxSequences: number) {
    const { config } = decoder;
    this.config = config;
    this.dtype = dtype;
    this.maxSequences = maxSequences;
    this.#device = device;
    this.#dense = new DenseRows(device, decoder);
    this.#caches = new SequenceCaches(device, kvModelOf(decoder), maxSequences);
    this.#rotary = config.rotary ? new RotaryTables(device, config.rotary) : null;
    this.#slopes = null;
    if (config.alibiSlopes) {
      const slopes = Float32Array.from(config.alibiSlopes);
      this.#slopes = device.allocator.allocate(slopes.byteLength, "ALiBi slopes");
      device.stream.copyToDevice(this.#slopes.pointer, slopes, slopes.byteLength);
    }
    const parts: DecodeParts = {
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
    this.#host = new HostEviction(device, this.#caches);
    this.#prompts = new PrefillPass(parts, this.#host);
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
    { dtype = "bf16", maxSequences = 1 }: CudaRunnerOptions,
    fill: (device: CudaDevice, decoder: Decoder) => Promise<void>,
  ): Promise<CudaRunner> {
    const decoder = decoderOf(config, { dtype: dtypes[dtype], isMerged: true });
    const device = await CudaDevice.open();
    try {
      await fill(device, decoder);
      return new CudaRunner(device, decoder, dtype, maxSequences);
    } catch (error) {
      await device.dispose();
      throw error;
    }
  }

  begin(sequence: number, options: SequenceOptions): void {
    this.release(sequence);
    requireSequenceOptions(options);
    requireOneWindow(this.config, options);
    this.#caches.begin(sequence, options);
  }

  async prepare(...prompts: readonly number[]): Promise<void> {
    await this.#prompts.prepare(prompts);
    await this.#step.prepare(this.maxSequences, 1, false);
  }

  async prefill(texts: readonly SequenceTokens[]): Promise<Float32Array> {
    requireOnce(texts);
    for (const text of texts) {
      requirePrefill(this.config, this.#state(text.sequence), text);
      this.#requireSteady(this.#text(text.sequence), text.tokens.length);
    }
    return this.#guarded(texts, async () => {
      const reads = texts.map(({ sequence, tokens, more = false }) => ({ sequence, tokens, more }));
      const ending = reads.filter(({ more }) => !more);
      const held = await this.#decisions.before(ending.map(({ sequence }) => sequence));
      const logits = await this.#prompts.prefill(reads);
      await this.#decisions.tellKept(
        held,
        new Map(ending.map(({ sequence, tokens }) => [sequence, tokens.length])),
      );
      return logits;
    });
  }

  async decode(tokens: readonly SequenceToken[]): Promise<Float32Array> {
    return this.#stepped(tokens, (texts) => this.#step.logits(texts));
  }

  async decodeTokens(tokens: readonly SequenceToken[], samplers?: readonly Sampler[]): Promise<Int32Array> {
    if (samplers === undefined || samplers.every(({ isGreedy }) => isGreedy))
      return this.#stepped(tokens, (texts) => this.#step.greedy(texts));
    return chooseTokens(await this.decode(tokens), this.config.vocabSize, samplers);
  }

  async fork(from: number, to: number): Promise<void> {
    this.#text(from);
    requireSequence(to, this.maxSequences);
    if (from === to) return;
    this.release(to);
    await this.#guarded([{ sequence: to }], async () => this.#caches.fork(from, to));
  }

  async snapshot(sequence: number): Promise<SequenceSnapshot> {
    requireWhole(this.#state(sequence));
    return takeSnapshot(this.#device, this.#caches, sequence);
  }

  async restore(sequence: number, snapshot: SequenceSnapshot): Promise<void> {
    const { options } = this.#text(sequence);
    requireFit(this.config, snapshot);
    this.begin(sequence, options);
    await this.#guarded([{ sequence }], () =>
      restoreSnapshot(this.#device, this.#caches, sequence, snapshot),
    );
  }

  release(sequence: number): void {
    requireSequence(sequence, this.maxSequences);
    this.#caches.release(sequence);
  }

  memory(sequence: number): SequenceMemory {
    requireSequence(sequence, this.maxSequences);
    return this.#caches.memory(sequence);
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
  async #stepped<T>(
    tokens: readonly SequenceToken[],
    run: (texts: DecodeSequences) => Promise<T>,
  ): Promise<T> {
    requireOnce(tokens);
    for (const { sequence, token } of tokens) requireDecode(this.config, this.#state(sequence), token);
    return this.#guarded(tokens, async () => {
      const texts = this.#textsOf(tokens);
      const held = await this.#decisions.before(texts.sequences);
      const result = await run(texts);
      for (const sequence of texts.sequences) {
        if (this.#text(sequence).policies.some(({ rule }) => rule === undefined))
          await this.#host.evict(sequence);
      }
      await this.#decisions.tellEvicted(held);
      return result;
    });
  }

  #requireSteady(text: CachedSequence, tokens: number): void {
    const { rotary } = this.config;
    if (!rotary) return;
    const seen = Math.max(text.tokensSeen + tokens, text.hasPrompt ? 0 : (text.options.promptTokens ?? 0));
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

  /** Launches that a layer takes in a decode step of one sequence. */
  get layerLaunches(): number {
    return this.#dense.layerSteps + 1;
  }

  /** Empties the sequences of a call that fails. */
  async #guarded<T>(texts: readonly { sequence: number }[], run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      for (const { sequence } of texts) this.release(sequence);
      throw error;
    }
  }

  #textsOf(tokens: readonly SequenceToken[]): DecodeSequences {
    const policies = tokens.flatMap(({ sequence }) => this.#text(sequence).policies);
    return {
      sequences: tokens.map(({ sequence }) => sequence),
      tokens: tokens.map(({ token }) => token),
      isRenumbered: policies.some(({ positions }) => positions === "new"),
      isShared: policies.some(({ scope }) => scope === "shared"),
    };
  }

  #text(sequence: number): CachedSequence {
    requireSequence(sequence, this.maxSequences);
    return requireBegun(this.#caches.at(sequence), sequence);
  }

  #state(sequence: number): SequenceState {
    const { options, policies, most, tokensSeen, hasPrompt, isPartial } = this.#text(sequence);
    const isRenumbered = policies[0]!.positions === "new";
    return {
      options,
      isRenumbered,
      nextPosition: isRenumbered ? most[0]! : tokensSeen,
      hasPrompt,
      isPartial,
    };
  }
}

/**
 * Layers that decide together keep what any of them sees, and the kernels of a step leave out what lies beyond a window
 * by its eviction alone.
 * @throws ParetoError LLM_UNSUPPORTED for such a policy where layers have windows of their own
 */
function requireOneWindow({ layers, slidingWindow }: DecoderConfig, { policies }: SequenceOptions): void {
  const isShared = Array.from({ length: layers }, (_, layer) => policies(layer)).some(
    ({ scope }) => scope === "shared",
  );
  const windows = new Set(Array.from({ length: layers }, (_, layer) => slidingWindow(layer)));
  if (!isShared || windows.size === 1) return;
  throw new ParetoError({
    code: "LLM_UNSUPPORTED",
    where: "KV policy",
    message: `on a GPU layers decide together only where all have the same sliding window, got windows of ${[...windows].join(" and ")}`,
    fix: "Use a policy with scope=layer, or the cpu.",
  });
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
