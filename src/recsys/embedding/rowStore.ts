/**
 * @file The contract of a memory that holds embedding rows: what a training strategy asks of it.
 *
 * A store works on *slots*, staging places for one mini-batch each, so that the rows of the next batch can be
 * gathered while the current one computes. The life of a slot is
 * `stage → (refresh)* → rows → update → stage …`; calls on one slot never overlap, calls on different slots may.
 *
 * Rows are gathered sum-pooled: an empty bag gives zeros (DLRM, EmbeddingBag "sum").
 */
import type { Lookups } from "../../data/batch.ts";

/** How a row changes on a step. All coalesce the gradients of a row's duplicates first, in input order. */
export type SparseOptimizer =
  | { kind: "sgd" }
  | { kind: "adagrad"; epsilon: number }
  /** One accumulator a row: mean of squares over the row (DLRM's RWSAdagrad). */
  | { kind: "rwsadagrad"; epsilon: number }
  /** Moments move only on touched rows; bias correction by the global step (LazyAdam). */
  | { kind: "adam"; beta1: number; beta2: number; epsilon: number };

/** A memory of embedding rows. */
export interface RowStore {
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
  /** The pooled rows of a staged slot, `[B, T, D]` on a SharedArrayBuffer; valid until the slot is staged again. */
  rows(slot: number): Float32Array;
  /** Where the gradients of `rows(slot)` are to be written, `[B, T, D]` on a SharedArrayBuffer. */
  gradients(slot: number): Float32Array;
  /**
   * Applies `gradients(slot)` to the rows: one optimizer application a distinct row, bit-identical for any
   * number of threads.
   * @param step 1-based count of optimizer steps, for bias correction
   */
  update(slot: number, learningRate: number, step: number): Promise<void>;
  /** Ends threads and frees memory. */
  dispose(): Promise<void>;
}
