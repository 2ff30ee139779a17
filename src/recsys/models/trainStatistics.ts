/** @file What models may know of the training part before they are made, from prepared data. */
import type { PreparedDataset } from "../data/encode/prepareDataset.ts";
import type { TrainStatistics } from "./ctrModel.ts";

/** The training part of prepared data. */
export function trainStatistics({
  schema,
  train,
}: Pick<PreparedDataset, "schema" | "train">): TrainStatistics {
  const { rows, labelCounts } = train;
  return { schema, rows, labelCounts, batches: (options) => train.batches(options) };
}
