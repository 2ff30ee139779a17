/** @file What training a CTR model came to. */
import type { MetricName } from "../../run/metrics/metricNames.ts";
import type { TrainingResult } from "../../run/task.ts";
import type { HotReport, SyncTotals } from "../strategies/strategy.ts";
import type { ClickConfig } from "./clickConfig.ts";

/** What training came to; quality is null when it was stopped by the signal. */
export interface TrainClicksResult extends TrainingResult {
  /** Its name. */
  strategy: string;
  /** Of the test part. */
  auc: number | null;
  logLoss: number | null;
  accuracy: number | null;
  rows: { train: number; validation: number; test: number };
  /** The figure on the validation part that said which epoch's weights are kept, and that epoch; null before the first. */
  monitor: MetricName;
  bestEpoch: number | null;
  epochs: number;
  steps: number;
  samplesPerSecond: number;
  /** Seconds of training: steps, synchronisation and the scheduler's evaluations. */
  trainSeconds: number;
  hot: HotReport | null;
  sync: SyncTotals;
  peakRssBytes: number;
  /** Bytes of embedding rows with optimizer state. */
  tableBytes: number;
  /** Which memory holds them. */
  tableMemory: "host" | "device";
  /** Most GPU memory held at once for rows, parameters and programs; null on the CPU. */
  peakGpuBytes: number | null;
  /** The configuration that ran. */
  config: ClickConfig;
}
