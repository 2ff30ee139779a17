/** @file The optimizers of embedding rows. Each moves only the rows that a batch looks up, and so does its state. */

/** How a row changes on a step. All coalesce the gradients of a row's duplicates first, in input order. */
export type SparseOptimizer =
  | { kind: "sgd" }
  | { kind: "adagrad"; epsilon: number }
  /** One accumulator a row: mean of squares over the row (DLRM's RWSAdagrad). */
  | { kind: "rwsadagrad"; epsilon: number }
  /** Moments move only on touched rows; bias correction by the global step (LazyAdam). */
  | { kind: "adam"; beta1: number; beta2: number; epsilon: number };
