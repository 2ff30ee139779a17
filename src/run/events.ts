/**
 * @file The typed events that libraries emit while they work. Libraries never print: the command line draws
 * these, `--json` writes them one a line, the report is made from them.
 */
import type { DecisionEvent } from "./policies/decision.ts";

/** A long task has moved on. */
export interface ProgressEvent {
  event: "progress";
  /** What is going on: `read`, `vocabulary`, `encode`, `profile`, `train`, `evaluate`, `predict`, `write`. */
  task: string;
  done: number;
  /** Null while the whole is unknown. */
  total: number | null;
  /** What is counted, e.g. `rows`, `samples`, `bytes`. */
  unit: string;
  /** Units a second over the last seconds; null before the first measurement. */
  rate: number | null;
  /** Short values to show beside the bar, e.g. `{ loss: 0.4521 }`. */
  values?: Record<string, number | string>;
}

/** The loss of recent training, or the quality on a part. */
export interface MetricsEvent {
  event: "metrics";
  part: "train" | "validation" | "test";
  epoch: number;
  /** Optimizer steps so far. */
  step: number;
  /** Seconds of training so far. */
  seconds: number;
  logLoss: number;
  /** For `part: "train"`, of inputs judged just before they were learned from. */
  auc?: number;
  accuracy?: number;
  /** Of a classifier of several classes. */
  macroF1?: number;
  /** For `part: "train"`, of the last step. */
  learningRate?: number;
  /** Quality on parts of the whole, e.g. a task each. */
  groups?: Record<string, Record<string, number>>;
}

/** A stretch of the run's time line. */
export interface SpanEvent {
  event: "span";
  /** E.g. `prepare`, `calibrate`, `train`, `cold`, `hot`, `sync`, `evaluate`, `checkpoint`. */
  span: string;
  /** Seconds since the start of the run; they go on over resumes. */
  start: number;
  end: number;
  /** Optimizer steps done when it ended; left out before training begins. */
  step?: number;
  /** Facts of the stretch, e.g. `{ batches: 12, bytes: 1048576 }`. */
  detail?: Record<string, number>;
}

/** The run goes on from a checkpoint. What the log holds of later steps before this event was lost, and is done again. */
export interface ResumedEvent {
  event: "resumed";
  /** Optimizer steps of the checkpoint; 0 where there was none. */
  step: number;
  /** Seconds since the start of the run. */
  seconds: number;
}

/** Something the user should know; the work goes on. */
export interface NoticeEvent {
  event: "notice";
  level: "info" | "warning";
  code: string;
  message: string;
}

/** Any event of a run. */
export type RunEvent = ProgressEvent | MetricsEvent | SpanEvent | ResumedEvent | DecisionEvent | NoticeEvent;

/** Receives events; must not throw and should return quickly. */
export type OnEvent = (event: RunEvent) => void;
