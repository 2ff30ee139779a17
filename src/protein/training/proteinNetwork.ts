/**
 * @file A protein network on a device: programs for a few padded lengths over one set of parameters. Programs are
 * compiled when a batch of their length first comes.
 */
import type { TypedArray } from "../../engine/dtype.ts";
import type { Graph } from "../../engine/graph/graph.ts";
import type { Device, HostTensors, Program } from "../../engine/program.ts";
import type { Shape } from "../../engine/shape.ts";
import { Parameters } from "../../nn/parameters.ts";
import { openCheckpoint, writeCheckpoint } from "../../train/checkpoint.ts";
import type { JsonValue } from "../../train/checkpointManifest.ts";
import type { ProteinModel } from "../models/proteinModel.ts";
import type { BucketBatch } from "./bucketedBatches.ts";
import { dropoutKey, tracePrediction, traceTraining } from "./traceProtein.ts";

/** The kind of checkpoint that holds a protein network. */
const CHECKPOINT = "protein-model";
/** Dropout of layer k draws from this stream plus k, apart from those of weights and order. */
const DROPOUT_STREAM = 0x72000000;

/** What a network is built for. */
export interface ProteinNetworkOptions {
  batchSize: number;
  /** Of the initial weights and of dropout. */
  seed: number;
  /** Gradients are scaled down to this joint norm; needed for training only. */
  gradientNorm?: number;
}

/** What is predicted of a batch. */
export interface Predicted {
  /** `[B, C]`. */
  probabilities: Float32Array;
  /** `[B, steps]`, where it was asked for. */
  attention?: Float32Array;
}

/** A compiled network. The device is its own and goes with it. */
export class ProteinNetwork {
  readonly device: Device;
  readonly model: ProteinModel;
  readonly batchSize: number;
  readonly parameters: Parameters;
  readonly #slots: Parameters;
  readonly #seed: number;
  readonly #gradientNorm: number;
  readonly #programs = new Map<string, Promise<Program>>();

  private constructor(
    device: Device,
    model: ProteinModel,
    { batchSize, seed, gradientNorm = 5 }: ProteinNetworkOptions,
  ) {
    this.device = device;
    this.model = model;
    this.batchSize = batchSize;
    this.parameters = new Parameters(seed);
    this.#slots = new Parameters(seed);
    this.#seed = seed;
    this.#gradientNorm = gradientNorm;
  }

  /** Builds a network with initial weights; without `isTraining` it has no optimizer state. */
  static async create(
    device: Device,
    model: ProteinModel,
    options: ProteinNetworkOptions & { isTraining: boolean },
  ): Promise<ProteinNetwork> {
    const network = new ProteinNetwork(device, model, options);
    // Tracing declares the parameters, at any length; nothing is compiled.
    const shape = { batchSize: 1, length: 4 };
    if (options.isTraining) {
      traceTraining(model, shape, network.parameters, network.#slots, network.#gradientNorm);
    } else tracePrediction(model, shape, network.parameters);
    await network.parameters.create(device);
    await network.#slots.create(device);
    return network;
  }

  /** The parameters of a network by name, without a device. */
  static describe(model: ProteinModel): { shapes: Map<string, Shape>; size: number } {
    const parameters = new Parameters(0);
    tracePrediction(model, { batchSize: 1, length: 4 }, parameters);
    const shapes = new Map(parameters.names.map((name) => [name, parameters.shapeOf(name)]));
    return { shapes, size: parameters.size };
  }

  /** Elements of all parameters. */
  get size(): number {
    return this.parameters.size;
  }

  /**
   * One step of training.
   * @param step 1-based; also decides what is dropped
   * @returns the mean loss of the batch, and its logits `[B, C]`, both before the update
   */
  async train(
    { size, length, ids, lengths, labels }: BucketBatch,
    learningRate: number,
    step: number,
  ): Promise<{ loss: number; logits: Float32Array }> {
    const program = await this.#program(`train ${length}`, () =>
      traceTraining(
        this.model,
        { batchSize: this.batchSize, length },
        this.parameters,
        this.#slots,
        this.#gradientNorm,
      ),
    );
    const { loss, logits } = await program.run({
      ids,
      lengths,
      labels,
      count: Float32Array.of(size),
      learningRate: Float32Array.of(learningRate),
      step: Float32Array.of(step),
      ...this.#dropoutKeys(step),
    });
    return { loss: loss![0]!, logits: logits as Float32Array };
  }

  /** The probabilities of a batch. */
  async predict(
    { length, ids, lengths }: Pick<BucketBatch, "length" | "ids" | "lengths">,
    withAttention = false,
  ): Promise<Predicted> {
    const program = await this.#program(`predict ${length} ${withAttention}`, () =>
      tracePrediction(this.model, { batchSize: this.batchSize, length }, this.parameters, withAttention),
    );
    const { probabilities, attention } = await program.run({ ids, lengths });
    return {
      probabilities: probabilities as Float32Array,
      ...(attention && { attention: attention as Float32Array }),
    };
  }

  /** Parameters by name. */
  async readWeights(): Promise<Map<string, Float32Array>> {
    const weights = new Map<string, Float32Array>();
    for (const name of this.parameters.names) {
      weights.set(name, (await this.device.readState(name)) as Float32Array);
    }
    return weights;
  }

  /** Replaces a parameter. */
  async writeWeight(name: string, values: TypedArray): Promise<void> {
    await this.device.writeState(name, values);
  }

  /** Writes a checkpoint: parameters, optimizer state, and where training stands. */
  async save(directory: string, state: JsonValue): Promise<void> {
    const tensors = [];
    for (const parameters of [this.parameters, this.#slots]) {
      for (const name of parameters.names) {
        const values = await this.device.readState(name);
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
      for (const name of [...this.parameters.names, ...this.#slots.names]) {
        await this.device.writeState(name, await checkpoint.read(name));
      }
      return checkpoint.state;
    } finally {
      await checkpoint.close();
    }
  }

  async dispose(): Promise<void> {
    for (const program of this.#programs.values()) await (await program).dispose();
    await this.device.dispose();
  }

  #program(key: string, graph: () => Graph): Promise<Program> {
    let program = this.#programs.get(key);
    if (!program) {
      program = this.device.compile(graph());
      this.#programs.set(key, program);
    }
    return program;
  }

  #dropoutKeys(step: number): HostTensors {
    const [low, high] = [this.#seed | 0, Math.floor(this.#seed / 2 ** 32) | 0];
    return Object.fromEntries(
      Array.from({ length: this.model.dropouts }, (_, layer) => [
        dropoutKey(layer),
        Int32Array.of(low, high, DROPOUT_STREAM + layer, step),
      ]),
    );
  }
}
