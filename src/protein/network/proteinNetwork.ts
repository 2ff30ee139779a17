/**
 * @file A protein network on its devices: steps over batches, which several devices share by rows, predictions,
 * checkpoints.
 */
import type { Device } from "../../engine/program.ts";
import type { Parameters } from "../../nn/parameters.ts";
import { loadCheckpoint, saveCheckpoint } from "../../run/checkpoint.ts";
import type { JsonValue } from "../../base/jsonFile.ts";
import { Network, type BatchPart } from "../../run/network/network.ts";
import type { ProteinModel } from "../models/proteinModel.ts";
import type { BucketBatch } from "./bucketedBatches.ts";
import type { Replicas } from "./replicas.ts";
import {
  PROTEIN_UPDATE,
  proteinLoss,
  SMALLEST_BATCH,
  tracePrediction,
  type BatchShape,
} from "./traceProtein.ts";

/** The kind of checkpoint that holds a protein network. */
const CHECKPOINT = "protein-model";

/** What a network is built for. */
export interface ProteinNetworkOptions {
  /** Of the initial weights and of dropout. */
  seed: number;
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

/** A network in training or in use. Its devices are its own and go with it. */
export class ProteinNetwork {
  readonly model: ProteinModel;
  /** Rows of a batch to be predicted. */
  readonly partRows: number;
  readonly #devices: readonly Device[];
  readonly #network: Network<BatchShape>;

  private constructor({ devices, partRows }: Replicas, model: ProteinModel, network: Network<BatchShape>) {
    this.#devices = devices;
    this.partRows = partRows;
    this.model = model;
    this.#network = network;
  }

  /** Builds a network with initial weights, or those that are given. */
  static async create(
    replicas: Replicas,
    model: ProteinModel,
    { seed, hasDecoys = false, isTraining, weights }: ProteinNetworkOptions,
  ): Promise<ProteinNetwork> {
    const network = await Network.create(replicas.devices, {
      seed,
      ...(weights && { weights }),
      ...(isTraining
        ? {
            training: {
              loss: (shape: BatchShape) => proteinLoss(model, shape, hasDecoys),
              update: PROTEIN_UPDATE,
              smallest: SMALLEST_BATCH,
            },
          }
        : { declare: (parameters: Parameters) => tracePrediction(model, SMALLEST_BATCH, parameters) }),
    });
    return new ProteinNetwork(replicas, model, network);
  }

  /** Names, shapes and initial values. */
  get parameters(): Parameters {
    return this.#network.parameters;
  }

  /** Elements of all parameters. */
  get size(): number {
    return this.#network.size;
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
    const rows = batch.lengths.length;
    const { partRows, model } = this;
    const outputs = await this.#network.train(batchParts(batch, partRows), { step, learningRate });
    if (outputs.length === 1)
      return { loss: outputs[0]!["loss"]![0]!, logits: outputs[0]!["logits"] as Float32Array };
    const logits = new Float32Array(rows * model.classes);
    for (const [part, found] of outputs.entries()) {
      const from = part * partRows;
      const count = Math.min(partRows, rows - from);
      logits.set((found["logits"] as Float32Array).subarray(0, count * model.classes), from * model.classes);
    }
    return { loss: outputs.reduce((sum, { loss }) => sum + loss![0]!, 0), logits };
  }

  /** Memory for batches that come again and again: shared with a device's threads where that saves copies. */
  hostBuffer(sizeBytes: number): ArrayBuffer | SharedArrayBuffer {
    const isShared = this.#devices[0]!.target === "cpu";
    return isShared ? new SharedArrayBuffer(sizeBytes) : new ArrayBuffer(sizeBytes);
  }

  /**
   * The probabilities of a batch of {@link partRows} rows, on whichever device's turn it is.
   * @param into receives the probabilities, `[B, C]`. Defaults to a new array
   */
  async predict(
    { length, ids, lengths }: Pick<BucketBatch, "length" | "ids" | "lengths">,
    withAttention = false,
    into?: Float32Array,
  ): Promise<Predicted> {
    const shape = { batchSize: this.partRows, length };
    const { probabilities, attention } = await this.#network.run(
      `predict ${length} ${withAttention}`,
      () => tracePrediction(this.model, shape, this.parameters, withAttention),
      { ids, lengths },
      into && { into: { probabilities: into } },
    );
    return {
      probabilities: probabilities as Float32Array,
      ...(attention && { attention: attention as Float32Array }),
    };
  }

  /** A parameter's elements. */
  readWeight(name: string): Promise<Float32Array> {
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
    for (const device of this.#devices) await device.dispose();
  }
}

/** A batch in parts of `partRows` rows each, the last one padded; a batch of fewer rows is one part as it is. */
function batchParts(
  { size, length, ids, lengths, labels }: BucketBatch,
  partRows: number,
): BatchPart<BatchShape>[] {
  const rows = lengths.length;
  const count = Float32Array.of(size);
  if (rows <= partRows) {
    return [{ shape: { batchSize: rows, length }, feeds: { ids, lengths, labels, count } }];
  }
  return Array.from({ length: Math.ceil(rows / partRows) }, (_, part) => {
    const [from, to] = [part * partRows, Math.min(rows, (part + 1) * partRows)];
    return {
      shape: { batchSize: partRows, length },
      feeds: {
        ids: padded(ids.slice(from * length, to * length), partRows * length, 0),
        lengths: padded(lengths.slice(from, to), partRows, 1),
        labels: padded(labels.slice(from, to), partRows, -1),
        count,
      },
    };
  });
}

/** An array of this length, what it lacks filled up. */
function padded(values: Int32Array, length: number, filling: number): Int32Array {
  if (values.length === length) return values;
  const all = new Int32Array(length).fill(filling);
  all.set(values);
  return all;
}
