/**
 * @file What a training strategy decides: which inputs come next, and which memory their rows are read from. The
 * trainer carries it out. A strategy's position is plain JSON, so training can stop anywhere and go on.
 *
 * A strategy may wrap another: it passes every call on, and yields the inner plans with inputs left out, weighed, or
 * spread over parts.
 */
import type { OnEvent } from "../../run/events.ts";
import type { BatchOptions, EncodedDataset } from "../data/encode/encodedDataset.ts";
import type { EmbeddingTableStore } from "../embedding/embeddingStore.ts";
import type { EmbeddingTables } from "../embedding/embeddingTables.ts";
import type { HotEmbeddingsOptions } from "../embedding/hotEmbeddings.ts";
import type { HotEmbeddingStore } from "../embedding/hotEmbeddingStore.ts";
import type { BatchPlan } from "./batchPlan.ts";
import type { PopularRowsView } from "./popularRowsView.ts";

/** How batches are cut and ordered in an epoch. */
export type BatchOrder = Required<Pick<BatchOptions, "batchSize" | "shuffle" | "recycle">>;

/** A stretch of steps between which the strategy decides nothing. */
export interface TrainingSegment {
  /** As it is called on the time line: `train`, `cold`, `hot`. */
  name: string;
  /** Batches of the epoch's order in it; at least 1. */
  count: number;
  /** The steps in order; their plans use up `count` batches. */
  plans(order: BatchOrder): AsyncIterable<BatchPlan>;
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
  readonly name: string;
  /** The current segment, or the next one; null at the end of the epoch. Rows are where it needs them. */
  next(): Promise<TrainingSegment | null>;
  /** Receives how many more batches of the epoch's order are done in the current segment. */
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
  /** The rows in fast memory, for a strategy that wraps this one; null without such. */
  readonly popular: PopularRowsView | null;
  dispose(): Promise<void>;
}

/** Where a strategy stands; kept in the checkpoint. */
export interface StrategyPosition {
  name: string;
  state: unknown;
}

/** What a strategy is made from, beside its options. */
export interface StrategyContext {
  /** The training part. */
  train: EncodedDataset;
  /** Changes whenever the data or how it is encoded does. */
  fingerprint: string;
  /** All rows. */
  tables: EmbeddingTableStore;
  /** All rows, for a strategy that needs them on the host. */
  hostTables: () => EmbeddingTables;
  /** Makes a compact copy of hot rows in the fast memory. */
  createHotEmbeddings: (options: Omit<HotEmbeddingsOptions, "tables">) => Promise<HotEmbeddingStore>;
  /** The policy that chooses hot rows, as text. */
  hot: string;
  /** Bytes of a row with its optimizer state. */
  rowBytes: number;
  batchSize: number;
  /** Most lookups of a batch. */
  maxLookups: number;
  seed: number;
  /** Seconds since the start of the run. */
  clock: () => number;
  onEvent: OnEvent;
  /** Ends what comes before the first step: its reason is thrown. */
  signal?: AbortSignal;
  /** Where the strategy stood that the run goes on from; undefined at the start. */
  saved?: unknown;
}

/** A strategy with its options, before it has data. */
export interface StrategySetup {
  readonly name: string;
  /** Whether it reads all rows on the host, wherever the dense model computes. */
  readonly needsHostRows: boolean;
  create(context: StrategyContext): Promise<TrainingStrategy>;
}

/** Reads a strategy from text, for one that wraps another. @throws ParetoError as `parseStrategy` */
export type StrategyParser = (text: string) => StrategySetup;

/** Emits the notice that an epoch starts over, since what was saved does not fit. */
export function restart(onEvent: OnEvent, before: string, now: string): void {
  const message = `The run was saved under ${before}; ${now} starts the epoch under way over.`;
  onEvent({ event: "notice", level: "info", code: "RESUME_STRATEGY", message });
}
