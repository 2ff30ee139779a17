/** @file The plain strategy: every batch in the epoch's order, all rows in the master tables. */
import type { EncodedDataset } from "../data/encode/encodedDataset.ts";
import type { RowStore } from "../embedding/rowStore.ts";
import type { TrainingPhase, TrainingStrategy } from "./strategy.ts";

/** Where {@link BaselineStrategy} stands in its epoch. */
export interface BaselineState {
  batchesDone: number;
}

/** Trains batches in order. */
export class BaselineStrategy implements TrainingStrategy {
  readonly name = "baseline";
  readonly sync = { count: 0, bytes: 0, seconds: 0 };
  readonly hot = null;
  readonly #tables: RowStore;
  readonly #dataset: EncodedDataset;
  readonly #batches: number;
  #batchesDone: number;

  /** @param state where to go on, from {@link state} */
  constructor(tables: RowStore, dataset: EncodedDataset, batchSize: number, state?: BaselineState) {
    this.#tables = tables;
    this.#dataset = dataset;
    this.#batches = dataset.batchCount(batchSize);
    this.#batchesDone = state?.batchesDone ?? 0;
  }

  next(): Promise<TrainingPhase | null> {
    const count = this.#batches - this.#batchesDone;
    const phase = {
      name: "train",
      store: this.#tables,
      dataset: this.#dataset,
      firstBatch: this.#batchesDone,
      count,
    };
    return Promise.resolve(count > 0 ? phase : null);
  }

  completed(batches: number): void {
    this.#batchesDone += batches;
  }

  phaseEnded(): Promise<void> {
    return Promise.resolve();
  }

  startEpoch(): void {
    this.#batchesDone = 0;
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  state(): BaselineState {
    return { batchesDone: this.#batchesDone };
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}
