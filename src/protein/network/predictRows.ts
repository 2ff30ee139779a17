/** @file The probabilities of many sequences of a set, in the order that they are asked for. */
import { multiclassMetrics, type MulticlassMetrics } from "../../run/metrics/multiclass.ts";
import type { SequenceSet } from "../sequenceSet.ts";
import { bucketLengths, bucketedBatches, type BucketBatch } from "./bucketedBatches.ts";
import type { ProteinNetwork } from "./proteinNetwork.ts";

/** How many are predicted. */
export interface PredictOptions {
  onProgress?: (done: number) => void;
  /** Ends the work: its reason is thrown. */
  signal?: AbortSignal;
}

/**
 * Predicts sequences; longer ones by their first `length` residues, as in training.
 * @param rows of the set
 * @returns probabilities `[rows.length, C]`
 */
export async function predictRows(
  network: ProteinNetwork,
  set: SequenceSet,
  rows: Uint32Array,
  length: number,
  { onProgress, signal }: PredictOptions = {},
): Promise<Float32Array> {
  const { partRows: batchSize, model } = network;
  const places = new Map<number, number>();
  rows.forEach((row, place) => places.set(row, place));
  const probabilities = new Float32Array(rows.length * model.classes);
  let done = 0;
  const take = async (batch: BucketBatch): Promise<void> => {
    const found = await network.predict(batch);
    for (let i = 0; i < batch.size; i++) {
      const from = found.probabilities.subarray(i * model.classes, (i + 1) * model.classes);
      probabilities.set(from, places.get(batch.rows[i]!)! * model.classes);
    }
    done += batch.size;
    onProgress?.(done);
  };
  const flights: Promise<void>[] = [];
  for (const batch of bucketedBatches(set, rows, { batchSize, lengths: bucketLengths(length) })) {
    signal?.throwIfAborted();
    const flight = take(batch);
    // It is awaited later; a failure before then must not count as unhandled.
    flight.catch(() => undefined);
    flights.push(flight);
    if (flights.length > network.parallelism) await flights.shift();
  }
  while (flights.length > 0) await flights.shift();
  return probabilities;
}

/** Predicts sequences and compares with their labels. */
export async function evaluateRows(
  network: ProteinNetwork,
  set: SequenceSet,
  rows: Uint32Array,
  length: number,
  options: PredictOptions = {},
): Promise<{ metrics: MulticlassMetrics; probabilities: Float32Array }> {
  const probabilities = await predictRows(network, set, rows, length, options);
  const labels = Int32Array.from(rows, (row) => set.labels[row]!);
  return { metrics: multiclassMetrics(probabilities, labels, network.model.classes), probabilities };
}
