/**
 * @file The contract of a memory that holds embedding rows: what a training strategy asks of it.
 *
 * A store works on *buffers*, staging places for one mini-batch each, so that the rows of the next batch can be
 * gathered while the current one computes. The life of a buffer is
 * `stage → (refresh)* → ready → rows → update → stage …`; calls on one buffer never overlap, calls on different buffers
 * may.
 *
 * Rows are gathered sum-pooled: an empty bag gives zeros (DLRM, EmbeddingBag "sum").
 *
 * The rows of a store are in the host's memory or in that of the device which runs the dense model. There, calls queue
 * work in the order in which they and the device's programs are asked for, and resolve before it is done: whatever is
 * staged after an update was asked for has its rows, and an update may be asked for before its step's loss is known.
 */
import type { Lookups } from "../data/batches/clickBatch.ts";
import type { DeviceTensor } from "../../engine/program.ts";
import type { RowFormat } from "./rowFormat.ts";
import type { TableRows } from "./rowTransfer.ts";
import type { SparseOptimizer } from "./sparseOptimizer.ts";

/**
 * Rows or gradients of a part: on the host `[size, T, D]` for its inputs; on a device for as many inputs as the program
 * of the part takes (`partPadding.ts`): `[B, T, D]` for a whole batch, with zeros beyond its inputs.
 */
export type StagedTensor = Float32Array | DeviceTensor;

/** A memory of embedding rows. */
export interface EmbeddingStore {
  /** Where rows are; see the top of this file. */
  readonly memory: "host" | "device";
  /** Embedding dimension (D). */
  readonly dim: number;
  /** Tables (T) that a batch looks up. */
  readonly tables: number;
  /** Staging buffers, numbered from 0. */
  readonly stagingBuffers: number;
  /** Bytes held for rows and optimizer state. */
  readonly bytes: number;

  /**
   * Takes the lookups of a batch into a buffer, finds each table's distinct rows, and gathers `[inputs, T, D]`. Resolves
   * once the lookups are checked and every part is gathered that needs no rows from a slower memory; for the others see
   * {@link ready}.
   * @param parts of the batch: one, or several that are computed apart and updated together
   */
  stage(buffer: number, ...parts: readonly Lookups[]): Promise<void>;
  /**
   * Resolves once the rows of a part of a staged buffer are gathered, with all that was refreshed before the call. At once
   * in a store of one memory.
   * @throws ParetoError STAGING_BUFFER_INVALID, STAGING_BUFFER_EMPTY, PART_INVALID
   */
  ready(buffer: number, part: number): Promise<void>;
  /** Gathers again, in `buffer`, what the update of `updated` has changed since `buffer` was staged. */
  refresh(buffer: number, updated: number): Promise<void>;
  /**
   * The pooled rows of a part of a staged buffer, the first by default: valid from {@link ready} until the buffer is
   * staged again. On the host, on a SharedArrayBuffer.
   */
  rows(buffer: number, part?: number): StagedTensor;
  /**
   * Where the gradients of `rows(buffer, part)` are to be written. In device memory, in the order of the parts: the
   * padding of one lies where the next begins.
   */
  gradients(buffer: number, part?: number): StagedTensor;
  /**
   * Where the loss of the buffer's step is to be written, `[]`, when rows are in device memory: an update does nothing
   * when it finds there what is not finite. Null for rows on the host, whose caller knows the loss.
   */
  guard(buffer: number): DeviceTensor | null;
  /**
   * Applies the gradients of all parts of the buffer to the rows: summed in order of the parts and their inputs, then one
   * optimizer application a distinct row; bit-identical for any number of threads.
   * @param step 1-based count of optimizer steps, for bias correction
   */
  update(buffer: number, learningRate: number, step: number): Promise<void>;
  /** Ends threads and frees memory. */
  dispose(): Promise<void>;
}

/** A store of all rows of all tables: the master copy, which checkpoints read and write. */
export interface EmbeddingTableStore extends EmbeddingStore {
  readonly optimizer: SparseOptimizer;
  readonly format: RowFormat;
  /** Rows of each table. */
  readonly cardinalities: readonly number[];
  /**
   * Copies rows and their optimizer state out.
   * @throws ParetoError ROWS_RANGE, STORE_DISPOSED
   */
  readRows(table: number, firstRow: number, count: number): TableRows;
  /**
   * Replaces rows and their optimizer state; a state left out stays as it is. Staged buffers are not refreshed.
   * @throws ParetoError ROWS_RANGE, ROWS_LENGTH, STORE_DISPOSED
   */
  writeRows(table: number, firstRow: number, rows: TableRows): void;
}
