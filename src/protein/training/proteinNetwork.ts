/**
 * @file A protein network on its devices: programs for a few padded lengths over one set of parameters. Programs are
 * compiled when a batch of their length first comes.
 */
import type { TypedArray } from "../../base/dtype.ts";
import type { Graph } from "../../engine/graph/graph.ts";
import type { Device, HostTensors, Program } from "../../engine/program.ts";
import type { Shape } from "../../base/shape.ts";
import { Parameters } from "../../nn/parameters.ts";
import { openCheckpoint, writeCheckpoint } from "../../run/checkpoint.ts";
import type { JsonValue } from "../../run/checkpointManifest.ts";
import type { ProteinModel } from "../models/proteinModel.ts";
import type { BucketBatch } from "./bucketedBatches.ts";
import type { Replicas } from "./replicas.ts";
import {
  dropoutKey,
  traceGradients,
  tracePrediction,
  traceTraining,
  traceUpdate,
  type TrainedStates,
} from "./traceProtein.ts";

/** The kind of checkpoint that holds a protein network. */
const CHECKPOINT = "protein-model";
/** Dropout of layer k draws from this stream plus k, apart from those of weights and order; each part has its own. */
const DROPOUT_STREAM = 0x72000000;
const PART_STREAMS = 16;

/** What a network is built for. */
export interface ProteinNetworkOptions {
  /** Of the initial weights and of dropout. */
  seed: number;
  /** Gradients are scaled down to this joint norm; needed for training only. */
  gradientNorm?: number;
  /** Whether batches of training hold decoys; they are taken for padding otherwise. */
  hasDecoys?: boolean;
  /** Whether it has optimizer state. */
  isTraining: boolean;
  /** Weights by name; those that are missing get initial values. */
  weights?: ReadonlyMap<string, Float32Array>;
}

/** What is predicted of a batch. */
export interface Predicted {
  /** `[B, C]`. */
  probabilities: Float32Array;
  /** `[B, steps]`, where it was asked for. */
  attention?: Float32Array;
}

/** What a step answers, of before its update. */
export interface TrainedStep {
  /** Mean over the batch. */
  loss: number;
  /** `[B, C]`. */
  logits: Float32Array;
}

const shared = (length: number) => new Float32Array(new SharedArrayBuffer(4 * length));

/** A compiled network. Its devices are its own and go with it. */
export class ProteinNetwork {
  readonly model: ProteinModel;
  readonly parameters: Parameters;
  /** Rows of a batch to be predicted. */
  readonly partRows: number;
  readonly #devices: readonly Device[];
  readonly #states: TrainedStates;
  readonly #seed: number;
  readonly #programs = new Map<string, Promise<Program>>();
  /** Gradients of each part of a batch, then their sum. */
  readonly #gradients: Float32Array[] = [];
  #lastStep: Promise<unknown> = Promise.resolve();
  #nextDevice = 0;

  private constructor(
    { devices, partRows }: Replicas,
    model: ProteinModel,
    { seed, gradientNorm = 5, hasDecoys = false }: ProteinNetworkOptions,
  ) {
    this.#devices = devices;
    this.partRows = partRows;
    this.model = model;
    this.parameters = new Parameters(seed);
    this.#states = { parameters: this.parameters, slots: new Parameters(seed), gradientNorm, hasDecoys };
    this.#seed = seed;
  }

  /** Builds a network with initial weights, or those that are given. */
  static async create(
    replicas: Replicas,
    model: ProteinModel,
    options: ProteinNetworkOptions,
  ): Promise<ProteinNetwork> {
    const network = new ProteinNetwork(replicas, model, options);
    // Tracing declares the parameters, at any length; nothing is compiled.
    const shape = { batchSize: 1, length: 4 };
    if (options.isTraining) traceTraining(model, shape, network.#states);
    else tracePrediction(model, shape, network.parameters);
    for (const device of network.#devices) {
      for (const [name, values] of options.weights ?? []) {
        await device.createState(name, { shape: network.parameters.shapeOf(name), dtype: "float32" }, values);
      }
      await network.parameters.create(device);
      await network.#states.slots.create(device);
    }
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

  /** How many batches may be asked for at once before some wait. */
  get parallelism(): number {
    return this.#devices.length;
  }

  /**
   * One step of training.
   * @param step 1-based; also decides what is dropped
   */
  async train(batch: BucketBatch, learningRate: number, step: number): Promise<TrainedStep> {
    if (batch.lengths.length <= this.partRows) return this.#trainWhole(batch, learningRate, step);
    // A device runs in the order that it is asked in; several have to wait for each other's update.
    const done = this.#lastStep.then(() => this.#trainParts(batch, learningRate, step));
    this.#lastStep = done.catch(() => undefined);
    return done;
  }

  async #trainWhole(batch: BucketBatch, learningRate: number, step: number): Promise<TrainedStep> {
    const { size, length, ids, lengths, labels } = batch;
    const shape = { batchSize: lengths.length, length };
    // Were there several devices, all would do the same.
    const runs = this.#devices.map(async (device, d) => {
      const program = await this.#program(d, `train ${lengths.length} ${length}`, () =>
        traceTraining(this.model, shape, this.#states),
      );
      return program.run({
        ids,
        lengths,
        labels,
        count: Float32Array.of(size),
        learningRate: Float32Array.of(learningRate),
        step: Float32Array.of(step),
        ...this.#dropoutKeys(step, 0),
      });
    });
    const [{ loss, logits }] = (await Promise.all(runs)) as [HostTensors];
    return { loss: loss![0]!, logits: logits as Float32Array };
  }

  /** Gradients of the parts on all devices, their sum in the order of the parts, and the same update on each device. */
  async #trainParts(batch: BucketBatch, learningRate: number, step: number): Promise<TrainedStep> {
    const { size, length, ids, lengths, labels } = batch;
    const { partRows, model } = this;
    const rows = lengths.length;
    const parts = Math.ceil(rows / partRows);
    while (this.#gradients.length < parts + 1) this.#gradients.push(shared(this.size));
    const logits = new Float32Array(rows * model.classes);
    const losses = new Float64Array(parts);
    const runPart = async (part: number): Promise<void> => {
      const device = part % this.#devices.length;
      const program = await this.#program(device, `gradients ${length}`, () =>
        traceGradients(model, { batchSize: partRows, length }, this.#states),
      );
      const [from, to] = [part * partRows, Math.min(rows, (part + 1) * partRows)];
      const found = await program.run(
        {
          ids: padded(ids.slice(from * length, to * length), partRows * length, 0),
          lengths: padded(lengths.slice(from, to), partRows, 1),
          labels: padded(labels.slice(from, to), partRows, -1),
          count: Float32Array.of(size),
          ...this.#dropoutKeys(step, part),
        },
        { gradients: this.#gradients[part]! },
      );
      losses[part] = found["loss"]![0]!;
      logits.set(found["logits"]!.subarray(0, (to - from) * model.classes), from * model.classes);
    };
    await Promise.all(Array.from({ length: parts }, (_, part) => runPart(part)));
    const sum = this.#gradients[parts]!;
    addUp(this.#gradients.slice(0, parts), sum);
    const updates = this.#devices.map(async (_, d) => {
      const program = await this.#program(d, "update", () => traceUpdate(this.#states));
      await program.run({
        gradients: sum,
        learningRate: Float32Array.of(learningRate),
        step: Float32Array.of(step),
      });
    });
    await Promise.all(updates);
    return { loss: losses.reduce((a, b) => a + b, 0), logits };
  }

  /** Memory for batches that come again and again: shared with a device's threads where that saves copies. */
  hostBuffer(sizeBytes: number): ArrayBuffer | SharedArrayBuffer {
    const isShared = this.#devices[0]!.target === "cpu";
    return isShared ? new SharedArrayBuffer(sizeBytes) : new ArrayBuffer(sizeBytes);
  }

  /**
   * The probabilities of a batch of {@link partRows} rows, on whichever device's turn it is.
   * @param into receives the probabilities, `[B, C]`; a new array unless told
   */
  async predict(
    { length, ids, lengths }: Pick<BucketBatch, "length" | "ids" | "lengths">,
    withAttention = false,
    into?: Float32Array,
  ): Promise<Predicted> {
    const device = this.#nextDevice++ % this.#devices.length;
    const shape = { batchSize: this.partRows, length };
    const program = await this.#program(device, `predict ${length} ${withAttention}`, () =>
      tracePrediction(this.model, shape, this.parameters, withAttention),
    );
    const receivers = into && { probabilities: into };
    const { probabilities, attention } = await program.run({ ids, lengths }, receivers);
    return {
      probabilities: probabilities as Float32Array,
      ...(attention && { attention: attention as Float32Array }),
    };
  }

  /** Parameters by name. */
  async readWeights(): Promise<Map<string, Float32Array>> {
    const weights = new Map<string, Float32Array>();
    for (const name of this.parameters.names) {
      weights.set(name, (await this.#devices[0]!.readState(name)) as Float32Array);
    }
    return weights;
  }

  /** Replaces a parameter. */
  async writeWeight(name: string, values: TypedArray): Promise<void> {
    for (const device of this.#devices) await device.writeState(name, values);
  }

  /** Writes a checkpoint: parameters, optimizer state, and where training stands. */
  async save(directory: string, state: JsonValue): Promise<void> {
    const tensors = [];
    for (const parameters of [this.parameters, this.#states.slots]) {
      for (const name of parameters.names) {
        const values = await this.#devices[0]!.readState(name);
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
      for (const name of [...this.parameters.names, ...this.#states.slots.names]) {
        await this.writeWeight(name, await checkpoint.read(name));
      }
      return checkpoint.state;
    } finally {
      await checkpoint.close();
    }
  }

  async dispose(): Promise<void> {
    for (const program of this.#programs.values()) await (await program).dispose();
    for (const device of this.#devices) await device.dispose();
  }

  #program(device: number, name: string, graph: () => Graph): Promise<Program> {
    const key = `${device} ${name}`;
    let program = this.#programs.get(key);
    if (!program) {
      program = this.#devices[device]!.compile(graph());
      this.#programs.set(key, program);
    }
    return program;
  }

  #dropoutKeys(step: number, part: number): HostTensors {
    const [low, high] = [this.#seed | 0, Math.floor(this.#seed / 2 ** 32) | 0];
    return Object.fromEntries(
      Array.from({ length: this.model.dropouts }, (_, layer) => [
        dropoutKey(layer),
        Int32Array.of(low, high, DROPOUT_STREAM + PART_STREAMS * part + layer, step),
      ]),
    );
  }
}

/** An array of this length, what it lacks filled up. */
function padded(values: Int32Array, length: number, filling: number): Int32Array {
  if (values.length === length) return values;
  const all = new Int32Array(length).fill(filling);
  all.set(values);
  return all;
}

/** Sums arrays element by element, in their order. */
function addUp(parts: readonly Float32Array[], sum: Float32Array): void {
  sum.set(parts[0]!);
  for (const part of parts.slice(1)) for (let i = 0; i < sum.length; i++) sum[i]! += part[i]!;
}
