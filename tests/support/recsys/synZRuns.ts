/** @file Runs on syn-Z: the network and the data that FAE's accuracy is stated on. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClickSource } from "../../../src/recsys/strategies/fae/clickSource.ts";
import type { TrainingSettings } from "../../../src/recsys/training/settings.ts";
import { auc } from "../../../src/run/metrics/auc.ts";
import { synZ, type SynZ } from "./synZ.ts";
import { encode, faeText, smallSettings, type RunData } from "./clickRuns.ts";

/** FAE whose hot rows are those most used in the whole training part. @param shuffle a policy of kind recsys.rate */
export const synZFae = (shuffle: string): string => faeText({ budget: 1.5 * 2 ** 20, sample: 1, shuffle });

/** Network and batch size. */
export const synZSettings: TrainingSettings = {
  ...smallSettings,
  model: "dlrm:dim=8,bottom=32,top=(64,32)",
  batchSize: 256,
};

/** A log on disk, split by position: the first inputs to train on, the rest to validate on. */
export interface SynZData extends RunData, AsyncDisposable {
  /** AUC of the true probabilities on the validation part. */
  bayesAuc: number;
}

/** Generates a log. */
export async function synZData(options: {
  train: number;
  validation: number;
  seed: number;
}): Promise<SynZData> {
  const rows = options.train + options.validation;
  const log = synZ({ rows, seed: options.seed });
  const directory = await mkdtemp(join(tmpdir(), "pareto-synz-"));
  const part = (name: string, from: number, to: number) =>
    encode(join(directory, name), slice(log, from, to), log.layout, 8192);
  return {
    directory,
    train: await part("train", 0, options.train),
    validation: await part("validation", options.train, rows),
    bayesAuc: auc(log.probabilities.subarray(options.train), log.labels.subarray(options.train)),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

function slice({ ids, dense, labels }: SynZ, from: number, to: number): ClickSource {
  const width = dense.length / labels.length;
  return {
    rows: to - from,
    async *batches({ batchSize }) {
      for (let start = from; start < to; start += batchSize) {
        const end = Math.min(to, start + batchSize);
        const size = end - start;
        const flat = new Int32Array(size * ids.length);
        for (const [table, column] of ids.entries()) flat.set(column.subarray(start, end), table * size);
        yield {
          size,
          dense: dense.subarray(start * width, end * width),
          lookups: { size, tables: ids.length, ids: flat, offsets: null },
          labels: labels.subarray(start, end),
          rows: Float64Array.from({ length: size }, (_, b) => start - from + b),
        };
      }
    },
  };
}
