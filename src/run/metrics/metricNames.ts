/** @file Figures of quality by name: how they are called, and which way is better. */

/** Figures that can say which epoch is best. */
export const METRIC_NAMES = ["logLoss", "auc", "accuracy", "macroF1"] as const;

/** A figure that can say which epoch is best. */
export type MetricName = (typeof METRIC_NAMES)[number];

/** What is to be known of each. */
export const METRICS: Readonly<Record<MetricName, { label: string; goal: "lowest" | "highest" }>> = {
  logLoss: { label: "log loss", goal: "lowest" },
  auc: { label: "AUC", goal: "highest" },
  accuracy: { label: "accuracy", goal: "highest" },
  macroF1: { label: "macro-F1", goal: "highest" },
};
