/**
 * @file The host arrays between a part of a batch and the dense model's programs, padded to the inputs of a program with
 * inputs of weight 0, and page-locked where the device has use for that.
 */
import { hostArrays } from "../../run/network/hostArrays.ts";
import type { StagedTensor } from "../embedding/embeddingStore.ts";
import { rowFloats } from "../models/features.ts";
import type { DenseModel } from "../models/denseModel.ts";
import type { PlanPart } from "../strategies/batchPlan.ts";

const shared = (length: number) =>
  new Float32Array(new SharedArrayBuffer(4 * Math.max(1, length)), 0, length);

/** The arrays of a program of so many inputs; views of those of a whole batch. */
export interface PartArrays {
  /** `[S, m]`, `[S]`, `[S]`. */
  dense: Float32Array;
  labels: Float32Array;
  weights: Float32Array;
  /** `[S]`: what the program gives back. */
  logits: Float32Array;
}

/** What a part is fed from, and what its step gives back. */
export class StepBuffers {
  /** `[]`: the weights of all parts of the batch. */
  readonly weightSum: Float32Array;
  /** `[]`. */
  readonly loss: Float32Array;
  /** Of the most inputs, `[B, …]`. */
  readonly #whole: PartArrays;
  readonly #columns: number;
  #size = 0;
  #hasWeights = false;

  constructor({ device, model, batchSize }: DenseModel) {
    this.#columns = model.inputs.dense;
    const float32 = (...shape: number[]) => ({ dtype: "float32", shape }) as const;
    const { weightSum, loss, ...whole } = hostArrays(device, {
      dense: float32(batchSize, this.#columns),
      labels: float32(batchSize),
      weights: float32(batchSize),
      weightSum: float32(),
      loss: float32(),
      logits: float32(batchSize),
    });
    this.weightSum = weightSum;
    this.loss = loss;
    this.#whole = whole;
  }

  /** Copies a part's inputs, labels and weights in. */
  take({ inputs: { size, dense, labels }, weights }: PlanPart): void {
    const whole = this.#whole;
    whole.dense.set(dense);
    whole.labels.set(labels);
    if (weights) whole.weights.set(weights.subarray(0, size));
    else if (this.#hasWeights || size !== this.#size) whole.weights.fill(1, 0, size);
    this.#hasWeights = weights !== undefined;
    if (size === this.#size) return;
    this.#size = size;
    whole.dense.fill(0, size * this.#columns);
    whole.labels.fill(0, size);
    whole.weights.fill(0, size);
  }

  /** The arrays of a program of `inputs` inputs. */
  arrays(inputs: number): PartArrays {
    const { dense, labels, weights, logits } = this.#whole;
    if (labels.length === inputs) return this.#whole;
    return {
      dense: dense.subarray(0, inputs * this.#columns),
      labels: labels.subarray(0, inputs),
      weights: weights.subarray(0, inputs),
      logits: logits.subarray(0, inputs),
    };
  }

  /** Labels of the part that was taken last, and what `arrays().logits` holds for it, `[size]`. */
  get results(): { labels: Float32Array; logits: Float32Array } {
    const { labels, logits } = this.#whole;
    return { labels: labels.subarray(0, this.#size), logits: logits.subarray(0, this.#size) };
  }
}

/** Rows of short parts of a store on the host, padded, and their gradients. */
export class PaddedRows {
  readonly #length: number;
  readonly #batchSize: number;
  #rows: Float32Array | undefined;
  #gradients: Float32Array | undefined;

  constructor({ model, batchSize }: DenseModel) {
    this.#length = model.inputs.fields.length * rowFloats(model.inputs);
    this.#batchSize = batchSize;
  }

  /** Rows as a program of `inputs` inputs takes them: in place when the part has as many. */
  rows(rows: StagedTensor, inputs: number): StagedTensor {
    const length = this.#length * inputs;
    if (!isShort(rows, length)) return rows;
    this.#rows ??= shared(this.#length * this.#batchSize);
    const padded = this.#rows.subarray(0, length);
    padded.set(rows);
    return padded.fill(0, rows.length);
  }

  /** Where a program of `inputs` inputs writes the gradients of rows. */
  gradients(gradients: StagedTensor, inputs: number): StagedTensor {
    const length = this.#length * inputs;
    if (!isShort(gradients, length)) return gradients;
    this.#gradients ??= shared(this.#length * this.#batchSize);
    return this.#gradients.subarray(0, length);
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
