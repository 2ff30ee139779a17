/**
 * @file The planner of memory: bytes that training will hold, before any of it is allocated.
 *
 * Counted are the arrays that grow with the data or the model. The runtime itself, the dense step's intermediate
 * tensors and files that the system caches are not. Rows in GPU memory are not held on the host too, save hot ones.
 */
import type { SparseOptimizer } from "../embedding/sparseOptimizer.ts";
import { bytesPerRow, stateBytesPerRow } from "../strategies/fae/rowBytes.ts";

/** The training to plan for. */
export interface MemoryRequest {
  /** Rows of each table. */
  tableSizes: readonly number[];
  /** Embedding dimension. */
  dim: number;
  optimizer: SparseOptimizer;
  /** Hot rows; 0 without FAE. */
  hotRows: number;
  batchSize: number;
  /** Mini-batches staged at once. */
  stagingBuffers: number;
  /** Mean ids of an input over all tables. */
  idsPerInput: number;
  /** Dense inputs of a row. */
  denseInputs: number;
  /** Weights and biases of the dense layers. */
  denseParameters: number;
  /** Rows in GPU memory; left out without a GPU. */
  gpuRows?: "all" | "hot" | "none";
}

/** Bytes by purpose. */
export interface MemoryPlan {
  tableBytes: number;
  optimizerStateBytes: number;
  /** Hot rows with their optimizer state. */
  hotBytes: number;
  /** Gathered rows and their gradients, ids and dense inputs of the batches in flight. */
  stagingBytes: number;
  denseParameterBytes: number;
  /** Gradients and optimizer state of the dense parameters. */
  denseStateBytes: number;
  /** What training holds throughout: the sum of the above. */
  trainingBytes: number;
  /** Counts and hot indices while the hot rows are chosen, before the tables exist; 0 without FAE. */
  calibrationBytes: number;
  /** The most held at once. */
  peakBytes: number;
  /** Of what training holds, the part in GPU memory; with a GPU only. */
  gpuBytes?: number;
}

/** Plans the memory of a training run. */
export function memoryPlan(request: MemoryRequest): MemoryPlan {
  const { dim, optimizer, hotRows, batchSize, stagingBuffers, denseInputs, denseParameters } = request;
  const rows = request.tableSizes.reduce((sum, size) => sum + size, 0);
  const tables = request.tableSizes.length;
  const tableBytes = 4 * dim * rows;
  const optimizerStateBytes = stateBytesPerRow(optimizer, dim) * rows;
  const hotBytes = bytesPerRow(optimizer, dim) * hotRows;
  const inputBytes = 2 * 4 * tables * dim + 4 * request.idsPerInput + 4 * (tables + 1) + 4 * denseInputs + 12;
  const stagingBytes = Math.ceil(stagingBuffers * batchSize * inputBytes);
  const denseParameterBytes = 4 * denseParameters;
  const denseStateBytes = denseParameterBytes * (1 + denseStatesPerParameter(optimizer));
  const gpuRowBytes = {
    all: tableBytes + optimizerStateBytes,
    hot: hotBytes,
    none: 0,
  };
  const gpuBytes =
    request.gpuRows && gpuRowBytes[request.gpuRows] + stagingBytes + denseParameterBytes + denseStateBytes;
  const trainingBytes =
    tableBytes + optimizerStateBytes + hotBytes + stagingBytes + denseParameterBytes + denseStateBytes;
  // A count and a hot index a row, and the ranking of the rows that qualify.
  const calibrationBytes = hotRows === 0 ? 0 : 8 * rows + 8 * hotRows;
  return {
    tableBytes,
    optimizerStateBytes,
    hotBytes,
    stagingBytes,
    denseParameterBytes,
    denseStateBytes,
    trainingBytes,
    calibrationBytes,
    peakBytes: Math.max(trainingBytes, calibrationBytes),
    ...(gpuBytes !== undefined && { gpuBytes }),
  };
}

/** State floats of a dense parameter; beside rowwise Adagrad the dense layers use plain Adagrad. */
function denseStatesPerParameter(optimizer: SparseOptimizer): number {
  return { sgd: 0, rwsadagrad: 1, adagrad: 1, adam: 2 }[optimizer.kind];
}
