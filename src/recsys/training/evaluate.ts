/** @file The quality of a network on a data set, and its logits in row order. */
import type { EncodedDataset } from "../../data/encodedDataset.ts";
import { binaryMetrics, type BinaryMetrics } from "../../train/metrics/binary.ts";
import type { ClickNetwork } from "./clickNetwork.ts";
import { StepPipeline } from "./stepPipeline.ts";

/** What to evaluate. */
export interface EvaluateOptions {
  /** Inputs to look at, from the first; all when left out. */
  limit?: number;
  /** Told how many inputs are done. */
  onProgress?: (done: number) => void;
}

/** Logits and labels of a data set's inputs, in row order. */
export async function predictLogits(
  network: ClickNetwork,
  dataset: EncodedDataset,
  { limit = dataset.rows, onProgress }: EvaluateOptions = {},
): Promise<{ logits: Float32Array; labels: Float32Array }> {
  const rows = Math.min(limit, dataset.rows);
  const logits = new Float32Array(rows);
  const labels = new Float32Array(rows);
  let done = 0;
  const { batchSize } = network.dense;
  const batches = takeRows(dataset.batches({ batchSize, recycle: 4 }), Math.ceil(rows / batchSize));
  await new StepPipeline(network.dense).predict(network.tables, batches, (batch, values) => {
    const count = Math.min(batch.size, rows - done);
    logits.set(values.subarray(0, count), done);
    labels.set(batch.labels.subarray(0, count), done);
    done += count;
    onProgress?.(done);
  });
  return { logits, labels };
}

/** Log loss, AUC and accuracy of a network on a data set. */
export async function evaluate(
  network: ClickNetwork,
  dataset: EncodedDataset,
  options: EvaluateOptions = {},
): Promise<BinaryMetrics> {
  const { logits, labels } = await predictLogits(network, dataset, options);
  return binaryMetrics(logits, labels);
}

async function* takeRows<T>(items: AsyncGenerator<T>, count: number): AsyncGenerator<T> {
  let taken = 0;
  for await (const item of items) {
    if (taken++ === count) return;
    yield item;
  }
}
