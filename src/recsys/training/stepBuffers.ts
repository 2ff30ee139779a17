/**
 * @file The host arrays between a batch and the dense model's programs, padded to the programs' batch size with inputs
 * of weight 0, and page-locked where the device has use for that.
 */
import type { ClickBatch } from "../data/batches/clickBatch.ts";
import { hostArrays } from "../../run/network/hostArrays.ts";
import type { StagedTensor } from "../embedding/embeddingStore.ts";
import type { DenseModel } from "../models/denseModel.ts";

const shared = (length: number) =>
  new Float32Array(new SharedArrayBuffer(4 * Math.max(1, length)), 0, length);

/** What a buffer feeds, and what its step gives back. */
export class StepBuffers {
  /** `[B, m]`, `[B]`, `[B]`. */
  readonly dense: Float32Array;
  readonly labels: Float32Array;
  readonly weights: Float32Array;
  /** `[]` and `[B]`. */
  readonly loss: Float32Array;
  readonly logits: Float32Array;
  readonly #columns: number;
  #size = 0;

  constructor({ device, model, batchSize }: DenseModel) {
    this.#columns = model.inputs.dense;
    const float32 = (...shape: number[]) => ({ dtype: "float32", shape }) as const;
    const arrays = hostArrays(device, {
      dense: float32(batchSize, this.#columns),
      labels: float32(batchSize),
      weights: float32(batchSize),
      loss: float32(),
      logits: float32(batchSize),
    });
    this.dense = arrays.dense;
    this.labels = arrays.labels;
    this.weights = arrays.weights;
    this.loss = arrays.loss;
    this.logits = arrays.logits;
  }

  /** Copies a batch's inputs and labels in. */
  take({ size, dense, labels }: ClickBatch): void {
    this.dense.set(dense);
    this.labels.set(labels);
    if (size === this.#size) return;
    this.#size = size;
    this.dense.fill(0, size * this.#columns);
    this.labels.fill(0, size);
    this.weights.fill(1, 0, size).fill(0, size);
  }
}

/** Rows of short batches of a store on the host, padded, and their gradients. */
export class PaddedRows {
  readonly #length: number;
  #rows: Float32Array | undefined;
  #gradients: Float32Array | undefined;

  constructor({ model, batchSize }: DenseModel) {
    this.#length = batchSize * model.inputs.tables * model.inputs.dim;
  }

  /** Rows as a program takes them: in place when the batch is full. */
  rows(rows: StagedTensor): StagedTensor {
    if (!isShort(rows, this.#length)) return rows;
    this.#rows ??= shared(this.#length);
    this.#rows.set(rows);
    return this.#rows.fill(0, rows.length);
  }

  /** Where a program writes the gradients of rows. */
  gradients(gradients: StagedTensor): StagedTensor {
    return isShort(gradients, this.#length) ? (this.#gradients ??= shared(this.#length)) : gradients;
  }

  /** Moves gradients to where the store looks for them. */
  unpad(gradients: StagedTensor, written: StagedTensor): void {
    if (gradients === written) return;
    const to = gradients as Float32Array;
    to.set((written as Float32Array).subarray(0, to.length));
  }
}

function isShort(rows: StagedTensor, length: number): rows is Float32Array {
  return rows instanceof Float32Array && rows.length < length;
}
