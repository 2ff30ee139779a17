/**
 * @file FAE at run time: hot batches train on the hot embeddings, cold ones on the master tables, in the order of the
 * shuffle scheduler, with the hot rows and their optimizer state carried over at every switch.
 */
import { crc32 } from "node:zlib";
import type { OnEvent } from "../../../run/events.ts";
import { HotEmbeddings, type HotEmbeddingsOptions } from "../../embedding/hotEmbeddings.ts";
import type { HotEmbeddingStore, SyncReport } from "../../embedding/hotEmbeddingStore.ts";
import type { EmbeddingTables } from "../../embedding/embeddingTables.ts";
import type { EmbeddingStore } from "../../embedding/embeddingStore.ts";
import { wholeBatches } from "../batchPlan.ts";
import type { PopularRowsView } from "../popularRowsView.ts";
import type { HotReport, SyncTotals, TrainingSegment, TrainingStrategy } from "../strategy.ts";
import type { FaeFile } from "./faeFile.ts";
import { fixedRate, type ShuffleRatePolicy } from "./shuffleRate.ts";
import { ShuffleScheduler, type SchedulerState } from "./scheduler.ts";

/** What a FAE run needs. */
export interface FaeStrategyOptions {
  /** All rows. */
  tables: EmbeddingTables;
  /** Makes the compact copy of the hot rows of `tables`. Defaults to one in a memory of the host. */
  createHotEmbeddings?: (options: Omit<HotEmbeddingsOptions, "tables">) => Promise<HotEmbeddingStore>;
  file: FaeFile;
  batchSize: number;
  /** Most lookups of a batch. */
  maxLookups: number;
  /** Chooses how many batches of each class a round takes. */
  rate: ShuffleRatePolicy;
  /** Which class begins a round. Defaults to `cold-first`. */
  order?: "cold-first" | "hot-first";
  /** Seconds since the start of the run. */
  clock: () => number;
  onEvent: OnEvent;
  /** Where to go on, from {@link FaeStrategy.state}. */
  state?: FaeState;
}

/** Where {@link FaeStrategy} stands. */
export interface FaeState {
  scheduler: SchedulerState;
  /** Which inputs are hot: a position among them means nothing among others. */
  partition: string;
}

/** A short name for the split of the inputs that a file holds. */
function partitionOf({ hotSet, header }: FaeFile): string {
  const { buffer, byteOffset, byteLength } = hotSet.rows;
  const rows = crc32(new Uint8Array(buffer, byteOffset, byteLength)).toString(16);
  return `${header.datasetHash} ${rows} ${header.hotInputs} ${header.coldInputs}`;
}

/** Trains hot and cold batches in turns. */
export class FaeStrategy implements TrainingStrategy {
  readonly name = "fae";
  readonly sync: SyncTotals = { count: 0, bytes: 0, seconds: 0 };
  readonly hot: HotReport;
  readonly popular: PopularRowsView | null;
  readonly #options: FaeStrategyOptions;
  readonly #hotRows: HotEmbeddingStore | null;
  readonly #scheduler: ShuffleScheduler;

  private constructor(options: FaeStrategyOptions, hotRows: HotEmbeddingStore | null) {
    const { file, batchSize, onEvent, state } = options;
    // With one class only there is nothing to interleave: the epoch is one segment and needs no evaluation.
    const isMixed = file.cold.rows > 0 && file.hot.rows > 0;
    const rate = isMixed ? options.rate : fixedRate(100);
    this.#options = { ...options, rate };
    this.#hotRows = hotRows;
    this.#scheduler = new ShuffleScheduler(
      {
        coldBatches: file.cold.batchCount(batchSize),
        hotBatches: file.hot.batchCount(batchSize),
        rate,
        ...(options.order && { order: options.order }),
        onEvent,
      },
      // An adaptive rate is what it has become; a fixed one is that of the options, from the next round on.
      state && { ...state.scheduler, ...(!rate.isAdaptive && { shuffleRate: rate.start }) },
    );
    this.popular = hotRows && {
      rows: file.hotSet.rows,
      version: 0,
      // Hot inputs are encoded by hot indices.
      slotsOf: ({ inputs }) => inputs.lookups,
      readWeights: (into) => hotRows.readWeights(into),
    };
    const { hotInputs, coldInputs, accessShare } = file.header;
    this.hot = {
      rows: file.hotSet.size,
      bytes: file.hotSet.bytes,
      inputShare: hotInputs / Math.max(1, hotInputs + coldInputs),
      accessShare,
    };
  }

  /** Whether a run that was saved in this state goes on from there with this file. */
  static fits(file: FaeFile, state: FaeState): boolean {
    return state.partition === partitionOf(file);
  }

  /** Makes the hot embeddings; they hold nothing until the first hot segment. */
  static async create(options: FaeStrategyOptions): Promise<FaeStrategy> {
    const { tables, file, batchSize, maxLookups } = options;
    const { createHotEmbeddings = (hotRows) => HotEmbeddings.create({ ...hotRows, tables }) } = options;
    const { rows, size } = file.hotSet;
    const hotRows =
      size === 0
        ? null
        : await createHotEmbeddings({ rows, stagingBuffers: 2, maxBatch: batchSize, maxLookups });
    return new FaeStrategy(options, hotRows);
  }

  async next(): Promise<TrainingSegment | null> {
    const segment = this.#scheduler.next();
    if (!segment) return null;
    const { tables, file } = this.#options;
    const { kind, firstBatch, count } = segment;
    let store: EmbeddingStore = tables;
    if (kind === "cold") {
      await this.flush();
    } else {
      store = this.#hotRows!;
      if (this.#hotRows!.owner === "tables") await this.#synced(() => this.#hotRows!.syncIn());
    }
    return {
      name: kind,
      count,
      plans: (order) =>
        wholeBatches(store, file[kind].batches({ ...order, start: firstBatch }), count, kind === "hot"),
    };
  }

  completed(batches: number): void {
    if (batches > 0) this.#scheduler.completed(batches);
  }

  async segmentEnded(validationLoss: () => Promise<number>): Promise<void> {
    if (!this.#scheduler.awaitsLoss) return;
    // A fixed rate decides nothing, so nothing is evaluated for it.
    if (!this.#options.rate.isAdaptive) {
      this.#scheduler.afterRound(Number.NaN);
      return;
    }
    await this.flush();
    this.#scheduler.afterRound(await validationLoss());
  }

  startEpoch(): void {
    this.#scheduler.startEpoch();
  }

  async flush(): Promise<void> {
    if (this.#hotRows?.owner === "hot") await this.#synced(() => this.#hotRows!.syncOut());
  }

  state(): FaeState {
    return { scheduler: this.#scheduler.state, partition: partitionOf(this.#options.file) };
  }

  async dispose(): Promise<void> {
    await this.#hotRows?.dispose();
  }

  async #synced(move: () => Promise<SyncReport>): Promise<void> {
    const { clock, onEvent } = this.#options;
    const start = clock();
    const { bytes, rows } = await move();
    const end = clock();
    this.sync.count++;
    this.sync.bytes += bytes;
    this.sync.seconds += end - start;
    onEvent({ event: "span", span: "sync", start, end, detail: { bytes, rows } });
  }
}
