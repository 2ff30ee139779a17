/**
 * @file A language model in training on a device: steps over batches of texts, scores of texts, checkpoints.
 *
 * Batches lie in two sets of arrays that take turns: one may be filled while the device reads the other.
 */
import { roundToHalf } from "../../base/half.ts";
import { Rng } from "../../base/rng.ts";
import { openDevice } from "../../engine/openDevice.ts";
import type { Device, Precision } from "../../engine/program.ts";
import type { Parameters } from "../../nn/parameters.ts";
import { loadCheckpoint, saveCheckpoint } from "../../run/checkpoint.ts";
import type { JsonValue } from "../../base/jsonFile.ts";
import { hostArrays } from "../../run/network/hostArrays.ts";
import { Network } from "../../run/network/network.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { decoderOf } from "../models/models.ts";
import type { LmBatch, ScoredText, ValidationGroup } from "./lmData.ts";
import type { Recipe } from "./recipe.ts";
import {
  languageModelLoss,
  languageModelUpdate,
  traceScores,
  type LmTraining,
  type TextShape,
} from "./traceLm.ts";

const CHECKPOINT = "language-model";
/** Positions of step s's texts draw from this stream plus s. */
const POSITION_STREAM = 0x75000000;
/** Texts of validation that are scored at once: at most so many tokens. */
const SCORED_TOKENS = 16_384;
/** Shares of training after which, and over which, texts come to begin anywhere. */
const [MOVED_FROM, MOVED_OVER] = [0.4, 0.35];
/** Sets of arrays for a batch: as many as there may be steps under way. */
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
  readonly #device: Device;
  readonly #network: Network<TextShape>;
  readonly #training: LmTraining;
  readonly #seed: number;
  readonly #batches = new Map<string, BatchArrays[]>();

  private constructor(device: Device, network: Network<TextShape>, training: LmTraining, seed: number) {
    this.config = training.decoder.config;
    this.#device = device;
    this.#network = network;
    this.#training = training;
    this.#seed = seed;
  }

  /** Opens a device and creates initial weights. */
  static async create(
    config: DecoderConfig,
    { optimizer, seed, dropout }: Recipe,
    { device: name, threads, precision }: LmNetworkOptions,
  ): Promise<LmNetwork> {
    const device = await openDevice(name, name === "cpu" ? { threads } : { precision });
    try {
      const decoder = decoderOf(config);
      const training = { decoder, dropout, hasHalfAttention: device.target === "cuda" };
      const network = await Network.create([device], {
        seed,
        training: {
          loss: (shape: TextShape) => languageModelLoss(training, shape),
          update: languageModelUpdate(optimizer),
          smallest: { texts: 1, length: 8 },
        },
      });
      return new LmNetwork(device, network, training, seed);
    } catch (error) {
      await device.dispose();
      throw error;
    }
  }

  /** Names, shapes and initial values. */
  get parameters(): Parameters {
    return this.#network.parameters;
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
    const { tokens, targets, positions, loss } = this.#arraysOf(shape)[step % SETS]!;
    fill({ tokens, targets });
    this.#place(positions, shape.length, step, share);
    const part = { shape, feeds: { tokens, targets, positions }, into: { loss } };
    await this.#network.train([part], { step, learningRate });
    return loss[0]!;
  }

  /** How well a group's texts are predicted, one by one in its order. */
  async score(group: ValidationGroup, signal?: AbortSignal): Promise<ScoredText[]> {
    const { length, texts } = group;
    const rows = Math.max(1, Math.min(texts, Math.floor(SCORED_TOKENS / length)));
    const shape = { texts: rows, length };
    const trace = () => traceScores(this.#training, shape);
    const positions = Int32Array.from({ length: rows * length }, (_, i) => i % length);
    const scored: ScoredText[] = [];
    for (let first = 0; first < texts; first += rows) {
      signal?.throwIfAborted();
      const tokens = new Int32Array(rows * length);
      const targets = new Int32Array(rows * length).fill(-1);
      const count = Math.min(rows, texts - first);
      for (let row = 0; row < count; row++) {
        const [from, to] = [row * length, (row + 1) * length];
        group.fill(first + row, tokens.subarray(from, to), targets.subarray(from, to));
      }
      const feeds = { tokens, targets, positions };
      const { loss, right } = await this.#network.run(`score ${rows} ${length}`, trace, feeds);
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
      await this.#network.writeWeight(name, values);
    }
  }

  /** A parameter's elements. */
  async readWeight(name: string): Promise<Float32Array> {
    return this.#network.readWeight(name);
  }

  /** Writes a checkpoint: parameters, optimizer state, and where training stands. */
  async save(directory: string, state: JsonValue): Promise<void> {
    await saveCheckpoint(directory, { kind: CHECKPOINT, state, parts: [this.#network] });
  }

  /** Loads what {@link save} wrote. @throws ParetoError as `loadCheckpoint` */
  async load(directory: string): Promise<JsonValue> {
    return loadCheckpoint(directory, { kind: CHECKPOINT, parts: [this.#network] });
  }

  async dispose(): Promise<void> {
    await this.#network.dispose();
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

  #arraysOf(shape: TextShape): BatchArrays[] {
    const key = `${shape.texts} ${shape.length}`;
    const known = this.#batches.get(key);
    if (known) return known;
    const made = Array.from({ length: SETS }, () => batchArrays(this.#device, shape));
    this.#batches.set(key, made);
    return made;
  }
}

type BatchArrays = ReturnType<typeof batchArrays>;

/** What a step is fed and gives back. */
function batchArrays(device: Device, { texts, length }: TextShape) {
  const rows = { dtype: "int32", shape: [texts * length] } as const;
  return hostArrays(device, {
    tokens: rows,
    targets: rows,
    positions: rows,
    loss: { dtype: "float32", shape: [] },
  });
}
