/** @file What training a language model came to. */
import type { MetricName } from "../../run/metrics/metricNames.ts";
import type { TrainingResult } from "../../run/task.ts";
import type { Validation } from "./validate.ts";

/** What training came to; quality is null when it was stopped by the signal. */
export interface TrainLmResult extends TrainingResult {
  name: string;
  /** Of the saved weights, rounded as they are saved. */
  validation: Validation | null;
  /** The figure on the validation texts that said which weights are kept. */
  monitor: MetricName;
  /** Step after which the saved weights were taken. */
  bestStep: number | null;
  parameters: number;
  vocabulary: number;
  steps: number;
  tokens: number;
  tokensPerSecond: number;
  /** Seconds of training steps, without validation and checkpoints. */
  trainSeconds: number;
  /** The saved model's folder. */
  model: string | null;
}
