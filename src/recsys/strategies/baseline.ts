/** @file The plain strategy: every batch in the epoch's order, all rows in the master tables. */
import { z } from "zod";
import { definePolicy } from "../../run/policies/policy.ts";
import type { EncodedDataset } from "../data/encode/encodedDataset.ts";
import type { EmbeddingStore } from "../embedding/embeddingStore.ts";
import { wholeBatches } from "./batchPlan.ts";
import type { StrategySetup, TrainingSegment, TrainingStrategy } from "./strategy.ts";

/** Where {@link BaselineStrategy} stands in its epoch. */
export interface BaselineState {
  batchesDone: number;
}

/** Trains batches in order. */
export class BaselineStrategy implements TrainingStrategy {
  readonly name = "baseline";
  readonly sync = { count: 0, bytes: 0, seconds: 0 };
  readonly hot = null;
  readonly popular = null;
  readonly #tables: EmbeddingStore;
  readonly #dataset: EncodedDataset;
  readonly #batches: number;
  #batchesDone: number;

  /** @param state where to go on, from {@link state} */
  constructor(tables: EmbeddingStore, dataset: EncodedDataset, batchSize: number, state?: BaselineState) {
    this.#tables = tables;
    this.#dataset = dataset;
    this.#batches = dataset.batchCount(batchSize);
    this.#batchesDone = state?.batchesDone ?? 0;
  }

  next(): Promise<TrainingSegment | null> {
    const count = this.#batches - this.#batchesDone;
    if (count === 0) return Promise.resolve(null);
    const start = this.#batchesDone;
    return Promise.resolve({
      name: "train",
      count,
      plans: (order) => wholeBatches(this.#tables, this.#dataset.batches({ ...order, start }), count),
    });
  }

  completed(batches: number): void {
    this.#batchesDone += batches;
  }

  segmentEnded(): Promise<void> {
    return Promise.resolve();
  }

  startEpoch(): void {
    this.#batchesDone = 0;
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  state(): BaselineState {
    return { batchesDone: this.#batchesDone };
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}

/** The baseline in the registry. */
export const baseline = definePolicy({
  kind: "recsys.strategy",
  name: "baseline",
  summary: "Trains every batch in shuffled order, with embedding rows read where they all are.",
  source: "ordinary mini-batch training",
  options: z.object({}),
  create: (): StrategySetup => ({
    name: "baseline",
    needsHostRows: false,
    create: ({ tables, train, batchSize, saved }) =>
      Promise.resolve(new BaselineStrategy(tables, train, batchSize, saved as BaselineState | undefined)),
  }),
});
