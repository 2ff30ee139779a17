/**
 * @file Embedding rows in the memory of an NVIDIA GPU: the common part of {@link DeviceTables} (all rows) and
 * {@link DeviceHotEmbeddings} (FAE's compact hot rows).
 *
 * Rows of all tables lie end to end. What depends on a batch's ids alone (copying them over, checking them, sorting
 * them by row, cutting them into work items) runs on a stream of its own beside the dense step of the batch before;
 * gathers and updates run on the device's stream, in the order in which they and the programs are asked for. Sums of a
 * row's gradients are grouped by the row's own lookups, so two stores that see the same lookups of a row give it the
 * same bits, on every run.
 */
import type { Lookups } from "../../data/batches/clickBatch.ts";
import { ParetoError } from "../../../base/errors.ts";
import type { DeviceTensor } from "../../../engine/program.ts";
import {
  type CudaDevice,
  type DeviceBuffer,
  gatherCall,
  keysCall,
  partialBytes,
  segmentCalls,
  sortCalls,
  sortScratchBytes,
  sortTotalsBytes,
  Stream,
  updateCalls,
} from "../../../engine/targets/cuda/index.ts";
import { badBag, badLookup } from "../lookupErrors.ts";
import { optimizerRates } from "../optimizerTask.ts";
import { rowFormat, type RowFormat } from "../rowFormat.ts";
import { positive } from "../hostEmbeddings.ts";
import type { EmbeddingStore } from "../embeddingStore.ts";
import type { SparseOptimizer } from "../sparseOptimizer.ts";
import { joinLookups } from "../joinLookups.ts";
import { checkParts, shapeError } from "../lookupChecks.ts";
import { partOf, stagingBufferOf, stagedBufferOf } from "../stagingBuffer.ts";
import { DeviceStagingBuffer } from "./deviceStagingBuffer.ts";
import type { DeviceEmbeddingsLayout, DeviceEmbeddingsOptions, RowKernels } from "./rowKernels.ts";

/** Most rows, as keys have 32 bits, and most lookups of a batch, as work items have 30. */
const ROWS_MAX = 2 ** 32;
const LOOKUPS_MAX = 2 ** 30;
/** The null pointer. */
const NONE = 0;

/** Rows in device memory with staging buffers; see {@link EmbeddingStore}. */
export class DeviceEmbeddings implements EmbeddingStore {
  readonly memory = "device";
  readonly dim: number;
  readonly tables: number;
  readonly stagingBuffers: number;
  readonly bytes: number;
  readonly optimizer: SparseOptimizer;
  readonly format: RowFormat;
  protected readonly device: CudaDevice;
  /** Address of each column of the {@link RowFormat}. */
  protected readonly columns: readonly number[];
  /** Address of the byte map of changed rows, or null, and the byte that updates leave there. */
  protected readonly changed: number | null;
  protected mark = 1;
  readonly #layout: DeviceEmbeddingsLayout;
  readonly #kernels: RowKernels;
  readonly #limits: { tables: number; maxBatch: number; maxLookups: number };
  readonly #buffers: DeviceStagingBuffer[] = [];
  readonly #side: Stream;
  readonly #memory: DeviceBuffer[] = [];
  readonly #places: Record<
    | "firstRows"
    | "cardinalities"
    | "rowTables"
    | "bags"
    | "keys0"
    | "keys1"
    | "otherBags"
    | "scratch"
    | "totals"
    | "partials",
    number
  >;
  #isDisposed = false;

  /** @throws ParetoError ROWS_OPTIONS, CUDA_OUT_OF_MEMORY */
  protected constructor(
    options: DeviceEmbeddingsOptions,
    layout: DeviceEmbeddingsLayout,
    kernels: RowKernels,
  ) {
    const { device } = options;
    this.device = device;
    this.dim = positive("dim", options.dim);
    this.stagingBuffers = positive("stagingBuffers", options.stagingBuffers);
    this.tables = layout.cardinalities.length;
    this.optimizer = options.optimizer;
    this.format = rowFormat(this.dim, options.optimizer);
    const maxBatch = positive("maxBatch", options.maxBatch);
    const maxLookups = positive("maxLookups", options.maxLookups ?? maxBatch * Math.max(1, this.tables));
    this.#limits = { tables: this.tables, maxBatch, maxLookups };
    this.#layout = layout;
    this.#kernels = kernels;
    refuseAbove("rows", layout.rows, ROWS_MAX);
    refuseAbove("maxLookups", maxLookups, LOOKUPS_MAX);
    this.bytes = layout.rows * this.format.storedBytes;
    this.#side = new Stream(device.context);
    try {
      this.columns = this.format.columns.map(({ name, stride }) =>
        this.#allocate(4 * stride * layout.rows, `embedding ${name}`),
      );
      this.changed = layout.marksChanges ? this.#allocate(layout.rows, "embedding marks") : null;
      const words = 4 * maxLookups;
      const own = (bytes: number) => this.#allocate(bytes, "embedding staging");
      this.#places = {
        firstRows: own(4 * this.tables),
        cardinalities: own(4 * this.tables),
        rowTables: layout.rowTables === null ? NONE : own(2 * layout.rows),
        bags: own(words),
        keys0: own(words),
        keys1: own(words),
        otherBags: own(words),
        scratch: own(sortScratchBytes(kernels.sort, maxLookups)),
        totals: own(sortTotalsBytes(kernels.sort)),
        partials: own(partialBytes(this.dim, maxLookups)),
      };
      for (let i = 0; i < this.stagingBuffers; i++) {
        this.#buffers.push(
          new DeviceStagingBuffer(device, { ...this.#limits, dim: this.dim }, "embedding staging"),
        );
      }
      const { stream } = device;
      if (this.tables > 0) {
        stream.copyToDevice(
          this.#places.firstRows,
          Uint32Array.from(layout.firstRows) as unknown as Int32Array,
          4 * this.tables,
        );
        stream.copyToDevice(
          this.#places.cardinalities,
          Uint32Array.from(layout.cardinalities) as unknown as Int32Array,
          4 * this.tables,
        );
      }
      if (layout.rowTables !== null) {
        stream.copyToDevice(this.#places.rowTables, layout.rowTables, layout.rowTables.byteLength);
      }
      if (this.changed !== null) stream.clear(this.changed, layout.rows);
      stream.synchronize();
    } catch (error) {
      this.#free();
      throw error;
    }
  }

  async stage(buffer: number, ...parts: readonly Lookups[]): Promise<void> {
    const staged = this.#buffer(buffer);
    const counts = checkParts(parts, this.#limits);
    const count = counts.reduce((sum, lookups) => sum + lookups, 0);
    const [firstBag = 0] = parts.length === 1 ? (parts[0]!.offsets ?? []) : [];
    if (firstBag !== 0) {
      throw shapeError("the first bag must begin at the first id", firstBag, "number ids from 0");
    }
    refuseUnaligned(this.dim, parts.length);
    staged.isStaged = false;
    const { size, isOneHot, starts } = joinLookups(parts, counts, staged.hostIds, staged.hostOffsets);
    staged.batch = { size, lookups: count, isOneHot };
    staged.starts = starts;
    const bags = this.tables * size;
    const side = this.#side;
    side.wait(staged.used);
    if (count > 0) side.copyToDevice(staged.ids, staged.hostIds, 4 * count);
    if (!isOneHot) side.copyToDevice(staged.offsets, staged.hostOffsets, 4 * (bags + 1));
    side.clear(staged.bad, 8);
    this.#kernels.queue.launch(side, this.#keysCalls(staged));
    side.copyToHost(staged.hostBad, staged.bad, 8);
    staged.checked.record(side);
    const gathered = this.#gather(staged);
    this.#sort(staged);
    staged.sorted.record(side);
    await Promise.all([gathered, staged.checked.done()]);
    refuseBad(staged, this.#layout);
    staged.isStaged = true;
  }

  /** Not needed where staging follows the update. */
  async refresh(buffer: number, updated: number): Promise<void> {
    this.#stagedBuffer(updated);
    await this.#gather(this.#stagedBuffer(buffer));
  }

  async ready(buffer: number, part: number): Promise<void> {
    partOf(this.#stagedBuffer(buffer).starts, part);
  }

  rows(buffer: number, part = 0): DeviceTensor {
    return this.#stagedBuffer(buffer).part("rows", part);
  }

  gradients(buffer: number, part = 0): DeviceTensor {
    return this.#stagedBuffer(buffer).part("gradients", part);
  }

  guard(buffer: number): DeviceTensor {
    return this.#buffer(buffer).guard;
  }

  async update(buffer: number, learningRate: number, step: number): Promise<void> {
    const staged = this.#stagedBuffer(buffer);
    const rates = optimizerRates(this.optimizer, learningRate, step);
    const { size, lookups } = staged.batch;
    const [weights, state0 = null, state1 = null] = this.columns;
    const { queue, update } = this.#kernels;
    const calls =
      lookups === 0
        ? []
        : updateCalls<number>(
            update,
            { n: lookups, rows: this.#layout.rows, bags: size * this.tables, mark: this.mark },
            {
              ...staged.segments,
              weights: weights!,
              state0,
              state1,
              gradients: staged.gradients,
              bags: staged.sortedBags,
              partials: this.#places.partials,
              changed: this.changed,
              guard: staged.guard.pointer,
            },
            rates,
            NONE,
          );
    const { stream } = this.device;
    await this.device.inOrder(() => {
      stream.wait(staged.sorted);
      queue.launch(stream, calls);
      staged.used.record(stream);
    });
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.device.inOrder(() => {
      this.#side.synchronize();
      this.device.stream.synchronize();
      this.#free();
    });
  }

  /** @throws ParetoError STORE_DISPOSED */
  protected assertUsable(): void {
    if (!this.#isDisposed) return;
    throw new ParetoError({
      code: "STORE_DISPOSED",
      where: this.constructor.name,
      message: "the rows are gone: the store was disposed, got a call after dispose()",
      fix: "Dispose of a store after its last use, or create it again.",
    });
  }

  #keysCalls(staged: DeviceStagingBuffer) {
    if (this.tables === 0) return [];
    const { firstRows, cardinalities, rowTables, bags } = this.#places;
    const { ids, offsets, keys, bad } = staged;
    const places = {
      ids,
      offsets,
      firstRows,
      rows: cardinalities,
      owners: this.#layout.rowTables === null ? null : rowTables,
      keys,
      bags,
      bad,
    };
    return [keysCall<number>(this.#kernels.gather, staged.batch, places, NONE)];
  }

  async #gather(staged: DeviceStagingBuffer): Promise<void> {
    const { queue, gather } = this.#kernels;
    const { maxBatch } = this.#limits;
    const { keys, offsets, rows: out } = staged;
    const places = { weights: this.columns[0]!, keys, offsets, out };
    const call = gatherCall<number>(
      gather,
      staged.batch,
      { padded: maxBatch, rows: this.#layout.rows },
      places,
      NONE,
    );
    const { stream } = this.device;
    await this.device.inOrder(() => {
      stream.wait(staged.checked);
      if (this.tables > 0) queue.launch(stream, [call]);
      staged.used.record(stream);
    });
  }

  /** Sorts a buffer's lookups and finds its work items. */
  #sort(staged: DeviceStagingBuffer): void {
    const { lookups, size, isOneHot } = staged.batch;
    if (lookups === 0) return;
    const { queue, sort, segment } = this.#kernels;
    const { bags, keys0, keys1, otherBags, scratch, totals } = this.#places;
    const launch = () => {
      // The last pass writes to the first of a pair or to the second, by the parity of the passes.
      const valuesOut =
        sort.passes % 2 === 1
          ? ([staged.sortedBags, otherBags] as const)
          : ([otherBags, staged.sortedBags] as const);
      const sorted = sortCalls<number>(sort, lookups, {
        keys: staged.keys,
        values: bags,
        keysOut: [keys0, keys1],
        valuesOut,
        scratch,
        totals,
      });
      queue.launch(this.#side, [
        ...sorted.calls,
        ...segmentCalls(segment, lookups, sorted.keys, staged.segments),
      ]);
    };
    if (!isOneHot || size < this.#limits.maxBatch) launch();
    else (staged.recorded ??= this.#side.capture(launch)).launch(this.#side);
  }

  #buffer(buffer: number): DeviceStagingBuffer {
    this.assertUsable();
    return stagingBufferOf(this.#buffers, buffer, this.constructor.name);
  }

  #stagedBuffer(buffer: number): DeviceStagingBuffer {
    this.assertUsable();
    return stagedBufferOf(this.#buffers, buffer, this.constructor.name);
  }

  #allocate(bytes: number, holder: string): number {
    const buffer = this.device.allocator.allocate(bytes, holder);
    this.#memory.push(buffer);
    return buffer.pointer;
  }

  #free(): void {
    for (const buffer of this.#buffers.splice(0)) buffer.dispose();
    for (const buffer of this.#memory.splice(0)) buffer.free();
    this.#side.dispose();
  }
}

function refuseAbove(name: string, value: number, most: number): void {
  if (value < most) return;
  throw new ParetoError({
    code: "ROWS_OPTIONS",
    where: "DeviceEmbeddings",
    message: `${name} in GPU memory must be below ${most}, got ${value}`,
    fix: "Keep the rows on the host (placement hybrid), or use smaller batches.",
  });
}

/** Programs read vectors of 4 floats, and a later part begins in the middle of the rows. @throws ParetoError PART_ALIGNMENT */
function refuseUnaligned(dim: number, parts: number): void {
  if (parts === 1 || dim % 4 === 0) return;
  throw new ParetoError({
    code: "PART_ALIGNMENT",
    where: "EmbeddingStore.stage",
    message: `a batch in ${parts} parts in GPU memory needs rows of a multiple of 4 floats, got ${dim}`,
    fix: "Use an embedding dimension that is a multiple of 4, or a strategy whose batches have one part.",
  });
}

/** Says which id or bag the kernel that makes keys has found wrong. @throws ParetoError LOOKUP_OUT_OF_RANGE, LOOKUPS_OFFSETS */
function refuseBad(
  { hostBad, hostIds, hostOffsets, batch }: DeviceStagingBuffer,
  { cardinalities, rowTables }: DeviceEmbeddingsLayout,
): void {
  const [lookup, bag] = hostBad as unknown as [number, number];
  if (bag !== 0) {
    const at = ~bag >>> 0;
    throw badBag(Math.floor(at / batch.size), at % batch.size);
  }
  if (lookup === 0) return;
  const at = ~lookup >>> 0;
  const { size, isOneHot } = batch;
  const start = (t: number) => (isOneHot ? t * size : hostOffsets[t * size]!);
  let table = 0;
  while (at >= start(table + 1)) table++;
  const rows = cardinalities[table]!;
  throw badLookup({ table, lookup: at - start(table), id: hostIds[at]!, rows, owned: rowTables !== null });
}
