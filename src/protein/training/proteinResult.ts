/** @file What training a protein network came to. */
import type { MulticlassMetrics } from "../../run/metrics/multiclass.ts";
import type { MetricName } from "../../run/metrics/metricNames.ts";
import type { TrainingResult } from "../../run/task.ts";
import type { ProteinConfig } from "./proteinConfig.ts";
import type { Threshold } from "../threshold/thresholdPolicy.ts";

/** What training came to; quality is null when it was stopped by the signal. */
export interface TrainProteinResult extends TrainingResult {
  /** On the test part, of the weights that were best on the validation part. */
  test: MulticlassMetrics | null;
  validation: Omit<MulticlassMetrics, "classes" | "confusions"> | null;
  families: string[];
  sequences: { train: number; validation: number; test: number };
  parameters: number;
  /** Bytes of the float32 weights. */
  weightBytes: number;
  /** Below this largest probability a sequence counts as of no known family. */
  threshold: number | null;
  /** Shares of the validation sequences, and of decoys made of them, that reach the threshold and that do not. */
  thresholdShares: Omit<Threshold, "threshold"> | null;
  epochs: number;
  /** The figure on the validation part that said which epoch's weights are kept, and that epoch. */
  monitor: MetricName;
  bestEpoch: number | null;
  steps: number;
  sequencesPerSecond: number;
  /** Seconds of training steps, without validation and checkpoints. */
  trainSeconds: number;
  /** The saved model's folder. */
  model: string | null;
  config: ProteinConfig;
}
