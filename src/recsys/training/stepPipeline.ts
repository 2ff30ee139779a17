/**
 * @file The inner loop of training and of prediction: batches through a embedding store and the dense model, with the
 * next batch decoded and its rows gathered while the current one computes.
 *
 * While the dense step of batch i runs, batch i + 1 is read from disk and staged, its inputs copied into page-locked
 * memory where the device has such. Rows on the host: after the update of batch i, what it changed is gathered again
 * in the stage of batch i + 1. Rows in device memory: the update of batch i is asked for with its step, before batch
 * i + 1 is staged and before the loss is known (a guard on the device keeps a loss that is not finite from the rows),
 * and step i is looked at when step i + 1 is under way, so that the device never waits for this thread. The result is
 * that of a serial loop, bit for bit.
 */
import type { ClickBatch } from "../data/batches/clickBatch.ts";
import type { BoundTensors } from "../../engine/program.ts";
import type { EmbeddingStore } from "../embedding/embeddingStore.ts";
import type { DenseModel } from "../models/denseModel.ts";
import { PaddedRows, StepBuffers } from "./stepBuffers.ts";

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
  store: EmbeddingStore;
  batches: AsyncIterable<ClickBatch>;
  /** Batches to train, at most. */
  count: number;
  /** Steps done before. */
  stepsDone: number;
  learningRate: (step: number) => number;
  /** Called after each step; false ends the stretch, with the step that is under way then. */
  onStep: (report: StepReport) => boolean;
}

/** A step that was asked for. */
interface Flight {
  step: number;
  buffer: number;
  size: number;
  /** Resolves when the device is done with it. */
  done: Promise<unknown>;
}

/** Feeds batches to a dense model. */
export class StepPipeline {
  readonly #dense: DenseModel;
  /** Of the buffers, which take turns. */
  readonly #feeds: readonly [StepBuffers, StepBuffers];
  readonly #padded: PaddedRows;

  constructor(dense: DenseModel) {
    this.#dense = dense;
    this.#feeds = [new StepBuffers(dense), new StepBuffers(dense)];
    this.#padded = new PaddedRows(dense);
  }

  /**
   * Trains on a stretch of batches.
   * @returns batches trained
   */
  async train(stretch: TrainStretch): Promise<number> {
    const { store, count, stepsDone, learningRate, onStep } = stretch;
    const source = stretch.batches[Symbol.asyncIterator]();
    const isQueued = store.memory === "device";
    let staged = 0;
    let done = 0;
    let goesOn = true;
    const flights: Flight[] = [];
    const stage = async (buffer: number): Promise<ClickBatch | null> => {
      if (!goesOn || staged >= count) return null;
      const batch = await this.#stageNext(source, store, buffer);
      if (batch) staged++;
      return batch;
    };
    try {
      let buffer = 0;
      let current = await stage(buffer);
      for (let asked = 0; current || flights.length > 0; buffer = 1 - buffer) {
        if (current) {
          const step = stepsDone + ++asked;
          flights.push(this.#start(store, buffer, current.size, learningRate(step), step));
        }
        // Queued, a step is looked at when the next one is under way: then its buffer is free for the batch after that.
        const isAhead = isQueued && current !== null && flights.length < 2;
        const flight = isAhead ? null : flights[0]!;
        const stages = isQueued ? null : stage(1 - buffer);
        const [next] = await Promise.all([stages, flight?.done]);
        if (flight) {
          const { loss } = this.#feeds[flight.buffer]!;
          // A loss that is not a number must not reach the rows; the guard behind onStep says what to do.
          if (!isQueued && Number.isFinite(loss[0]!)) {
            await store.update(buffer, learningRate(flight.step), flight.step);
          }
          flights.shift();
          done++;
          if (!onStep(this.#report(flight))) goesOn = false;
          if (!isQueued && goesOn && next) await store.refresh(1 - buffer, buffer);
        }
        const following: ClickBatch | null = isQueued ? await stage(1 - buffer) : next;
        current = goesOn ? following : null;
      }
    } finally {
      await Promise.allSettled(flights.map((flight) => flight.done));
      await source.return?.();
    }
    return done;
  }

  /** Batches in order, each with its logits `[size]`, which are valid until the next is asked for. */
  async *predict(
    store: EmbeddingStore,
    batches: AsyncIterable<ClickBatch>,
  ): AsyncGenerator<{ batch: ClickBatch; logits: Float32Array }, void, undefined> {
    const source = batches[Symbol.asyncIterator]();
    try {
      let buffer = 0;
      let current = await this.#stageNext(source, store, buffer);
      while (current) {
        const { dense, logits: into } = this.#feeds[buffer]!;
        const rows = this.#padded.rows(store.rows(buffer));
        const [logits, next] = await Promise.all([
          this.#dense.predict({ dense, rows }, { logits: into }),
          this.#stageNext(source, store, 1 - buffer),
        ]);
        yield { batch: current, logits: logits.subarray(0, current.size) };
        buffer = 1 - buffer;
        current = next;
      }
    } finally {
      await source.return?.();
    }
  }

  /** Asks for a step and, of a queued store, for its update. */
  #start(store: EmbeddingStore, buffer: number, size: number, learningRate: number, step: number): Flight {
    const { dense, labels, weights, loss, logits } = this.#feeds[buffer]!;
    const gradients = store.gradients(buffer);
    const rowGradients = this.#padded.gradients(gradients);
    const guard = store.guard(buffer);
    const into: BoundTensors = { loss, logits, rowGradients, ...(guard && { guard }) };
    const rows = this.#padded.rows(store.rows(buffer));
    const ran = this.#dense
      .train({ dense, rows, labels, weights }, { learningRate, step }, into)
      .then(() => this.#padded.unpad(gradients, rowGradients));
    const done = guard ? Promise.all([ran, store.update(buffer, learningRate, step)]) : ran;
    // It is awaited later; a failure before then must not count as unhandled.
    done.catch(() => undefined);
    return { step, buffer, size, done };
  }

  #report({ step, buffer, size }: Flight): StepReport {
    const { loss, logits, labels } = this.#feeds[buffer]!;
    return {
      step,
      size,
      loss: loss[0]!,
      logits: logits.subarray(0, size),
      labels: labels.subarray(0, size),
    };
  }

  async #stageNext(
    source: AsyncIterator<ClickBatch>,
    store: EmbeddingStore,
    buffer: number,
  ): Promise<ClickBatch | null> {
    const { value, done } = await source.next();
    if (done) return null;
    const batch = value as ClickBatch;
    this.#feeds[buffer]!.take(batch);
    await store.stage(buffer, batch.lookups);
    return batch;
  }
}
