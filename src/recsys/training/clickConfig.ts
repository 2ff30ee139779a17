/** @file The configuration of a training run on clicks, as its folder keeps it: what is read, how it is encoded, how it is trained. */
import { z } from "zod";
import type { PrepareOptions } from "../data/encode/prepareDataset.ts";
import { csvOptions } from "../data/source/csvOptions.ts";
import type { SourceOptions } from "../data/source/source.ts";
import { trainingSettings, type RequestedSettings } from "./settings.ts";

const names = z.array(z.string()).readonly();
const share = z.number().positive();
const count = z.int().min(1);

/** What is read. */
type ClickSource = Pick<SourceOptions, "paths" | "sql" | "format" | "csv" | "onBadRow">;

const source = z.strictObject({
  paths: names,
  sql: z.string().exactOptional(),
  format: z.enum(["parquet", "csv", "json", "criteo"]).exactOptional(),
  csv: csvOptions.exactOptional(),
  onBadRow: z.enum(["error", "skip"]).exactOptional(),
}) satisfies z.ZodType<ClickSource>;

const prepare = z.strictObject({
  label: z.string().exactOptional(),
  time: z.string().exactOptional(),
  dense: names.exactOptional(),
  categorical: names.exactOptional(),
  ignore: names.exactOptional(),
  split: z
    .strictObject({
      kind: z.enum(["temporal", "random"]).exactOptional(),
      fractions: z.tuple([share, share, share]).readonly().exactOptional(),
      seed: z.int().min(0).exactOptional(),
    })
    .exactOptional(),
  minCount: count.exactOptional(),
  hashBuckets: z.union([count, z.record(z.string(), count).readonly()]).exactOptional(),
  transforms: z
    .record(z.string(), z.enum(["log1p", "standard"]))
    .readonly()
    .exactOptional(),
}) satisfies z.ZodType<PrepareOptions>;

/** All that decides a run. */
export const clickConfig = z.strictObject({
  source,
  prepare,
  settings: trainingSettings,
  /** What the model's definition found in the training part; null for a model that needs nothing. */
  prepared: z.json(),
});

/** All that decides a run. */
export type ClickConfig = z.infer<typeof clickConfig>;

/** A configuration as it is asked for: the batch size, and what a model must know of the data, may be left to the data. */
export type RequestedConfig = Omit<ClickConfig, "settings" | "prepared"> & {
  settings: RequestedSettings;
  prepared?: ClickConfig["prepared"];
};
