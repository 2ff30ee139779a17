/**
 * @file The contract of a memory that holds embedding rows: what a training strategy asks of it.
 *
 * A store works on *slots*, staging places for one mini-batch each, so that the rows of the next batch can be
 * gathered while the current one computes. The life of a slot is
 * `stage → (refresh)* → rows → update → stage …`; calls on one slot never overlap, calls on different slots may.
 *
 * Rows are gathered sum-pooled: an empty bag gives zeros (DLRM, EmbeddingBag "sum").
 *
 * The rows of a store are in the host's memory or in that of the device which runs the dense model. There, calls queue
 * work in the order in which they and the device's programs are asked for, and resolve before it is done: whatever is
 * staged after an update was asked for has its rows, and an update may be asked for before its step's loss is known.
 */
import type { Lookups } from "../data/batches/batch.ts";
import type { DeviceTensor } from "../../engine/program.ts";
import type { RowFormat } from "./rowFormat.ts";
import type { TableRows } from "./rowTransfer.ts";

/** How a row changes on a step. All coalesce the gradients of a row's duplicates first, in input order. */
export type SparseOptimizer =
  | { kind: "sgd" }
  | { kind: "adagrad"; epsilon: number }
  /** One accumulator a row: mean of squares over the row (DLRM's RWSAdagrad). */
  | { kind: "rwsadagrad"; epsilon: number }
  /** Moments move only on touched rows; bias correction by the global step (LazyAdam). */
  | { kind: "adam"; beta1: number; beta2: number; epsilon: number };

/**
 * Rows or gradients of a slot: on the host `[size, T, D]` for the inputs staged; on a device `[B, T, D]` for the most
 * inputs of a batch, rows beyond those staged being zeros.
 */
export type SlotTensor = Float32Array | DeviceTensor;

/** A memory of embedding rows. */
export interface RowStore {
  /** Where rows are; see the top of this file. */
  readonly memory: "host" | "device";
  /** Embedding dimension (D). */
  readonly dim: number;
  /** Tables (T) that a batch looks up. */
  readonly tables: number;
  /** Staging slots, numbered from 0. */
  readonly slots: number;
  /** Bytes held for rows and optimizer state. */
  readonly bytes: number;

  /** Takes a batch's lookups into a slot, finds each table's distinct rows, and gathers `[B, T, D]`. */
  stage(slot: number, lookups: Lookups): Promise<void>;
  /** Gathers again, in `slot`, what the update of `updated` has changed since `slot` was staged. */
  refresh(slot: number, updated: number): Promise<void>;
  /** The pooled rows of a staged slot; valid until the slot is staged again. On the host, on a SharedArrayBuffer. */
  rows(slot: number): SlotTensor;
  /** Where the gradients of `rows(slot)` are to be written. */
  gradients(slot: number): SlotTensor;
  /**
   * Where the loss of the slot's step is to be written, `[]`, when rows are in device memory: an update does nothing
   * when it finds there what is not finite. Null for rows on the host, whose caller knows the loss.
   */
  guard(slot: number): DeviceTensor | null;
  /**
   * Applies `gradients(slot)` to the rows: one optimizer application a distinct row, bit-identical for any
   * number of threads.
   * @param step 1-based count of optimizer steps, for bias correction
   */
  update(slot: number, learningRate: number, step: number): Promise<void>;
  /** Ends threads and frees memory. */
  dispose(): Promise<void>;
}

/** A store of all rows of all tables: the master copy, which checkpoints read and write. */
export interface TableStore extends RowStore {
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
   * Replaces rows and their optimizer state; a state left out stays as it is. Staged slots are not refreshed.
   * @throws ParetoError ROWS_RANGE, ROWS_LENGTH, STORE_DISPOSED
   */
  writeRows(table: number, firstRow: number, rows: TableRows): void;
}
