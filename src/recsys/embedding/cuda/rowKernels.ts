/** @file Options of a store in device memory, the layout of its rows, and its compiled kernels. */
import {
  CallQueue,
  type CudaDevice,
  gatherKernels,
  type GatherKernels,
  segmentKernels,
  type SegmentKernels,
  sortKernels,
  type SortKernels,
  updateKernels,
  type UpdateKernels,
} from "../../../engine/targets/cuda/index.ts";
import type { SparseOptimizer } from "../sparseOptimizer.ts";

/** Options of every store in device memory. */
export interface DeviceEmbeddingsOptions {
  /** The device of the dense model; the store does not dispose of it. */
  device: CudaDevice;
  dim: number;
  optimizer: SparseOptimizer;
  /** Staging buffers. */
  stagingBuffers: number;
  /** Inputs of the dense model's batches (B): the most that a batch may have. */
  maxBatch: number;
  /** Most lookups of a batch over all tables. Defaults to maxBatch × T (one id a bag). */
  maxLookups?: number;
}

/** The rows behind a store. */
export interface DeviceEmbeddingsLayout {
  /** Of each table of a batch: the first row, and the rows that its ids name. */
  firstRows: readonly number[];
  cardinalities: readonly number[];
  /** All rows. */
  rows: number;
  /** The one table that may look each row up; null when ids say it. */
  rowTables: Uint16Array | null;
  /** Whether updates leave a mark on rows that they change. */
  marksChanges: boolean;
}

/** Kernels of a store. */
export interface RowKernels {
  queue: CallQueue;
  gather: GatherKernels;
  sort: SortKernels;
  segment: SegmentKernels;
  update: UpdateKernels;
}

/** Compiles a store's kernels. */
export async function compileRowKernels(
  { device, dim, optimizer }: DeviceEmbeddingsOptions,
  { cardinalities, rows, rowTables }: DeviceEmbeddingsLayout,
): Promise<RowKernels> {
  const gather = gatherKernels(dim, cardinalities.length, rowTables !== null);
  const sort = sortKernels(rows);
  const segment = segmentKernels();
  const update = updateKernels(dim, optimizer.kind);
  const { count, scan, scatter } = sort;
  const queue = await CallQueue.compile(device, [
    ...Object.values(gather.keys),
    ...Object.values(gather.gather),
    count,
    scan,
    scatter,
    segment.count,
    segment.write,
    update.items,
    update.longRows,
  ]);
  return { queue, gather, sort, segment, update };
}
