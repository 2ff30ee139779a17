/**
 * @file A language model in training on a device: its parameters, its optimizer's state, and programs for each shape of
 * batch, compiled when they are first needed.
 *
 * What a step is fed lies in page-locked memory, in two sets that take turns: one may be filled while the device reads
 * the other.
 */
import type { TypedArray } from "../../base/dtype.ts";
import { roundToHalf } from "../../base/half.ts";
import { openDevice } from "../../engine/openDevice.ts";
import type { Device, HostTensors, Precision, Program } from "../../engine/program.ts";
import { Rng } from "../../base/rng.ts";
import { Parameters } from "../../nn/parameters.ts";
import { openCheckpoint, writeCheckpoint } from "../../run/checkpoint.ts";
import type { JsonValue } from "../../run/checkpointManifest.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { decoderOf } from "../models/models.ts";
import { initializerOf } from "./initialWeights.ts";
import type { LmBatch, ScoredText, ValidationGroup } from "./lmData.ts";
import type { Recipe } from "./recipe.ts";
import {
  dropoutCount,
  dropoutKey,
  traceScores,
  traceStep,
  type LmTraining,
  type TextShape,
} from "./traceLm.ts";

const CHECKPOINT = "language-model";
/** Dropout of place k draws from this stream plus k; positions of a step's texts from the other. */
const [DROPOUT_STREAM, POSITION_STREAM] = [0x72000000, 0x75000000];
/** Texts of validation that are scored at once: at most so many tokens. */
const SCORED_TOKENS = 16_384;
/** Shares of training after which, and over which, texts come to begin anywhere. */
const [MOVED_FROM, MOVED_OVER] = [0.4, 0.35];
/** Sets of page-locked arrays. */
const SETS = 2;

/** Where a network computes. */
export interface LmNetworkOptions {
  device: "cpu" | "cuda";
  threads: number;
  precision: Precision;
}

/** A model in training. Its device is its own and goes with it. */
export class LmNetwork {
  readonly config: DecoderConfig;
  readonly parameters: Parameters;
  readonly #device: Device;
  readonly #training: LmTraining;
  readonly #seed: number;
  readonly #programs = new Map<string, Promise<Program>>();
  readonly #feeds = new Map<string, { tensors: HostTensors; loss: Float32Array }[]>();

  private constructor(device: Device, config: DecoderConfig, { optimizer, seed, dropout }: Recipe) {
    this.config = config;
    this.#device = device;
    this.#seed = seed;
    const decoder = decoderOf(config);
    this.parameters = new Parameters(seed);
    for (const [name, shape] of decoder.tensors)
      this.parameters.get(name, shape, initializerOf(name, shape, config));
    const { beta2, weightDecay, gradientNorm } = optimizer;
    this.#training = {
      decoder,
      parameters: this.parameters,
      slots: new Parameters(seed),
      beta2,
      weightDecay,
      gradientNorm,
      dropout,
      hasHalfAttention: device.target === "cuda",
    };
  }

  /** Opens a device and creates initial weights. */
  static async create(
    config: DecoderConfig,
    recipe: Recipe,
    { device: name, threads, precision }: LmNetworkOptions,
  ): Promise<LmNetwork> {
    const device = await openDevice(name, name === "cpu" ? { threads } : { precision });
    try {
      const network = new LmNetwork(device, config, recipe);
      // Tracing declares the optimizer's slots, at any length; nothing is compiled.
      traceStep(network.#training, { texts: 1, length: 8 });
      await network.parameters.create(device);
      await network.#training.slots.create(device);
      return network;
    } catch (error) {
      await device.dispose();
      throw error;
    }
  }

  /**
   * One step of training.
   * @param step from 1; also decides what is dropped and where texts begin
   * @param share of training that lies before it
   * @param fill writes the batch
   * @returns the mean loss before the update
   */
  async train(
    shape: TextShape,
    { step, share, learningRate }: { step: number; share: number; learningRate: number },
    fill: (batch: LmBatch) => void,
  ): Promise<number> {
    const key = `train ${shape.texts} ${shape.length}`;
    const { tensors, loss } = this.#feedsOf(key, shape)[step % SETS]!;
    fill({ tokens: tensors["tokens"] as Int32Array, targets: tensors["targets"] as Int32Array });
    this.#place(tensors["positions"] as Int32Array, shape.length, step, share);
    tensors["learningRate"]![0] = learningRate;
    tensors["step"]![0] = step;
    for (let place = 0; place < dropoutCount(this.#training); place++)
      (tensors[dropoutKey(place)] as Int32Array).set([this.#seed, 0, DROPOUT_STREAM + place, step]);
    const program = await this.#program(key, () => traceStep(this.#training, shape));
    await program.run(tensors, { loss });
    return loss[0]!;
  }

  /** How well a group's texts are predicted, one by one in its order. */
  async score(group: ValidationGroup): Promise<ScoredText[]> {
    const { length, texts } = group;
    const rows = Math.max(1, Math.min(texts, Math.floor(SCORED_TOKENS / length)));
    const program = await this.#program(`score ${rows} ${length}`, () =>
      traceScores(this.#training, { texts: rows, length }),
    );
    const positions = Int32Array.from({ length: rows * length }, (_, i) => i % length);
    const scored: ScoredText[] = [];
    for (let first = 0; first < texts; first += rows) {
      const tokens = new Int32Array(rows * length);
      const targets = new Int32Array(rows * length).fill(-1);
      const count = Math.min(rows, texts - first);
      for (let row = 0; row < count; row++) {
        const [from, to] = [row * length, (row + 1) * length];
        group.fill(first + row, tokens.subarray(from, to), targets.subarray(from, to));
      }
      const { loss, right } = await program.run({ tokens, targets, positions });
      for (let row = 0; row < count; row++) {
        const asked = targets.subarray(row * length, (row + 1) * length).filter((target) => target >= 0);
        scored.push({ loss: loss![row]!, right: right![row]!, tokens: asked.length });
      }
    }
    return scored;
  }

  /** Rounds all weights to bfloat16, as they are saved. */
  async roundWeights(): Promise<void> {
    for (const name of this.parameters.names) {
      const values = await this.readWeight(name);
      roundToHalf("bfloat16", values);
      await this.#device.writeState(name, values);
    }
  }

  /** A parameter's elements. */
  async readWeight(name: string): Promise<Float32Array> {
    return (await this.#device.readState(name)) as Float32Array;
  }

  /** Writes a checkpoint: parameters, optimizer state, and where training stands. */
  async save(directory: string, state: JsonValue): Promise<void> {
    const tensors = [];
    for (const parameters of [this.parameters, this.#training.slots]) {
      for (const name of parameters.names) {
        const values = await this.#device.readState(name);
        tensors.push({
          name,
          dtype: "float32" as const,
          shape: parameters.shapeOf(name),
          chunks: () => [values],
        });
      }
    }
    await writeCheckpoint(directory, { kind: CHECKPOINT, state, tensors });
  }

  /** Loads what {@link save} wrote. @throws ParetoError as `openCheckpoint` */
  async load(directory: string): Promise<JsonValue> {
    const checkpoint = await openCheckpoint(directory, CHECKPOINT);
    try {
      await checkpoint.verify();
      for (const name of [...this.parameters.names, ...this.#training.slots.names])
        await this.#device.writeState(name, await checkpoint.read(name));
      return checkpoint.state;
    } finally {
      await checkpoint.close();
    }
  }

  async dispose(): Promise<void> {
    for (const program of this.#programs.values()) await (await program).dispose();
    await this.#device.dispose();
  }

  /**
   * Where learned positions are, texts begin at 0 while their use is learned, then farther and farther from it, so that
   * short texts teach every position.
   */
  #place(positions: Int32Array, length: number, step: number, share: number): void {
    const rng = new Rng(this.#seed, POSITION_STREAM + step);
    const most = this.config.hasLearnedPositions ? this.config.maxPositions - length : 0;
    const room = Math.floor(most * Math.min(1, Math.max(0, (share - MOVED_FROM) / MOVED_OVER)) ** 2);
    for (let from = 0; from < positions.length; from += length) {
      const first = rng.integer(room + 1);
      for (let i = 0; i < length; i++) positions[from + i] = first + i;
    }
  }

  #feedsOf(key: string, { texts, length }: TextShape): { tensors: HostTensors; loss: Float32Array }[] {
    const known = this.#feeds.get(key);
    if (known) return known;
    const made = Array.from({ length: SETS }, () => {
      const rows = () => new Int32Array(texts * length);
      const tensors: HostTensors = {
        tokens: rows(),
        targets: rows(),
        positions: rows(),
        learningRate: new Float32Array(1),
        step: new Float32Array(1),
      };
      for (let place = 0; place < dropoutCount(this.#training); place++)
        tensors[dropoutKey(place)] = new Int32Array(4);
      const loss = new Float32Array(1);
      const pin = (array: TypedArray) => this.#device.pin?.(array);
      for (const array of [...Object.values(tensors), loss]) pin(array);
      return { tensors, loss };
    });
    this.#feeds.set(key, made);
    return made;
  }

  #program(key: string, graph: () => ReturnType<typeof traceStep>): Promise<Program> {
    let program = this.#programs.get(key);
    if (!program) {
      program = this.#device.compile(graph());
      this.#programs.set(key, program);
    }
    return program;
  }
}
