/**
 * @file How a row and its optimizer state lie in memory: one array of rows a column (weights, then each state),
 * rows padded with zeros to whole SIMD vectors.
 */
import type { SparseOptimizer } from "./sparseOptimizer.ts";

/** One array of a table: its weights or one of its optimizer states. */
export interface RowColumn {
  /** `weights`, or the state's name in a checkpoint: `sum`, `m`, `v`. */
  name: "weights" | "sum" | "m" | "v";
  /** Floats of a row without padding: D, or 1 for a rowwise state. */
  length: number;
  /** Floats from a row to the next. */
  stride: number;
}

/** The columns of a table's rows; the first is `weights`. */
export interface RowFormat {
  dim: number;
  columns: RowColumn[];
  /** Bytes of a row and its state that carry information. */
  rowBytes: number;
  /** Bytes of a row and its state as stored. */
  storedBytes: number;
}

/**
 * The format of rows of `dim` floats under an optimizer: SGD has no state, Adagrad a sum of squares an element,
 * rowwise Adagrad one a row, Adam two moments an element.
 */
export function rowFormat(dim: number, optimizer: SparseOptimizer): RowFormat {
  const stride = Math.ceil(dim / 4) * 4;
  const columns: RowColumn[] = [{ name: "weights", length: dim, stride }];
  if (optimizer.kind === "adagrad") columns.push({ name: "sum", length: dim, stride });
  if (optimizer.kind === "rwsadagrad") columns.push({ name: "sum", length: 1, stride: 1 });
  if (optimizer.kind === "adam") {
    columns.push({ name: "m", length: dim, stride }, { name: "v", length: dim, stride });
  }
  let rowBytes = 0;
  let storedBytes = 0;
  for (const column of columns) {
    rowBytes += 4 * column.length;
    storedBytes += 4 * column.stride;
  }
  return { dim, columns, rowBytes, storedBytes };
}
