/**
 * @file FAE's hot copy in GPU memory. A {@link HotEmbeddings} on the host is its mirror: a sync goes through it, so that rows
 * and their optimizer state cross the bus as whole blocks, and tables and mirror exchange changed rows only.
 *
 * While the tables own the rows the mirror and the GPU hold the same rows; a sync therefore may copy more rows than
 * have changed, bit for bit what copying exactly those, or all, would give.
 */
import type { Lookups } from "../../data/batches/clickBatch.ts";
import type { CudaDevice } from "../../../engine/targets/cuda/index.ts";
import { HotEmbeddings, type HotEmbeddingsOptions } from "../hotEmbeddings.ts";
import type { HotEmbeddingStore, SyncReport } from "../hotEmbeddingStore.ts";
import { checkRowsLength, copyRows } from "../rowTransfer.ts";
import { DeviceEmbeddings } from "./deviceEmbeddings.ts";
import {
  compileRowKernels,
  type DeviceEmbeddingsLayout,
  type DeviceEmbeddingsOptions,
  type RowKernels,
} from "./rowKernels.ts";

/** Rows that cross the bus together. */
const BLOCK_ROWS = 1024;
/** The marks of a block in which no row has changed. */
const NO_ROWS = new Uint8Array(BLOCK_ROWS);

/** The compact copy of hot rows in GPU memory; ids of its lookups are hot indices. */
export class DeviceHotEmbeddings extends DeviceEmbeddings implements HotEmbeddingStore {
  readonly size: number;
  readonly #mirror: HotEmbeddings;
  readonly #poison: boolean;

  private constructor(
    options: DeviceEmbeddingsOptions,
    layout: DeviceEmbeddingsLayout,
    kernels: RowKernels,
    mirror: HotEmbeddings,
    poison: boolean,
  ) {
    super(options, layout, kernels);
    this.#mirror = mirror;
    this.size = layout.rows;
    this.#poison = poison;
  }

  /**
   * Makes a hot copy of some rows of `tables`. It holds nothing until the first `syncIn`.
   * @throws ParetoError as `HotEmbeddings.create`; CUDA_OUT_OF_MEMORY, CUDA_COMPILE
   */
  static async create(device: CudaDevice, options: HotEmbeddingsOptions): Promise<DeviceHotEmbeddings> {
    const { tables, stagingBuffers, maxBatch, maxLookups, poison = false } = options;
    const mirror = await HotEmbeddings.create({ ...options, stagingBuffers: 1, maxBatch: 1, maxLookups: 1 });
    try {
      const rowsOptions = {
        device,
        dim: tables.dim,
        optimizer: tables.optimizer,
        stagingBuffers,
        maxBatch,
        ...(maxLookups !== undefined && { maxLookups }),
      };
      const layout = {
        firstRows: tables.cardinalities.map(() => 0),
        cardinalities: tables.cardinalities.map(() => mirror.size),
        rows: mirror.size,
        rowTables: mirror.tableOfRow,
        marksChanges: true,
      };
      const kernels = await compileRowKernels(rowsOptions, layout);
      const hot = new DeviceHotEmbeddings(rowsOptions, layout, kernels, mirror, poison);
      const { columns, changed } = mirror.mirror();
      for (const array of [...columns, changed]) device.pin(array);
      if (poison) await hot.#fillWithNaN();
      return hot;
    } catch (error) {
      await mirror.dispose();
      throw error;
    }
  }

  get owner(): "tables" | "hot" {
    return this.#mirror.owner;
  }

  /** @throws ParetoError HOT_EMBEDDINGS_STALE before `syncIn`, and what {@link DeviceEmbeddings.stage} throws */
  override async stage(buffer: number, ...parts: readonly Lookups[]): Promise<void> {
    this.#mirror.assertFresh();
    await super.stage(buffer, ...parts);
  }

  /** @throws ParetoError HOT_EMBEDDINGS_STALE after `syncOut`, when the change would be lost */
  override async update(buffer: number, learningRate: number, step: number): Promise<void> {
    this.#mirror.assertFresh();
    await super.update(buffer, learningRate, step);
  }

  async syncIn(copy: "changed" | "all" = "changed"): Promise<SyncReport> {
    const start = performance.now();
    const { rows } = await this.#mirror.syncIn(copy);
    const { arrived } = this.#mirror.mirror();
    const bytes = await this.#copyBlocks("in", (from, to) => {
      // Comparing whole blocks is far faster than looking at bytes.
      const block = Buffer.from(arrived.buffer, arrived.byteOffset + from, to - from);
      return !block.equals(NO_ROWS.subarray(0, to - from));
    });
    const { changeMark } = this.#mirror;
    // The bytes of old periods would come round again.
    if (changeMark < this.mark) this.device.stream.clear(this.changed!, this.size);
    this.mark = changeMark;
    return { rows, bytes, seconds: (performance.now() - start) / 1000 };
  }

  async syncOut(copy: "changed" | "all" = "changed"): Promise<SyncReport> {
    const start = performance.now();
    this.#mirror.assertSyncOut();
    const { changed } = this.#mirror.mirror();
    const { stream } = this.device;
    await this.device.inOrder(() => {
      stream.copyToHost(changed, this.changed!, changed.byteLength);
      return this.device.finished();
    });
    const isAll = copy === "all" || this.#poison;
    const bytes = await this.#copyBlocks(
      "out",
      (from, to) => isAll || changed.subarray(from, to).includes(this.mark),
    );
    const { rows } = await this.#mirror.syncOut(copy);
    if (this.#poison) await this.#fillWithNaN();
    return { rows, bytes: bytes + changed.byteLength, seconds: (performance.now() - start) / 1000 };
  }

  async readWeights(into: Float32Array): Promise<void> {
    this.#mirror.assertFresh();
    const [column] = this.format.columns;
    checkRowsLength(column!, into.length, this.size);
    const rows = new Float32Array(this.size * column!.stride);
    await this.device.inOrder(() => {
      this.device.stream.copyToHost(rows, this.columns[0]!, rows.byteLength);
      return this.device.finished();
    });
    copyRows(into, column!.length, rows, column!.stride, column!.length, this.size);
  }

  override async dispose(): Promise<void> {
    await super.dispose();
    await this.#mirror.dispose();
  }

  /** Copies the blocks of rows that `wants` them, neighbours together. @returns bytes copied */
  async #copyBlocks(direction: "in" | "out", wants: (from: number, to: number) => boolean): Promise<number> {
    const runs: [from: number, to: number][] = [];
    for (let from = 0; from < this.size; from += BLOCK_ROWS) {
      const to = Math.min(this.size, from + BLOCK_ROWS);
      if (!wants(from, to)) continue;
      const last = runs.at(-1);
      if (last?.[1] === from) last[1] = to;
      else runs.push([from, to]);
    }
    const { stream } = this.device;
    const { columns } = this.#mirror.mirror();
    let bytes = 0;
    await this.device.inOrder(() => {
      for (const [i, { stride }] of this.format.columns.entries()) {
        for (const [from, to] of runs) {
          const rows = columns[i]!.subarray(from * stride, to * stride);
          const at = this.columns[i]! + 4 * stride * from;
          if (direction === "in") stream.copyToDevice(at, rows, rows.byteLength);
          else stream.copyToHost(rows, at, rows.byteLength);
          bytes += rows.byteLength;
        }
      }
      return this.device.finished();
    });
    return bytes;
  }

  async #fillWithNaN(): Promise<void> {
    await this.device.inOrder(() => {
      for (const [i, { stride }] of this.format.columns.entries()) {
        const rows = new Float32Array(this.size * stride).fill(NaN);
        this.device.stream.copyToDevice(this.columns[i]!, rows, rows.byteLength);
      }
      return this.device.finished();
    });
  }
}
