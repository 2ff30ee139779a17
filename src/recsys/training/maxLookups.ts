/** @file How many lookups a batch of a data set can have. */
import type { EncodedDataset } from "../data/encode/encodedDataset.ts";

/** Most lookups of a batch, over all tables. */
export function maxLookupsOf(dataset: EncodedDataset, batchSize: number): number {
  return Math.max(1, batchSize * dataset.maxIdsPerRow);
}
