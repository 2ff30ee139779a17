/**
 * @file FAE's hot-size estimator: how many rows would be hot at an access threshold, bounded from above,
 * without counting them all.
 *
 * For a large table, n random chunks of m rows are read; y_i rows of chunk i reach the cutoff. Estimate
 * ȳ·rows/m; bound (ȳ + t·s/√n·√(1 − n/chunks))·rows/m, the finite-population factor being our choice, as are
 * n = 35, m = 1024 and 99.9 % two-sided by default. Chunks are runs of a seeded permutation of the rows: of
 * the rows as numbered they would be far too uneven, since vocabularies number rows by popularity.
 *
 * The sample is read once and each chunk's counts are kept sorted, so a further threshold costs 35 binary
 * searches a table. Tables of fewer than n + 1 chunks are counted exactly.
 */
import { Rng } from "../../../base/rng.ts";
import type { AccessLog } from "./accessLog.ts";
import { poissonUpperLimit, studentQuantile } from "../../../base/quantiles.ts";
import { rowPermutation } from "./rowPermutation.ts";

/** How the optimizer samples. */
export interface SizeEstimatorOptions {
  seed: number;
  /** Chunks a large table (n). Defaults to 35. */
  chunks?: number;
  /** Rows a chunk (m). Defaults to 1024. */
  chunkRows?: number;
  /** Two-sided confidence of the bound. Defaults to 0.999. */
  confidence?: number;
  /** Order in which a table's rows fill its chunks. Defaults to a seeded permutation. */
  order?: (rows: number, rng: Rng) => (position: number) => number;
}

/** How many rows are hot. */
export interface SizeEstimate {
  /** Expected number of rows. */
  rows: number;
  /** Upper confidence bound. */
  upper: number;
}

/** Below this many sampled hot rows a t-interval is too narrow, and the exact Poisson limit takes over. */
const FEW_HITS = 10;
const STREAM = 0x1fae0000;

/** Sorted counts of a table's sampled chunks, or of all its rows. */
interface TableSample {
  table: number;
  chunks: Uint32Array[];
  /** Chunks in the whole table; null when every row was read. */
  population: number | null;
}

/** Count from which a row of a table is hot: `max(1, threshold · lookups of the table)`. */
export function hotCutoff(threshold: number, tableLookups: number): number {
  return Math.max(1, threshold * tableLookups);
}

/** Estimates the size of hot sets from a fixed sample of row counts. */
export class HotSizeEstimator {
  /** Row counts read from tables that are sampled: at most n·m each. */
  readonly sampledRows: number;
  /** Row counts read from tables that are counted whole. */
  readonly exactRows: number;
  readonly #log: AccessLog;
  readonly #samples: TableSample[];
  readonly #chunkRows: number;
  readonly #quantile: number;
  readonly #tail: number;

  /** @param tables the tables to size; others are the caller's business */
  constructor(log: AccessLog, tables: readonly number[], options: SizeEstimatorOptions) {
    const { seed, chunks = 35, chunkRows = 1024, confidence = 0.999, order = rowPermutation } = options;
    this.#log = log;
    this.#chunkRows = chunkRows;
    this.#tail = (1 - confidence) / 2;
    this.#quantile = studentQuantile(1 - this.#tail, chunks - 1);
    this.#samples = tables.map((table) => sampleTable(log, table, chunks, chunkRows, order, seed));
    const read = (exact: boolean) =>
      this.#samples
        .filter((sample) => (sample.population === null) === exact)
        .reduce((sum, sample) => sum + sample.chunks.reduce((rows, chunk) => rows + chunk.length, 0), 0);
    this.sampledRows = read(false);
    this.exactRows = read(true);
  }

  /** Hot rows at an access threshold over all tables sized. */
  estimate(threshold: number): SizeEstimate {
    let rows = 0;
    let upper = 0;
    for (const sample of this.#samples) {
      const table = this.#estimateTable(sample, threshold);
      rows += table.rows;
      upper += table.upper;
    }
    return { rows, upper };
  }

  #estimateTable(sample: TableSample, threshold: number): SizeEstimate {
    const lookups = this.#log.lookups[sample.table]!;
    const cutoff = hotCutoff(threshold, lookups);
    const hits = sample.chunks.map((chunk) => countAtLeast(chunk, cutoff));
    const total = hits.reduce((sum, y) => sum + y, 0);
    if (sample.population === null) return { rows: total, upper: total };
    const n = hits.length;
    const mean = total / n;
    const variance = hits.reduce((sum, y) => sum + (y - mean) ** 2, 0) / (n - 1);
    const finite = Math.sqrt(Math.max(0, 1 - n / sample.population));
    let upperMean = mean + this.#quantile * Math.sqrt(variance / n) * finite;
    if (total < FEW_HITS) upperMean = Math.max(upperMean, poissonUpperLimit(total, this.#tail) / n);
    const scale = this.#log.space.sizes[sample.table]! / this.#chunkRows;
    // Counts sum to the table's lookups, so no more than lookups / cutoff rows can reach the cutoff.
    const most = Math.min(Math.floor(lookups / cutoff), this.#log.space.sizes[sample.table]!);
    return { rows: Math.min(mean * scale, most), upper: Math.min(upperMean * scale, most) };
  }
}

function sampleTable(
  log: AccessLog,
  table: number,
  chunks: number,
  chunkRows: number,
  order: NonNullable<SizeEstimatorOptions["order"]>,
  seed: number,
): TableSample {
  const rows = log.space.sizes[table]!;
  const first = log.space.offsets[table]!;
  const population = Math.floor(rows / chunkRows);
  if (population <= chunks) {
    return { table, chunks: [log.counts.slice(first, first + rows).sort()], population: null };
  }
  const rng = new Rng(seed, STREAM + table);
  const rowAt = order(rows, rng);
  const chosen = new Set<number>();
  while (chosen.size < chunks) chosen.add(rng.integer(population));
  const sampled = [...chosen].map((chunk) => {
    const counts = new Uint32Array(chunkRows);
    for (let i = 0; i < chunkRows; i++) counts[i] = log.counts[first + rowAt(chunk * chunkRows + i)]!;
    return counts.sort();
  });
  return { table, chunks: sampled, population };
}

/** How many of the rising `counts` are at least `cutoff`. */
function countAtLeast(counts: Uint32Array, cutoff: number): number {
  let low = 0;
  let high = counts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (counts[middle]! >= cutoff) high = middle;
    else low = middle + 1;
  }
  return counts.length - low;
}
