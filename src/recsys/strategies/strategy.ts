/**
 * @file What a training strategy decides: which batches come next, and which memory their rows are read from. The
 * trainer carries it out. A strategy's position is plain JSON, so training can stop anywhere and go on.
 */
import type { EncodedDataset } from "../data/encode/encodedDataset.ts";
import type { EmbeddingStore } from "../embedding/embeddingStore.ts";

/** A stretch of batches of one data set, over one store. */
export interface TrainingSegment {
  /** As it is called on the time line: `train`, `cold`, `hot`. */
  name: string;
  store: EmbeddingStore;
  dataset: EncodedDataset;
  /** First batch of the epoch's order, and how many. */
  firstBatch: number;
  count: number;
}

/** Rows kept in step between two memories. */
export interface SyncTotals {
  count: number;
  bytes: number;
  seconds: number;
}

/** What a strategy kept in fast memory. */
export interface HotReport {
  rows: number;
  bytes: number;
  /** Share of training inputs that touch hot rows only. */
  inputShare: number;
  /** Share of the sampled lookups that hit hot rows. */
  accessShare: number;
}

/** The order of training and the place of rows. */
export interface TrainingStrategy {
  readonly name: StrategyName;
  /** The current segment, or the next one; null at the end of the epoch. Rows are where it needs them. */
  next(): Promise<TrainingSegment | null>;
  /** Tells that so many more batches of the current segment are trained. */
  completed(batches: number): void;
  /**
   * Called when a segment has ended.
   * @param validationLoss evaluates a fixed validation slice, should the strategy want to know
   */
  segmentEnded(validationLoss: () => Promise<number>): Promise<void>;
  /** Begins the next epoch. */
  startEpoch(): void;
  /** Makes the master tables hold every row's newest value, as evaluation and checkpoints need. */
  flush(): Promise<void>;
  /** Where it stands, to go on from. */
  state(): unknown;
  readonly sync: SyncTotals;
  readonly hot: HotReport | null;
  dispose(): Promise<void>;
}

/** Strategies by name. */
export type StrategyName = "baseline" | "fae";
