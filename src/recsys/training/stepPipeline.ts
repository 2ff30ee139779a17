/**
 * @file The inner loop of training and of prediction: batches through a row store and the dense model, with the
 * next batch decoded and its rows gathered while the current one computes.
 *
 * While the dense step of batch i runs, batch i + 1 is read from disk and staged; after the update of batch i, what
 * it changed is gathered again in the stage of batch i + 1. The result is that of a serial loop, bit for bit.
 */
import type { ClickBatch } from "../../data/batch.ts";
import type { HostTensors } from "../../engine/program.ts";
import type { RowStore } from "../embedding/rowStore.ts";
import type { DenseModel } from "../models/denseModel.ts";

/** One finished training step. */
export interface StepReport {
  /** 1-based. */
  step: number;
  /** Inputs of the batch. */
  size: number;
  /** Mean loss over the batch, before the update. */
  loss: number;
  /** Logits before the update, and labels, `[size]`; valid during the call. */
  logits: Float32Array;
  labels: Float32Array;
}

/** A stretch of training over one store. */
export interface TrainStretch {
  store: RowStore;
  batches: AsyncIterable<ClickBatch>;
  /** Batches to train, at most. */
  count: number;
  /** Steps done before. */
  stepsDone: number;
  learningRate: (step: number) => number;
  /** Called after each step; false ends the stretch. */
  onStep: (report: StepReport) => boolean;
}

const shared = (length: number) =>
  new Float32Array(new SharedArrayBuffer(4 * Math.max(1, length)), 0, length);

/** Feeds batches to a dense model. */
export class StepPipeline {
  readonly #dense: DenseModel;
  readonly #ones: Float32Array;
  readonly #padded: { dense: Float32Array; rows: Float32Array; labels: Float32Array; weights: Float32Array };
  readonly #paddedGradients: Float32Array;

  constructor(dense: DenseModel) {
    const { dense: columns, tables, dim } = dense.model.inputs;
    const B = dense.batchSize;
    this.#dense = dense;
    this.#ones = shared(B).fill(1);
    this.#padded = {
      dense: shared(B * columns),
      rows: shared(B * tables * dim),
      labels: shared(B),
      weights: shared(B),
    };
    this.#paddedGradients = shared(B * tables * dim);
  }

  /**
   * Trains on a stretch of batches.
   * @returns batches trained
   */
  async train(stretch: TrainStretch): Promise<number> {
    const { store, count, stepsDone, learningRate, onStep } = stretch;
    const source = stretch.batches[Symbol.asyncIterator]();
    let done = 0;
    try {
      let slot = 0;
      let current = count > 0 ? await stageNext(source, store, slot) : null;
      while (current) {
        const step = stepsDone + done + 1;
        const [{ loss, logits }, next] = await Promise.all([
          this.#trainStep(store, slot, current, learningRate(step), step),
          done + 1 < count ? stageNext(source, store, 1 - slot) : null,
        ]);
        // A loss that is not a number must not reach the rows; the guard behind onStep says what to do.
        if (Number.isFinite(loss)) await store.update(slot, learningRate(step), step);
        done++;
        const { size, labels } = current;
        if (!onStep({ step, size, loss, logits: logits.subarray(0, size), labels })) break;
        if (next) await store.refresh(1 - slot, slot);
        slot = 1 - slot;
        current = next;
      }
    } finally {
      await source.return?.();
    }
    return done;
  }

  /** Batches in order, each with its logits `[size]`, which are valid until the next is asked for. */
  async *predict(
    store: RowStore,
    batches: AsyncIterable<ClickBatch>,
  ): AsyncGenerator<{ batch: ClickBatch; logits: Float32Array }, void, undefined> {
    const source = batches[Symbol.asyncIterator]();
    try {
      let slot = 0;
      let current = await stageNext(source, store, slot);
      while (current) {
        const { dense, rows } = this.#feeds(store, slot, current);
        const [logits, next] = await Promise.all([
          this.#dense.predict({ dense, rows }),
          stageNext(source, store, 1 - slot),
        ]);
        yield { batch: current, logits: logits.subarray(0, current.size) };
        slot = 1 - slot;
        current = next;
      }
    } finally {
      await source.return?.();
    }
  }

  async #trainStep(
    store: RowStore,
    slot: number,
    batch: ClickBatch,
    learningRate: number,
    step: number,
  ): ReturnType<DenseModel["train"]> {
    const feeds = this.#feeds(store, slot, batch);
    const gradients = store.gradients(slot);
    if (batch.size === this.#dense.batchSize) return this.#dense.train(feeds, gradients, learningRate, step);
    const result = await this.#dense.train(feeds, this.#paddedGradients, learningRate, step);
    gradients.set(this.#paddedGradients.subarray(0, gradients.length));
    return result;
  }

  /** A batch as the programs take it: itself when it is full, else padded with inputs of weight 0. */
  #feeds(store: RowStore, slot: number, batch: ClickBatch) {
    const rows = store.rows(slot);
    const { dense, labels, size } = batch;
    if (size === this.#dense.batchSize)
      return { dense, rows, labels, weights: this.#ones } satisfies HostTensors;
    const padded = this.#padded;
    padded.dense.fill(0).set(dense);
    padded.rows.fill(0).set(rows);
    padded.labels.fill(0).set(labels);
    padded.weights.fill(0).fill(1, 0, size);
    return padded;
  }
}

async function stageNext(
  source: AsyncIterator<ClickBatch>,
  store: RowStore,
  slot: number,
): Promise<ClickBatch | null> {
  const { value, done } = await source.next();
  if (done) return null;
  const batch = value as ClickBatch;
  await store.stage(slot, batch.lookups);
  return batch;
}
