/**
 * @file The shape of DLRM on Criteo Kaggle (13 dense columns, 26 tables of 33,762,577 rows in all, D = 16) and
 * batches of it: ids follow Zipf's law with exponent 1, most frequent first, as a vocabulary numbers them.
 */
import type { ClickBatch } from "../../src/recsys/data/batches/clickBatch.ts";
import { synthPresets } from "../../src/recsys/data/synth/presets.ts";
import type { Rng } from "../../src/base/rng.ts";
import { dlrm } from "../../src/recsys/models/dlrm.ts";

/** Inputs in a batch. */
export const BATCH = 2048;
/** Embedding dimension. */
export const DIM = 16;
/** Rows of each table. */
export const cardinalities: readonly number[] = synthPresets.kaggle.cardinalities;

const DENSE = 13;
const CLICK_RATE = 0.26;

/** The model. */
export const model = dlrm({
  dense: DENSE,
  tables: cardinalities.length,
  dim: DIM,
  bottom: [512, 256, 64],
  top: [512, 256],
});

/** What to draw in place of the usual batch. */
export interface KaggleBatchOptions {
  /** Inputs in the batch. */
  size?: number;
  /** Rows of each table. */
  rows?: readonly number[];
}

/** Makes a batch. */
export function kaggleBatch(
  rng: Rng,
  { size = BATCH, rows: tables = cardinalities }: KaggleBatchOptions = {},
): ClickBatch {
  const floats = (length: number, value: () => number) =>
    new Float32Array(new SharedArrayBuffer(4 * length)).map(value);
  const ids = new Int32Array(new SharedArrayBuffer(4 * tables.length * size));
  for (const [table, rows] of tables.entries()) {
    for (let input = 0; input < size; input++) {
      const rank = Math.floor((rows + 1) ** rng.uniform() - 1);
      ids[table * size + input] = Math.min(rows - 1, rank);
    }
  }
  return {
    size,
    dense: floats(size * DENSE, () => 2 * rng.uniform() - 1),
    lookups: { size, tables: tables.length, ids, offsets: null },
    labels: floats(size, () => (rng.uniform() < CLICK_RATE ? 1 : 0)),
    rows: new Float64Array(size),
  };
}
