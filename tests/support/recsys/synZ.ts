/**
 * @file syn-Z, the synthetic click log that FAE's acceptance tests are stated on: 12 tables, 314 424 rows, Zipf
 * 1.05 ids, 4 dense inputs, labels from a planted factorisation machine with a click rate of about 0.30.
 *
 * Ids of a table are in order of popularity unless `permuted`. The best possible probabilities are kept, so the
 * Bayes AUC of a data set made here can be computed exactly.
 */
import type { ClickBatch } from "../../../src/recsys/data/batches/clickBatch.ts";
import type { EncodedLayout } from "../../../src/recsys/data/encode/encodedLayout.ts";
import { Rng } from "../../../src/base/rng.ts";
import type { ClickSource } from "../../../src/recsys/strategies/fae/clickSource.ts";

/** Rows of the tables. */
export const SYN_Z_TABLES = [4, 20, 100, 300, 1000, 3000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000];

const EXPONENT = 1.05;
const DENSE = 4;
const LATENT = 4;

/** A generated log, held in memory, table-major. */
export interface SynZ extends ClickSource {
  layout: EncodedLayout;
  /** `[T][N]` */
  ids: Int32Array[];
  /** `[N, 4]` */
  dense: Float32Array;
  labels: Float32Array;
  /** `[N]` true click probabilities. */
  probabilities: Float64Array;
}

/** What to generate. */
export interface SynZOptions {
  rows: number;
  seed: number;
  /** Renumber the rows of each table at random. */
  permuted?: boolean;
  /** Leave out dense inputs and labels, which calibration does not read. */
  idsOnly?: boolean;
}

/** Generates a log. */
export function synZ(options: SynZOptions): SynZ {
  const { rows, seed, permuted = false, idsOnly = false } = options;
  const ids = SYN_Z_TABLES.map((size, table) => zipfIds(size, rows, seed, table, permuted));
  const dense = new Float32Array(rows * DENSE);
  const labels = new Float32Array(rows);
  const probabilities = new Float64Array(rows);
  if (!idsOnly) plantTruth(ids, dense, labels, probabilities, seed);
  const layout = { dense: DENSE, tables: ids.length, cardinalities: [...SYN_Z_TABLES], multiHot: false };
  return {
    rows,
    layout,
    ids,
    dense,
    labels,
    probabilities,
    async *batches({ batchSize }) {
      for (let start = 0; start < rows; start += batchSize) {
        yield batchOf(ids, dense, labels, start, Math.min(rows, start + batchSize));
      }
    },
  };
}

function batchOf(
  ids: Int32Array[],
  dense: Float32Array,
  labels: Float32Array,
  start: number,
  end: number,
): ClickBatch {
  const size = end - start;
  const flat = new Int32Array(size * ids.length);
  for (const [table, column] of ids.entries()) flat.set(column.subarray(start, end), table * size);
  return {
    size,
    dense: dense.subarray(start * DENSE, end * DENSE),
    lookups: { size, tables: ids.length, ids: flat, offsets: null },
    labels: labels.subarray(start, end),
    rows: Float64Array.from({ length: size }, (_, b) => start + b),
  };
}

/** Ids by the inverse of the cumulative Zipf law, found from a guide table. */
function zipfIds(size: number, rows: number, seed: number, table: number, permuted: boolean): Int32Array {
  const cumulative = new Float64Array(size);
  let sum = 0;
  for (let rank = 0; rank < size; rank++) cumulative[rank] = sum += (rank + 1) ** -EXPONENT;
  const guide = new Int32Array(4097);
  for (let g = 0, rank = 0; g <= 4096; g++) {
    while (rank < size - 1 && cumulative[rank]! < (g / 4096) * sum) rank++;
    guide[g] = rank;
  }
  const rng = new Rng(seed, 100 + table);
  const names = Int32Array.from({ length: size }, (_, rank) => rank);
  if (permuted) new Rng(seed, 200 + table).shuffle(names);
  const out = new Int32Array(rows);
  for (let i = 0; i < rows; i++) {
    const u = rng.uniform();
    let low = guide[Math.floor(u * 4096)]!;
    let high = guide[Math.floor(u * 4096) + 1]!;
    const target = u * sum;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (cumulative[middle]! < target) low = middle + 1;
      else high = middle;
    }
    out[i] = names[low]!;
  }
  return out;
}

/** Dense effects, first-order row effects and pairwise latent products, standardised to deviation 1.5, mean −1.1. */
function plantTruth(
  ids: Int32Array[],
  dense: Float32Array,
  labels: Float32Array,
  probabilities: Float64Array,
  seed: number,
): void {
  const rows = labels.length;
  // The truth belongs to the seed's tables, the noise to its inputs: the same stream for any number of rows.
  const truth = new Rng(seed, 300);
  const weights = Float64Array.from({ length: DENSE }, () => truth.normal());
  const first = ids.map((_, t) =>
    Float64Array.from({ length: SYN_Z_TABLES[t]! }, () => 0.35 * truth.normal()),
  );
  const latent = ids.map((_, t) =>
    Float64Array.from({ length: SYN_Z_TABLES[t]! * LATENT }, () => 0.35 * truth.normal()),
  );
  const noise = new Rng(seed, 301);
  const logits = new Float64Array(rows);
  const total = new Float64Array(LATENT);
  for (let i = 0; i < rows; i++) {
    let logit = 0;
    for (let d = 0; d < DENSE; d++) logit += (dense[i * DENSE + d] = noise.normal()) * weights[d]!;
    total.fill(0);
    let squares = 0;
    for (const [t, column] of ids.entries()) {
      const row = column[i]!;
      logit += first[t]![row]!;
      for (let k = 0; k < LATENT; k++) {
        const value = latent[t]![row * LATENT + k]!;
        total[k]! += value;
        squares += value * value;
      }
    }
    logits[i] = logit + (total.reduce((sum, v) => sum + v * v, 0) - squares) / 2;
  }
  const mean = logits.reduce((sum, v) => sum + v, 0) / rows;
  const deviation = Math.sqrt(logits.reduce((sum, v) => sum + (v - mean) ** 2, 0) / rows);
  for (let i = 0; i < rows; i++) {
    const p = 1 / (1 + Math.exp(-((1.5 * (logits[i]! - mean)) / deviation - 1.1)));
    probabilities[i] = p;
    labels[i] = noise.uniform() < p ? 1 : 0;
  }
}
