/**
 * @file The click log that FAE is measured on: that of `pareto recsys synth --preset kaggle`, with Criteo Kaggle's table sizes,
 * planted truth and columns that are independent of each other, values hashed to rows.
 *
 * The exponent of its Zipf law is our choice, and so is the share that is sampled: 30 % of 1.6 million inputs, as many
 * as 5 % of 9.4 million would be.
 */
import { join } from "node:path";
import type { ClickBatch } from "../../src/recsys/data/batches/clickBatch.ts";
import type { EncodedDataset } from "../../src/recsys/data/encode/encodedDataset.ts";
import { EncodedDatasetWriter } from "../../src/recsys/data/encode/encodedDatasetWriter.ts";
import { type ClickBlock, ClickGenerator } from "../../src/recsys/data/synth/generator.ts";
import { synthPresets } from "../../src/recsys/data/synth/presets.ts";

/** Exponent of the popularity of values in every column. */
export const EXPONENT = 1.2;
/** Share of the inputs that hot rows are chosen by. */
export const SAMPLE_RATE = 0.3;
const CLICK_RATE = 0.28;
const SEED = 5;

/** What is trained on, and what the loss is measured on. */
export interface FaeLog {
  train: EncodedDataset;
  validation: EncodedDataset;
}

/** Writes a log of `inputs` to train on, and `validation` inputs after them, into a folder. */
export async function writeFaeLog(
  directory: string,
  { inputs, validation, rowsScale }: { inputs: number; validation: number; rowsScale: number },
): Promise<FaeLog> {
  const rows = synthPresets.kaggle.cardinalities.map((n) => Math.max(2, Math.round(n * rowsScale)));
  const preset = { ...synthPresets.kaggle, cardinalities: rows };
  const total = inputs + validation;
  const log = { preset, rows: total, seed: SEED, skew: EXPONENT, clickRate: CLICK_RATE, drift: 0 };
  const generator = new ClickGenerator(log);
  const layout = {
    dense: preset.dense.length,
    tables: rows.length,
    cardinalities: rows,
    multiHot: false,
  };
  const [train, held] = [
    await EncodedDatasetWriter.create(join(directory, "train"), layout),
    await EncodedDatasetWriter.create(join(directory, "validation"), layout),
  ];
  for (let block = 0, done = 0; block < generator.blocks; block++) {
    const batch = encode(generator.draw(block), rows, done);
    const split = Math.min(batch.size, Math.max(0, inputs - done));
    const positions = (from: number, to: number) =>
      Uint32Array.from({ length: to - from }, (_, i) => from + i);
    if (split > 0) await train.append(batch, positions(0, split));
    if (split < batch.size) await held.append(batch, positions(split, batch.size));
    done += batch.size;
  }
  return { train: await train.finish(), validation: await held.finish() };
}

/** Counts as ln(x + 1), values as buckets of their tables. */
function encode(block: ClickBlock, rows: readonly number[], first: number): ClickBatch {
  const { size } = block;
  const columns = block.dense.length;
  const dense = new Float32Array(size * columns);
  const ids = new Int32Array(size * rows.length);
  for (const [c, counts] of block.dense.entries()) {
    for (let i = 0; i < size; i++) dense[i * columns + c] = Math.log1p(Math.max(0, counts[i]!));
  }
  for (const [t, values] of block.values.entries()) {
    const buckets = rows[t]!;
    for (let i = 0; i < size; i++) ids[t * size + i] = values[i]! % buckets;
  }
  return {
    size,
    dense,
    lookups: { size, tables: rows.length, ids, offsets: null },
    labels: Float32Array.from(block.labels.subarray(0, size)),
    rows: Float64Array.from({ length: size }, (_, i) => first + i),
  };
}
