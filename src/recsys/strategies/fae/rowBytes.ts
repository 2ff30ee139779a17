/**
 * @file Bytes that one embedding row takes in a memory tier: float32 weights and the optimizer state that must
 * move with them (invariant I7). The authors' profiler counts weights only; a budget that ignores the state
 * would be overrun.
 */
import type { SparseOptimizer } from "../../embedding/sparseOptimizer.ts";

/** Bytes of optimizer state a row: SGD 0, rowwise Adagrad 4, Adagrad 4·dim, Adam 8·dim. */
export function stateBytesPerRow(optimizer: SparseOptimizer, dim: number): number {
  switch (optimizer.kind) {
    case "sgd":
      return 0;
    case "rwsadagrad":
      return 4;
    case "adagrad":
      return 4 * dim;
    case "adam":
      return 8 * dim;
  }
}

/** Bytes of a row of `dim` float32 weights with its optimizer state. */
export function bytesPerRow(optimizer: SparseOptimizer, dim: number): number {
  return 4 * dim + stateBytesPerRow(optimizer, dim);
}
