/**
 * @file Rates of the embedding memory: gather (distinct rows and pooling), update and refresh of Kaggle-shaped
 * tables under Zipf lookups, one id a bag. The limits they are related to, measured in the same run on the same
 * threads, are reads of 64-byte lines at random and in order from a memory far larger than the caches.
 *
 * Caches are swept between the timed calls, as the dense part of a training step would.
 * Takes 3.4 GB.
 */
import { availableParallelism } from "node:os";
import type { Lookups } from "../../src/recsys/data/batches/clickBatch.ts";
import { Rng } from "../../src/base/rng.ts";
import { Arena, type KernelTask, ThreadPool } from "../../src/engine/targets/cpu/index.ts";
import { EmbeddingTables } from "../../src/recsys/embedding/embeddingTables.ts";
import type { SparseOptimizer } from "../../src/recsys/embedding/sparseOptimizer.ts";
import { BATCH, cardinalities as kaggleRows, DIM } from "./kaggle.ts";
import type { BenchRow } from "../harness/rows.ts";
import { median } from "../harness/timing.ts";

/** What a timed call did: medians over the steps. */
interface RowRate {
  milliseconds: number;
  rowsPerSecond: number;
  /** Bytes of looked-up rows a second (4·D a lookup), writes not counted. */
  gigabytesPerSecond: number;
  /** `gigabytesPerSecond` over the rate of random 64-byte reads. */
  ratioToRandom: number;
}

/** What a run measured. */
export interface EmbeddingResult {
  bench: "embedding";
  rowsScale: number;
  rows: number;
  threads: number;
  batchSize: number;
  dim: number;
  optimizer: SparseOptimizer["kind"];
  /** Rows and optimizer state. */
  tableBytes: number;
  createSeconds: number;
  /** Resident memory of the process with the tables filled, before the limits are measured. */
  rssBytes: number;
  rssRatio: number;
  /** Median distinct rows of a batch. */
  distinctRows: number;
  gather: RowRate;
  update: RowRate;
  refresh: RowRate;
  randomGigabytesPerSecond: number;
  sequentialGigabytesPerSecond: number;
}

/** How to run {@link benchEmbedding}. */
interface EmbeddingBenchOptions {
  /** Multiplies the rows of every table. */
  rowsScale?: number;
  threads?: number;
  optimizer?: SparseOptimizer["kind"];
  steps?: number;
}

const ZIPF = 1.05;
const LINE_BYTES = 64;
/** Memory for the limits: large against any cache, and a sweep of its start empties the caches. */
const PROBE_BYTES = 2 ** 30;
const SWEEP_LINES = (96 * 2 ** 20) / LINE_BYTES;

/** Lookups whose ranks follow a power law with exponent {@link ZIPF}, ids scattered over each table. */
function zipfLookups(rng: Rng, cardinalities: readonly number[]): Lookups {
  const ids = new Int32Array(new SharedArrayBuffer(4 * cardinalities.length * BATCH));
  for (const [t, rows] of cardinalities.entries()) {
    const top = rows ** (1 - ZIPF) - 1;
    for (let b = 0; b < BATCH; b++) {
      const rank = Math.min(rows, Math.floor((1 + rng.uniform() * top) ** (1 / (1 - ZIPF))));
      ids[t * BATCH + b] = (rank * 2_654_435_761) % rows;
    }
  }
  return { size: BATCH, tables: cardinalities.length, ids, offsets: null };
}

function distinctOf({ ids, tables }: Lookups): number {
  let count = 0;
  for (let t = 0; t < tables; t++) count += new Set(ids.subarray(t * BATCH, (t + 1) * BATCH)).size;
  return count;
}

/** A memory of 64-byte lines with lists of lines to read. */
class Probe {
  readonly #pool: ThreadPool;
  readonly #arena = new Arena(PROBE_BYTES + (PROBE_BYTES / LINE_BYTES) * 4 + 2 ** 20);
  readonly #lines = PROBE_BYTES / LINE_BYTES;
  readonly #base: number;
  readonly #ids: number;
  readonly #out: number;

  constructor(pool: ThreadPool) {
    this.#pool = pool;
    this.#base = this.#arena.allocate(PROBE_BYTES);
    this.#ids = this.#arena.allocate(4 * this.#lines);
    this.#out = this.#arena.allocate(LINE_BYTES * 1024);
    // Touch every page, or reads would all hit the one page of zeros.
    this.#arena.float32At(this.#base, PROBE_BYTES / 4).fill(1);
  }

  /** Seconds to read `count` lines with all threads. */
  async read(count: number): Promise<number> {
    const share = Math.ceil(count / (this.#pool.threads * 8));
    const tasks: KernelTask[] = [];
    for (let from = 0; from < count; from += share) {
      const out = this.#out + LINE_BYTES * tasks.length;
      const args = [this.#base, this.#ids + 4 * from, Math.min(share, count - from), out];
      tasks.push({ kernel: "readLines", arena: this.#arena, arguments: args });
    }
    const start = performance.now();
    await this.#pool.run(tasks);
    return (performance.now() - start) / 1000;
  }

  listInOrder(): void {
    const ids = this.#arena.int32At(this.#ids, this.#lines);
    for (let i = 0; i < ids.length; i++) ids[i] = i;
  }

  listAtRandom(rng: Rng, count: number): void {
    const ids = this.#arena.int32At(this.#ids, count);
    for (let i = 0; i < count; i++) ids[i] = rng.integer(this.#lines);
  }

  /** Gigabytes a second of the best of a few reads. */
  async rate(count: number): Promise<number> {
    let best = Infinity;
    for (let i = 0; i < 4; i++) best = Math.min(best, await this.read(count));
    return (count * LINE_BYTES) / best / 1e9;
  }
}

function optimizerOf(kind: SparseOptimizer["kind"]): SparseOptimizer {
  if (kind === "sgd") return { kind };
  if (kind === "adam") return { kind, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  return { kind, epsilon: 1e-10 };
}

/** Measures. Takes about 10 s at full size. */
export async function benchEmbedding(options: EmbeddingBenchOptions = {}): Promise<EmbeddingResult> {
  const { rowsScale = 1, threads = Math.min(4, availableParallelism()), steps = 40 } = options;
  const optimizer = optimizerOf(options.optimizer ?? "sgd");
  const cardinalities = kaggleRows.map((rows) => Math.max(1, Math.round(rows * rowsScale)));
  const pool = await ThreadPool.create(threads);
  const start = performance.now();
  const limits = { stagingBuffers: 2, maxBatch: BATCH, dim: DIM, optimizer };
  const tables = await EmbeddingTables.create({ cardinalities, seed: 1, pool, ...limits });
  const createSeconds = (performance.now() - start) / 1000;
  const rssBytes = process.memoryUsage.rss();

  const probe = new Probe(pool);
  const rng = new Rng(7);
  probe.listAtRandom(rng, 2 ** 22);
  const random = await probe.rate(2 ** 22);
  probe.listInOrder();
  const sequential = await probe.rate(PROBE_BYTES / LINE_BYTES);

  const times = { gather: [] as number[], update: [] as number[], refresh: [] as number[] };
  const timed = async (name: keyof typeof times, work: () => Promise<void>): Promise<void> => {
    await probe.read(SWEEP_LINES);
    const start = performance.now();
    await work();
    times[name].push(performance.now() - start);
  };
  const distinct: number[] = [];
  let next = zipfLookups(rng, cardinalities);
  await tables.stage(0, next);
  for (let step = 1; step <= steps; step++) {
    const buffer = (step - 1) % 2;
    next = zipfLookups(rng, cardinalities);
    distinct.push(distinctOf(next));
    tables.gradients(buffer).fill(1e-3);
    await timed("gather", () => tables.stage(1 - buffer, next));
    await timed("update", () => tables.update(buffer, 0.1, step));
    await timed("refresh", () => tables.refresh(1 - buffer, buffer));
  }
  const rate = (values: number[]): RowRate => {
    const milliseconds = median(values);
    const rowsPerSecond = (BATCH * cardinalities.length) / (milliseconds / 1000);
    const gigabytesPerSecond = (rowsPerSecond * DIM * 4) / 1e9;
    return { milliseconds, rowsPerSecond, gigabytesPerSecond, ratioToRandom: gigabytesPerSecond / random };
  };
  const result: EmbeddingResult = {
    bench: "embedding",
    rowsScale,
    rows: cardinalities.reduce((sum, rows) => sum + rows, 0),
    threads,
    batchSize: BATCH,
    dim: DIM,
    optimizer: optimizer.kind,
    tableBytes: tables.bytes,
    createSeconds,
    rssBytes,
    rssRatio: rssBytes / tables.bytes,
    distinctRows: median(distinct),
    gather: rate(times.gather),
    update: rate(times.update),
    refresh: rate(times.refresh),
    randomGigabytesPerSecond: random,
    sequentialGigabytesPerSecond: sequential,
  };
  await tables.dispose();
  await pool.dispose();
  return result;
}

const count = (value: number) => Math.round(value).toLocaleString("en-US");

/** The lines of the table. */
export function embeddingRows(result: EmbeddingResult): BenchRow[] {
  return (["gather", "update", "refresh"] as const).map((name) => ({
    case: `embedding ${name}`,
    size: `${(result.rows / 1e6).toFixed(2)} M rows, batch ${result.batchSize} × 26, ${count(result.distinctRows)} distinct`,
    milliseconds: result[name].milliseconds,
    figure: `${result[name].gigabytesPerSecond.toFixed(2)} GB/s of rows`,
    limit: `${result.randomGigabytesPerSecond.toFixed(2)} GB/s, random 64-byte reads`,
    ratio: result[name].ratioToRandom,
    target: "",
    met: null,
  }));
}
