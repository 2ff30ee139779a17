/**
 * @file A CTR model with everything it learns: dense parameters on a device, embedding rows in tables on the host or
 * in the device's memory. Built from settings and a schema, saved to and loaded from a checkpoint that is the same
 * whatever memory the rows are in.
 */
import type { ClickSchema } from "../data/batches/clickBatch.ts";
import { ParetoError } from "../../base/errors.ts";
import { openDevice } from "../../engine/openDevice.ts";
import type { Device } from "../../engine/program.ts";
import type { CudaDevice } from "../../engine/targets/cuda/index.ts";
import { loadCheckpoint, saveCheckpoint, type Checkpointed } from "../../run/checkpoint.ts";
import type { JsonValue } from "../../base/jsonFile.ts";
import { EmbeddingTables } from "../embedding/embeddingTables.ts";
import { HotEmbeddings, type HotEmbeddingsOptions } from "../embedding/hotEmbeddings.ts";
import type { HotEmbeddingStore } from "../embedding/hotEmbeddingStore.ts";
import { createTables, type TablesRequest } from "../embedding/createTables.ts";
import type { EmbeddingTableStore } from "../embedding/embeddingStore.ts";
import { TableCheckpoint } from "../embedding/tableCheckpoint.ts";
import { DenseModel } from "../models/denseModel.ts";
import { rowFloats } from "../models/features.ts";
import { createModel } from "../models/registry.ts";
import { parseStrategy } from "../strategies/registry.ts";
import { StepPipeline } from "./stepPipeline.ts";
import { checkPlacement, denseOptimizer, sparseOptimizer, type TrainingSettings } from "./settings.ts";

/** The kind of checkpoint that holds a CTR model. */
export const CTR_CHECKPOINT = "ctr-model";

/** How to create a {@link ClickNetwork}. */
interface ClickNetworkOptions {
  /** Most lookups of a batch over all tables. */
  maxLookups: number;
  /** What the model's definition found in the training part. Defaults to null: it needs nothing. */
  prepared?: JsonValue;
  initial?: "uniform" | "zeros";
  /** Opened as the settings say; the network disposes of it. Unless given, it opens one. */
  device?: Device;
}

/** Dense parameters and embedding rows, each with their optimizer state. */
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
   * @throws ParetoError `TRAIN_PLACEMENT`, `CUDA_OUT_OF_MEMORY`, and what opening the device, `createModel` and
   * `parseStrategy` throw
   */
  static async create(
    settings: TrainingSettings,
    schema: ClickSchema,
    { maxLookups, prepared = null, initial = "uniform", ...given }: ClickNetworkOptions,
  ): Promise<ClickNetwork> {
    checkPlacement(settings);
    const { batchSize, seed, threads, strategy, placement = "auto", precision = "float32" } = settings;
    const model = createModel(settings.model, schema, prepared);
    // A missing device is an error before memory is filled.
    const device = given.device ?? (await openDevice(settings.device, { threads, precision }));
    let tables: EmbeddingTableStore | undefined;
    try {
      const request: TablesRequest = {
        cardinalities: schema.categorical.map((field) => field.cardinality),
        dim: rowFloats(model.inputs),
        optimizer: sparseOptimizer(settings.optimizer),
        seed,
        threads,
        stagingBuffers: 2,
        maxBatch: batchSize,
        maxLookups,
        initial,
      };
      tables = await createTables(
        device,
        request,
        parseStrategy(strategy).needsHostRows ? "hybrid" : placement,
      );
      const optimizer = denseOptimizer(settings.optimizer);
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
      message:
        "the strategy needs a network whose rows are on the host, got one whose rows are in device memory",
      fix: "Create the network with the strategy that it will be trained by, or with placement hybrid.",
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
    await saveCheckpoint(directory, { kind: CTR_CHECKPOINT, state, parts: this.#parts });
  }

  /** Loads what {@link save} wrote. @throws ParetoError as `loadCheckpoint` */
  async load(directory: string): Promise<JsonValue> {
    return loadCheckpoint(directory, { kind: CTR_CHECKPOINT, parts: this.#parts });
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

  get #parts(): Checkpointed[] {
    return [this.dense.network, new TableCheckpoint(this.tables)];
  }
}
