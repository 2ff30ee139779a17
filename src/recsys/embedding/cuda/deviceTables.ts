/**
 * @file All embedding tables of a model in GPU memory: the master copy of every row. See {@link DeviceEmbeddings} for how they
 * are gathered and updated.
 */
import { CallQueue, type CudaDevice, fillCall, fillKernel } from "../../../engine/targets/cuda/index.ts";
import { rowFormat, type RowColumn } from "../rowFormat.ts";
import { positive } from "../hostEmbeddings.ts";
import type { EmbeddingTableStore } from "../embeddingStore.ts";
import { checkRange, checkRowsLength, copyRows, type TableRows } from "../rowTransfer.ts";
import { DeviceEmbeddings } from "./deviceEmbeddings.ts";
import {
  compileRowKernels,
  type DeviceEmbeddingsLayout,
  type DeviceEmbeddingsOptions,
  type RowKernels,
} from "./rowKernels.ts";

/** How to create {@link DeviceTables}. */
export interface DeviceTablesOptions extends DeviceEmbeddingsOptions {
  /** Rows of each table. */
  cardinalities: readonly number[];
  /** Of the initial rows, any safe integer ≥ 0. */
  seed: number;
  /** `uniform`: U(-√(1/n), √(1/n)) for a table of n rows (DLRM). `zeros`: for rows about to be loaded. */
  initial?: "uniform" | "zeros";
}

/** GPU memory left for what is not counted: programs, kernels, the driver's own. */
const HEADROOM_BYTES = 512 * 2 ** 20;
/** Share of the free memory that rows may take. */
const HEADROOM_SHARE = 0.9;

/** Embedding tables with their optimizer state, in GPU memory. */
export class DeviceTables extends DeviceEmbeddings implements EmbeddingTableStore {
  readonly cardinalities: readonly number[];
  readonly #firstRows: readonly number[];

  private constructor(options: DeviceTablesOptions, layout: DeviceEmbeddingsLayout, kernels: RowKernels) {
    super(options, layout, kernels);
    this.cardinalities = layout.cardinalities;
    this.#firstRows = layout.firstRows;
  }

  /**
   * Makes tables whose first rows are those of `EmbeddingTables` of the same seed.
   * @throws ParetoError ROWS_OPTIONS, CUDA_OUT_OF_MEMORY, CUDA_COMPILE
   */
  static async create(options: DeviceTablesOptions): Promise<DeviceTables> {
    const { device, dim, seed } = options;
    const cardinalities = options.cardinalities.map((rows) => positive("a table's cardinality", rows));
    const firstRows: number[] = [];
    let rows = 0;
    for (const count of cardinalities) {
      firstRows.push(rows);
      rows += count;
    }
    const layout = { firstRows, cardinalities, rows, rowTables: null, marksChanges: false };
    const kernels = await compileRowKernels(options, layout);
    const fill = fillKernel(positive("dim", dim));
    const queue = await CallQueue.compile(device, [fill]);
    const tables = new DeviceTables(options, layout, kernels);
    await device.inOrder(() => {
      const { stream } = device;
      for (const [i, { stride }] of tables.format.columns.entries()) {
        // The weights' padding must be zeros too.
        if (rows > 0) stream.clear(tables.columns[i]!, 4 * stride * rows);
      }
      if (options.initial === "zeros") return;
      const { stride } = tables.format.columns[0]!;
      for (const [table, count] of cardinalities.entries()) {
        const at = tables.columns[0]! + 4 * stride * firstRows[table]!;
        const bound = Math.sqrt(1 / count);
        queue.launch(stream, [fillCall(fill, dim, { count, table, seed, bound }, at)]);
      }
    });
    return tables;
  }

  readRows(table: number, firstRow: number, count: number): TableRows {
    this.assertUsable();
    checkRange(this.cardinalities[table] ?? 0, firstRow, count);
    const state: TableRows["state"] = {};
    let weights = new Float32Array(0);
    for (const [index, column] of this.format.columns.entries()) {
      const rows = this.#read(index, column, this.#firstRows[table]! + firstRow, count);
      if (column.name === "weights") weights = rows;
      else state[column.name] = rows;
    }
    return { weights, state };
  }

  writeRows(table: number, firstRow: number, rows: TableRows): void {
    this.assertUsable();
    const count = rows.weights.length / this.dim;
    checkRange(this.cardinalities[table] ?? 0, firstRow, count);
    for (const [index, column] of this.format.columns.entries()) {
      const source = column.name === "weights" ? rows.weights : rows.state[column.name];
      if (source === undefined) continue;
      checkRowsLength(column, source.length, count);
      this.#write(index, column, this.#firstRows[table]! + firstRow, count, source);
    }
  }

  #read(index: number, { length, stride }: RowColumn, row: number, count: number): Float32Array<ArrayBuffer> {
    const stored = new Float32Array(count * stride);
    const { stream } = this.device;
    if (count > 0) stream.copyToHost(stored, this.columns[index]! + 4 * stride * row, stored.byteLength);
    stream.synchronize();
    if (length === stride) return stored;
    const rows = new Float32Array(count * length);
    copyRows(rows, length, stored, stride, length, count);
    return rows;
  }

  #write(
    index: number,
    { length, stride }: RowColumn,
    row: number,
    count: number,
    source: Float32Array,
  ): void {
    let stored = source;
    if (length !== stride) {
      stored = new Float32Array(count * stride);
      copyRows(stored, stride, source, length, length, count);
    }
    const { stream } = this.device;
    if (count > 0) stream.copyToDevice(this.columns[index]! + 4 * stride * row, stored, stored.byteLength);
    stream.synchronize();
  }
}

/** What decides the size of {@link DeviceTables}. */
type SizedTables = Pick<
  DeviceTablesOptions,
  "cardinalities" | "dim" | "optimizer" | "stagingBuffers" | "maxBatch"
> & {
  maxLookups: number;
};

/** Whether tables fit the device's free memory, with room for the dense model. */
export function fitsDevice(device: CudaDevice, request: SizedTables): boolean {
  const { cardinalities, dim, optimizer, stagingBuffers, maxBatch, maxLookups } = request;
  const rows = cardinalities.reduce((sum, count) => sum + count, 0);
  const pooledBytes = 4 * cardinalities.length * maxBatch * dim;
  // Beside rows and gradients, a buffer has ids, keys, bags, items and their rows; all share keys, bags, partial sums.
  const stagingBytes = stagingBuffers * (2 * pooledBytes + 24 * maxLookups) + (20 + dim / 8) * maxLookups;
  const bytes = rows * rowFormat(dim, optimizer).storedBytes + stagingBytes;
  return bytes + HEADROOM_BYTES <= HEADROOM_SHARE * device.context.memory().freeBytes;
}
