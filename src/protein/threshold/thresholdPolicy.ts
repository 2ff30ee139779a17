/**
 * @file The policies that choose the probability below which a sequence counts as of no known family. They see the largest
 * probability of each validation sequence, and of decoys made of those sequences.
 */
import { z } from "zod";
import { share } from "../../base/optionSchemas.ts";
import type { DecisionEvent } from "../../run/policies/decision.ts";
import { definePolicy } from "../../run/policies/policy.ts";
import { PolicyRegistry } from "../../run/policies/registry.ts";

/** What a policy sees. */
export interface ThresholdStatistics {
  /** Largest probability of each validation sequence, rising. */
  known: Float32Array;
  /** The same of each decoy, rising. */
  decoys: Float32Array;
}

/** Chooses a threshold, 0 to 1. */
export type ThresholdPolicy = (statistics: ThresholdStatistics) => number;

/** A threshold, and what it does on the validation part. */
export interface Threshold {
  threshold: number;
  /** Share of the validation sequences that pass. */
  passing: number;
  /** Share of their decoys that do not. */
  flagged: number;
}

/**
 * A network that was trained on decoys separates them so well that far more sequences pass than have to; for one that was
 * not, the share that has to pass decides.
 */
const calibrated = definePolicy({
  kind: "protein.threshold",
  name: "calibrated",
  summary: "Flags the decoys of the validation sequences, but never more of the sequences than allowed.",
  source: "ours",
  options: z.object({
    passing: share()
      .default(0.95)
      .describe("Share of the validation sequences that pass at least, right or wrong."),
    flagged: share()
      .default(0.99)
      .describe("Share of the decoys that are flagged, where `passing` allows it."),
    least: share()
      .default(0.5)
      .describe("Probability that a family has at least, where `passing` allows it."),
  }),
  create:
    (options): ThresholdPolicy =>
    ({ known, decoys }) => {
      // Where no sequence has to pass, any threshold is allowed.
      const mostAllowed = known[Math.floor((1 - options.passing) * known.length)] ?? 1;
      const most = known.length === 0 ? 0 : mostAllowed;
      const least = decoys[Math.ceil(options.flagged * decoys.length)] ?? 0;
      return Math.min(most, Math.max(options.least, least));
    },
});

const fixed = definePolicy({
  kind: "protein.threshold",
  name: "fixed",
  summary: "Keeps one threshold, whatever the validation sequences say.",
  source: "maximum softmax probability, Hendrycks and Gimpel 2017, section 2",
  options: z.object({
    probability: share().default(0.5).describe("Probability below which a sequence is of no known family."),
  }),
  create:
    ({ probability }): ThresholdPolicy =>
    () =>
      probability,
});

/** The policies. */
export const thresholdPolicies = new PolicyRegistry<ThresholdPolicy>("protein.threshold", [
  calibrated,
  fixed,
]);

/** Shares on both sides of a threshold. */
export function measureThreshold(threshold: number, { known, decoys }: ThresholdStatistics): Threshold {
  return {
    threshold,
    passing: known.filter((p) => p >= threshold).length / Math.max(1, known.length),
    flagged: decoys.filter((p) => p < threshold).length / Math.max(1, decoys.length),
  };
}

/** The largest probability of each row, rising. @param probabilities `[N, classes]` */
export function highestProbabilities(probabilities: Float32Array, classes: number): Float32Array {
  const highest = new Float32Array(probabilities.length / classes);
  for (let row = 0; row < highest.length; row++) {
    highest[row] = Math.max(...probabilities.subarray(row * classes, (row + 1) * classes));
  }
  return highest.sort();
}

/** The record of a choice. */
export function thresholdDecision(
  policy: string,
  step: number,
  { known, decoys }: ThresholdStatistics,
  chosen: Threshold,
): DecisionEvent {
  return {
    event: "decision",
    policy,
    kind: "protein.threshold",
    step,
    subject: "validation",
    saw: { sequences: known.length, decoys: decoys.length },
    chose: { ...chosen },
  };
}
