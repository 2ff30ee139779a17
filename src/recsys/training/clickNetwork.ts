/**
 * @file A CTR model with everything it learns: dense parameters on a device, embedding rows in tables on the host or
 * in the device's memory. Built from settings and a schema, saved to and loaded from a checkpoint that is the same
 * whatever memory the rows are in.
 */
import type { ClickSchema } from "../data/batches/clickBatch.ts";
import type { DType, TypedArray } from "../../base/dtype.ts";
import { ParetoError } from "../../base/errors.ts";
import { openDevice } from "../../engine/openDevice.ts";
import type { Device } from "../../engine/program.ts";
import type { CudaDevice } from "../../engine/targets/cuda/index.ts";
import type { Parameters } from "../../nn/parameters.ts";
import { openCheckpoint, writeCheckpoint, type Checkpoint } from "../../run/checkpoint.ts";
import type { JsonValue } from "../../run/checkpointManifest.ts";
import { EmbeddingTables } from "../embedding/embeddingTables.ts";
import { HotEmbeddings, type HotEmbeddingsOptions } from "../embedding/hotEmbeddings.ts";
import type { HotEmbeddingStore } from "../embedding/hotEmbeddingStore.ts";
import { createTables, type TablesRequest } from "../embedding/createTables.ts";
import type { EmbeddingTableStore } from "../embedding/embeddingStore.ts";
import type { CtrModel } from "../models/ctrModel.ts";
import { DenseModel } from "../models/denseModel.ts";
import { dlrm } from "../models/dlrm.ts";
import { StepPipeline } from "./stepPipeline.ts";
import { checkPlacement, denseOptimizer, sparseOptimizer, type TrainingSettings } from "./settings.ts";

/** The kind of checkpoint that holds a CTR model. */
export const CTR_CHECKPOINT = "ctr-model";
/** Rows copied at a time. */
const CHUNK_ROWS = 65_536;

/** The model that settings and a schema describe. */
export function ctrModel(settings: TrainingSettings, schema: ClickSchema): CtrModel {
  const { dim, bottom, top } = settings;
  return dlrm({ dense: schema.dense.length, tables: schema.categorical.length, dim, bottom, top });
}

/** How to create a {@link ClickNetwork}. */
interface ClickNetworkOptions {
  /** Most lookups of a batch over all tables. */
  maxLookups: number;
  initial?: "uniform" | "zeros";
  /** Opened as the settings say; the network disposes of it. Unless given, it opens one. */
  device?: Device;
}

/** Dense parameters, their slots, and embedding rows. */
export class ClickNetwork {
  readonly device: Device;
  readonly dense: DenseModel;
  readonly tables: EmbeddingTableStore;
  /** Feeds the dense model, in training and prediction; its host arrays are page-locked once. */
  readonly pipeline: StepPipeline;

  private constructor(device: Device, dense: DenseModel, tables: EmbeddingTableStore) {
    this.device = device;
    this.dense = dense;
    this.tables = tables;
    this.pipeline = new StepPipeline(dense);
  }

  /**
   * Builds a network with initial values.
   * @throws ParetoError `TRAIN_PLACEMENT`, `CUDA_OUT_OF_MEMORY`, and what opening the device throws
   */
  static async create(
    settings: TrainingSettings,
    schema: ClickSchema,
    { maxLookups, initial = "uniform", ...given }: ClickNetworkOptions,
  ): Promise<ClickNetwork> {
    checkPlacement(settings);
    const { batchSize, seed, threads, dim, strategy, placement = "auto", precision = "float32" } = settings;
    // A device that is not there is told before memory is filled.
    const device = given.device ?? (await openDevice(settings.device, { threads, precision }));
    let tables: EmbeddingTableStore | undefined;
    try {
      const request: TablesRequest = {
        cardinalities: schema.categorical.map((field) => field.cardinality),
        dim,
        optimizer: sparseOptimizer(settings.optimizer),
        seed,
        threads,
        stagingBuffers: 2,
        maxBatch: batchSize,
        maxLookups,
        initial,
      };
      // FAE's cold rows are the host's.
      tables = await createTables(device, request, strategy === "fae" ? "hybrid" : placement);
      const optimizer = denseOptimizer(settings.optimizer);
      const model = ctrModel(settings, schema);
      const dense = await DenseModel.create(device, model, { batchSize, optimizer, seed });
      return new ClickNetwork(device, dense, tables);
    } catch (error) {
      await tables?.dispose();
      await device.dispose();
      throw error;
    }
  }

  /** The tables, when their rows are on the host. @throws ParetoError `TRAIN_PLACEMENT` */
  get hostTables(): EmbeddingTables {
    if (this.tables instanceof EmbeddingTables) return this.tables;
    throw new ParetoError({
      code: "TRAIN_PLACEMENT",
      where: "ClickNetwork",
      message: "FAE needs a network whose rows are on the host, got one whose rows are in device memory",
      fix: "Create the network with strategy fae, or with placement hybrid.",
    });
  }

  /** Makes FAE's hot rows in the fast memory: that of the GPU, or a compact one of the host. */
  async createHotEmbeddings(options: Omit<HotEmbeddingsOptions, "tables">): Promise<HotEmbeddingStore> {
    const tables = this.hostTables;
    if (this.device.target !== "cuda") return HotEmbeddings.create({ ...options, tables });
    const { DeviceHotEmbeddings } = await import("../embedding/cuda/deviceHotEmbeddings.ts");
    return DeviceHotEmbeddings.create(this.device as CudaDevice, { ...options, tables });
  }

  /** Writes a checkpoint; rows come from the master tables, which must hold their newest values. */
  async save(directory: string, state: JsonValue): Promise<void> {
    const dense = [];
    for (const [parameters, name] of this.#states()) {
      const values = await this.device.readState(name);
      dense.push(tensor(name, parameters.shapeOf(name), () => [values]));
    }
    await writeCheckpoint(directory, {
      kind: CTR_CHECKPOINT,
      state,
      tensors: [...dense, ...this.#tableTensors()],
    });
  }

  /** Loads what {@link save} wrote. @throws ParetoError as `openCheckpoint` */
  async load(directory: string): Promise<JsonValue> {
    const checkpoint = await openCheckpoint(directory, CTR_CHECKPOINT);
    try {
      await checkpoint.verify();
      await this.#restore(checkpoint);
      return checkpoint.state;
    } finally {
      await checkpoint.close();
    }
  }

  async #restore(checkpoint: Checkpoint): Promise<void> {
    for (const [, name] of this.#states()) await this.device.writeState(name, await checkpoint.read(name));
    for (const [table, rows] of this.tables.cardinalities.entries()) {
      for (let first = 0; first < rows; first += CHUNK_ROWS) {
        const count = Math.min(CHUNK_ROWS, rows - first);
        const part = async (column: { name: string; length: number }) =>
          (await checkpoint.read(
            tableTensor(table, column.name),
            first * column.length,
            count * column.length,
          )) as Float32Array;
        const [weights, ...states] = await Promise.all(this.tables.format.columns.map(part));
        const names = this.tables.format.columns.slice(1).map((column) => column.name);
        const state = Object.fromEntries(names.map((name, i) => [name, states[i]!]));
        this.tables.writeRows(table, first, { weights: weights!, state });
      }
    }
  }

  /** Most bytes of GPU memory that were held at once; null on the CPU. */
  get peakGpuBytes(): number | null {
    if (this.device.target !== "cuda") return null;
    return (this.device as CudaDevice).allocator.stats().peakBytes;
  }

  async dispose(): Promise<void> {
    await this.dense.dispose();
    await this.tables.dispose();
    await this.device.dispose();
  }

  #states(): [Parameters, string][] {
    return [this.dense.parameters, this.dense.slots].flatMap((p) =>
      p.names.map((n): [Parameters, string] => [p, n]),
    );
  }

  #tableTensors() {
    const { tables } = this;
    return tables.cardinalities.flatMap((rows, table) =>
      tables.format.columns.map(({ name, length }) =>
        tensor(
          tableTensor(table, name),
          length === 1 && name !== "weights" ? [rows] : [rows, length],
          function* () {
            for (let first = 0; first < rows; first += CHUNK_ROWS) {
              const part = tables.readRows(table, first, Math.min(CHUNK_ROWS, rows - first));
              yield name === "weights" ? part.weights : part.state[name]!;
            }
          },
        ),
      ),
    );
  }
}

/** Name of a table's tensor in a checkpoint: `embedding.3.weight`, `embedding.3.sum`. */
export function tableTensor(table: number, column: string): string {
  return `embedding.${table}.${column === "weights" ? "weight" : column}`;
}

function tensor(name: string, shape: readonly number[], chunks: () => Iterable<TypedArray>) {
  const dtype: DType = "float32";
  return { name, dtype, shape: [...shape], chunks };
}
