/** @file The quality of a network on a data set, and its logits in row order. */
import type { EncodedDataset } from "../data/encode/encodedDataset.ts";
import { binaryMetrics, type BinaryMetrics } from "../../run/metrics/binary.ts";
import type { ClickNetwork } from "./clickNetwork.ts";

/** What to evaluate. */
export interface EvaluateOptions {
  /** Inputs to look at, from the first; all when left out. */
  limit?: number;
  /** Ends the work: its reason is thrown. */
  signal?: AbortSignal;
  /** Told how many inputs are done. */
  onProgress?: (done: number) => void;
}

/** Logits and labels of a data set's inputs, in row order. */
export async function predictLogits(
  network: ClickNetwork,
  dataset: EncodedDataset,
  { limit = dataset.rows, signal, onProgress }: EvaluateOptions = {},
): Promise<{ logits: Float32Array; labels: Float32Array }> {
  const rows = Math.min(limit, dataset.rows);
  const logits = new Float32Array(rows);
  const labels = new Float32Array(rows);
  let done = 0;
  const batches = dataset.batches({ batchSize: network.dense.batchSize, recycle: 4 });
  for await (const { batch, logits: values } of network.pipeline.predict(network.tables, batches)) {
    signal?.throwIfAborted();
    const count = Math.min(batch.size, rows - done);
    logits.set(values.subarray(0, count), done);
    labels.set(batch.labels.subarray(0, count), done);
    done += count;
    onProgress?.(done);
    if (done >= rows) break;
  }
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

/** The probabilities of a data set's inputs, in row order, a batch at a time. */
export async function* predictProbabilities(
  network: ClickNetwork,
  dataset: EncodedDataset,
  onProgress?: (done: number) => void,
): AsyncGenerator<Float32Array> {
  let done = 0;
  const batches = dataset.batches({ batchSize: network.dense.batchSize, recycle: 4 });
  for await (const { logits } of network.pipeline.predict(network.tables, batches)) {
    done += logits.length;
    onProgress?.(done);
    yield logits.map((z) => 1 / (1 + Math.exp(-z)));
  }
}
