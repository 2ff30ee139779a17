/**
 * @file A network in training or in use: parameters, optimizer state and programs over one device or several, which hold
 * the same parameters.
 *
 * A step is one program on one device: gradients and update together. A batch in several parts takes a gradient program
 * for each part, wherever there is a device free for it, then {@link Reduce}, then the same update on every device. Parts
 * may lie on one device too. Results depend on the parts and their order, not on the number of devices.
 *
 * Devices belong to whoever opened them; {@link Network.dispose} frees programs only.
 */
import { totalmem } from "node:os";
import type { TypedArray } from "../../base/dtype.ts";
import type { Graph } from "../../engine/graph/graph.ts";
import type { BoundTensors, Device, HostTensors } from "../../engine/program.ts";
import { invariant, ParetoError } from "../../base/errors.ts";
import { formatBytes } from "../../base/format.ts";
import { Parameters } from "../../nn/parameters.ts";
import type { LossFunction } from "../../nn/training/lossFunction.ts";
import {
  traceGradients,
  traceStep,
  traceUpdate,
  type TrainedStates,
  type UpdateRule,
} from "../../nn/training/traceStep.ts";
import type { CheckpointReader, CheckpointWriter } from "../checkpoint.ts";
import { hostArrays } from "./hostArrays.ts";
import { ProgramCache, type CachedGraph } from "./programCache.ts";
import { sumInOrder, type Reduce } from "./reduce.ts";
import { StepInputs, type StepTime } from "./stepInputs.ts";

/** How a network is trained. @typeParam Shape sizes of a batch, as plain numbers */
export interface NetworkTraining<Shape> {
  /** The loss over a batch, or part of one, of a shape; a program is compiled for each shape that comes. */
  loss: (shape: Shape) => LossFunction;
  update: UpdateRule;
  /** Any shape that the loss can be traced at, which declares parameters. */
  smallest: Shape;
  /** Of gradients. Defaults to {@link sumInOrder}; one that is given is called for batches of one part too. */
  reduce?: Reduce;
}

/** What a network is made of. */
export type NetworkOptions<Shape> = {
  /** Of initial weights and of dropout, any safe integer ≥ 0. */
  seed: number;
  /** Weights by name; parameters that are missing get initial values. Defaults to none. */
  weights?: ReadonlyMap<string, TypedArray>;
} & (
  | { training: NetworkTraining<Shape> }
  /** Without optimizer state; what is traced declares the parameters. */
  | { declare: (parameters: Parameters) => unknown }
);

/** A part of a batch. */
export interface BatchPart<Shape> {
  shape: Shape;
  /** Inputs of the loss function. */
  feeds: BoundTensors;
  /** What receives outputs, by name; other outputs are returned in new arrays. */
  into?: BoundTensors;
}

/** How {@link Network.run} runs a graph. */
export interface RunOptions {
  into?: BoundTensors;
  /** Place of the device. Defaults to each in turn. */
  device?: number;
}

/** Parameters, optimizer state and programs. */
export class Network<Shape extends object> {
  readonly devices: readonly Device[];
  readonly parameters: Parameters;
  /** Empty for a network that is not trained. */
  readonly optimizerState: Parameters;
  readonly #training: NetworkTraining<Shape> | undefined;
  readonly #programs: ProgramCache;
  readonly #stepInputs: StepInputs;
  /** Gradients of each part of a batch, then their sum. */
  readonly #gradients: Float32Array[] = [];
  /** Steps that others must wait for, of several parts or with a program to compile, and the last of them. */
  #queuedSteps = 0;
  #lastStep: Promise<unknown> = Promise.resolve();
  #nextDevice = 0;

  private constructor(devices: readonly Device[], options: NetworkOptions<Shape>) {
    const { seed } = options;
    this.devices = devices;
    this.parameters = new Parameters(seed);
    this.optimizerState = new Parameters(seed);
    this.#programs = new ProgramCache(devices);
    if ("declare" in options) {
      options.declare(this.parameters);
      this.#stepInputs = new StepInputs(devices[0]!, seed, 0);
      return;
    }
    this.#training = options.training;
    const { loss, update, smallest } = options.training;
    const smallestLoss = loss(smallest);
    // Tracing declares the parameters and the optimizer's state; nothing is compiled.
    traceStep(smallestLoss, update, this.#states);
    this.#stepInputs = new StepInputs(devices[0]!, seed, smallestLoss.dropouts ?? 0);
  }

  /**
   * Builds a network with initial weights, or those that are given.
   * @param devices one or more, of one target; they stay open when the network is disposed of
   * @throws ParetoError `NETWORK_MEMORY` before any is taken, for more than this machine has
   */
  static async create<Shape extends object>(
    devices: readonly Device[],
    options: NetworkOptions<Shape>,
  ): Promise<Network<Shape>> {
    const network = new Network(devices, options);
    const { parameters, optimizerState } = network;
    requireMemory(4 * (parameters.size + optimizerState.size));
    for (const device of devices) {
      for (const [name, values] of options.weights ?? []) {
        await device.createState(name, { shape: parameters.shapeOf(name), dtype: "float32" }, values);
      }
      await parameters.create(device);
      await optimizerState.create(device);
    }
    return network;
  }

  /** Elements of all parameters. */
  get size(): number {
    return this.parameters.size;
  }

  /**
   * One step of training over a batch in one part or more, whose losses add up to the batch's. Steps update in the
   * order that they are asked for: at most one of several parts computes at a time, and while a program is compiled,
   * the steps behind it wait.
   *
   * A step of one part whose program is compiled is asked for on the device before this returns, so that what is asked
   * for next comes after it.
   * @returns `loss` and the other outputs of each part, of before the update
   */
  train(parts: readonly BatchPart<Shape>[], time: StepTime): Promise<HostTensors[]> {
    const [part] = parts;
    const isWhole = part !== undefined && parts.length === 1 && !this.#trainingOf().reduce;
    if (isWhole && this.#queuedSteps === 0 && this.#isCompiled(part.shape))
      return this.#trainWhole(part, time);
    this.#queuedSteps++;
    const done = this.#lastStep
      .then(() => (isWhole ? this.#trainWhole(part, time) : this.#trainParts(parts, time)))
      .finally(() => this.#queuedSteps--);
    this.#lastStep = done.catch(() => undefined);
    return done;
  }

  #isCompiled(shape: Shape): boolean {
    return this.devices.every((_, device) => this.#programs.isCompiled(this.#step(device, shape)));
  }

  /** Compiles the program of a step of one part ahead of the first. */
  async compile(shape: Shape): Promise<void> {
    await Promise.all(this.devices.map((_, device) => this.#programs.compile(this.#step(device, shape))));
  }

  /**
   * Runs another graph over the parameters, such as a prediction; compiled when its key first comes.
   * @param key names the graph, its shape included
   */
  run(
    key: string,
    trace: () => Graph,
    feeds: BoundTensors,
    { into, device = this.#nextDevice++ % this.devices.length }: RunOptions = {},
  ): Promise<HostTensors> {
    return this.#programs.run({ device, key, trace }, feeds, into);
  }

  /** A copy of a parameter's elements, or of optimizer state. */
  async readWeight(name: string): Promise<Float32Array> {
    return (await this.devices[0]!.readState(name)) as Float32Array;
  }

  /** Replaces a parameter, or optimizer state, on every device. */
  async writeWeight(name: string, values: TypedArray): Promise<void> {
    for (const device of this.devices) await device.writeState(name, values);
  }

  /** Adds parameters and optimizer state to a checkpoint. */
  save(writer: CheckpointWriter): void {
    for (const states of [this.parameters, this.optimizerState]) {
      for (const name of states.names) {
        const read = () => this.readWeight(name);
        writer.add({
          name,
          dtype: "float32",
          shape: states.shapeOf(name),
          async *chunks() {
            yield await read();
          },
        });
      }
    }
  }

  /** Replaces parameters and optimizer state by those of a checkpoint. @throws ParetoError `CHECKPOINT_TENSOR` */
  async load(reader: CheckpointReader): Promise<void> {
    for (const states of [this.parameters, this.optimizerState])
      for (const name of states.names) {
        reader.requireShape(name, states.shapeOf(name));
        await this.writeWeight(name, await reader.read(name));
      }
  }

  /** Frees the programs; devices and their states stay. */
  async dispose(): Promise<void> {
    await this.#programs.dispose();
  }

  get #states(): TrainedStates {
    return { parameters: this.parameters, optimizerState: this.optimizerState };
  }

  #trainingOf(): NetworkTraining<Shape> {
    invariant(this.#training, "a network that is trained was created with `training`");
    return this.#training;
  }

  #step(device: number, shape: Shape): CachedGraph {
    const { loss, update } = this.#trainingOf();
    const trace = () => traceStep(loss(shape), update, this.#states);
    return { device, key: `step ${JSON.stringify(shape)}`, trace };
  }

  async #trainWhole({ shape, feeds, into }: BatchPart<Shape>, time: StepTime): Promise<HostTensors[]> {
    const arrays = this.#stepInputs.acquire(time, 1);
    const { rates, keys } = arrays;
    // Were there several devices, all would do the same.
    const runs = this.devices.map((_, device) =>
      this.#programs.run(
        this.#step(device, shape),
        { ...feeds, ...rates, ...keys[0] },
        device === 0 ? into : undefined,
      ),
    );
    const [outputs] = await Promise.all(runs);
    this.#stepInputs.release(arrays);
    return [outputs!];
  }

  /** Gradients of the parts on all devices, their sum, and the same update on each device. */
  async #trainParts(parts: readonly BatchPart<Shape>[], time: StepTime): Promise<HostTensors[]> {
    const { loss, update, reduce = sumInOrder } = this.#trainingOf();
    const arrays = this.#stepInputs.acquire(time, parts.length);
    const { rates, keys } = arrays;
    while (this.#gradients.length < parts.length + 1) this.#gradients.push(this.#gradientArray());
    const graphs = parts.map(({ shape }, i): CachedGraph => {
      const trace = () => traceGradients(loss(shape), this.parameters);
      return { device: i % this.devices.length, key: `gradients ${JSON.stringify(shape)}`, trace };
    });
    // Parts are asked for in their order, also when a program is new: the padding of a part may lie where the next writes.
    await Promise.all(graphs.map((graph) => this.#programs.compile(graph)));
    const outputs = await Promise.all(
      parts.map(async ({ feeds, into }, i) => {
        const { gradients: _, ...found } = await this.#programs.run(
          graphs[i]!,
          { ...feeds, ...keys[i] },
          { ...into, gradients: this.#gradients[i]! },
        );
        return found;
      }),
    );
    const sum = this.#gradients[parts.length]!;
    await reduce(this.#gradients.slice(0, parts.length), sum);
    const trace = () => traceUpdate(update, this.#states);
    await Promise.all(
      this.devices.map((_, device) =>
        this.#programs.run({ device, key: "update", trace }, { gradients: sum, ...rates }),
      ),
    );
    this.#stepInputs.release(arrays);
    return outputs;
  }

  #gradientArray(): Float32Array {
    return hostArrays(this.devices[0]!, { gradients: { dtype: "float32", shape: [this.size] } }).gradients;
  }
}

/** Initial values are made on the host, whatever the device. @throws ParetoError `NETWORK_MEMORY` */
function requireMemory(bytes: number): void {
  const memory = totalmem();
  if (bytes <= memory) return;
  throw new ParetoError({
    code: "NETWORK_MEMORY",
    where: "network",
    message: `parameters and optimizer state must fit in memory, ${formatBytes(memory)} here, got ${formatBytes(bytes)}`,
    fix: "Choose smaller widths or fewer layers.",
  });
}
