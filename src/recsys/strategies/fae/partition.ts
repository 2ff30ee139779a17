/**
 * @file The input processor of FAE: streams the training part once and writes its hot and its cold inputs as two
 * encoded data sets. Hot inputs carry hot indices in place of rows; cold ones are left as they are.
 *
 * Order within a class is the order of the source, and each input keeps its position there. Every input goes to
 * exactly one class (invariant I3). Memory is one batch and the writers' buffers.
 */
import type { ClickBatch, Lookups } from "../../data/batches/clickBatch.ts";
import type { EncodedDataset } from "../../data/encode/encodedDataset.ts";
import { selectInputs } from "../../data/batches/selectInputs.ts";
import { EncodedDatasetWriter } from "../../data/encode/encodedDatasetWriter.ts";
import type { EncodedLayout } from "../../data/encode/encodedLayout.ts";
import { invariant } from "../../../base/errors.ts";
import type { OnEvent } from "../../../run/events.ts";
import type { InputClasses } from "./classifier.ts";
import { classifyInputs, hotIndices } from "./classifier.ts";
import type { ClickSource } from "./clickSource.ts";
import type { HotSet } from "./hotSet.ts";
import { inputProgress } from "./progress.ts";

const BATCH_SIZE = 8192;

/** The two classes of a training part. */
export interface Partition {
  /** Inputs whose ids are hot indices in `[0, K)`. */
  hot: EncodedDataset;
  cold: EncodedDataset;
  /** Share of all lookups that hit hot rows, of cold inputs too; exact. */
  accessShare: number;
}

/**
 * Splits a training part.
 * @param directories where the two data sets are written
 * @throws ParetoError `FILE_REFUSED`, `FILE_DISK_FULL`
 */
export async function partitionInputs(
  source: ClickSource,
  layout: EncodedLayout,
  hotSet: HotSet,
  directories: { hot: string; cold: string },
  onEvent?: OnEvent,
): Promise<Partition> {
  const hotLayout = { ...layout, cardinalities: layout.cardinalities.map(() => hotSet.size) };
  const hotWriter = await EncodedDatasetWriter.create(directories.hot, hotLayout);
  const coldWriter = await EncodedDatasetWriter.create(directories.cold, layout).catch(
    async (error: unknown) => {
      await hotWriter.abort();
      throw error;
    },
  );
  try {
    const progress = inputProgress("partition", source.rows, onEvent);
    const toHotIndex = hotIndices(hotSet);
    let done = 0;
    let lookups = 0;
    let hotLookups = 0;
    for await (const batch of source.batches({ batchSize: BATCH_SIZE, recycle: 2 })) {
      const { hot, cold } = classes(batch, hotSet);
      if (hot.length > 0) await hotWriter.append(selectInputs(batch, hot, toHotIndex));
      if (cold.length > 0) await coldWriter.append(batch, cold);
      lookups += lookupCount(batch.lookups);
      hotLookups += countHotLookups(batch.lookups, hotSet);
      progress((done += batch.size));
    }
    const accessShare = hotLookups / Math.max(1, lookups);
    const partition = { hot: await hotWriter.finish(), cold: await coldWriter.finish(), accessShare };
    const { rows } = source;
    invariant(partition.hot.rows + partition.cold.rows === rows, `hot and cold inputs make up all ${rows}`);
    return partition;
  } catch (error) {
    await Promise.all([hotWriter.abort(), coldWriter.abort()]);
    throw error;
  }
}

/** Lookups of a batch. */
function lookupCount({ offsets, size, tables }: Lookups): number {
  return offsets === null ? tables * size : offsets[tables * size]!;
}

/** Lookups of a batch that hit a hot row. */
function countHotLookups(lookups: Lookups, { hotIndexOf, space }: HotSet): number {
  const { ids, offsets, size } = lookups;
  let hot = 0;
  for (let table = 0; table < lookups.tables; table++) {
    const first = space.offsets[table]!;
    const end = offsets === null ? (table + 1) * size : offsets[(table + 1) * size]!;
    for (let k = offsets === null ? table * size : offsets[table * size]!; k < end; k++) {
      if (hotIndexOf[first + ids[k]!]! >= 0) hot++;
    }
  }
  return hot;
}

/** Without hot rows there is no hot copy to train on, so even inputs that look nothing up are cold. */
function classes(batch: ClickBatch, hotSet: HotSet): InputClasses {
  if (hotSet.size > 0) return classifyInputs(batch.lookups, hotSet);
  return { hot: new Uint32Array(0), cold: Uint32Array.from({ length: batch.size }, (_, b) => b) };
}
