/**
 * @file The k-mer baselines on a split, measured as networks are: what a network has to beat to be worth its time.
 */
import { multiclassMetrics } from "../../run/metrics/multiclass.ts";
import type { MulticlassMetrics } from "../../run/metrics/multiclass.ts";
import type { SequenceSet } from "../sequenceSet.ts";
import type { SequenceSplit } from "../splits/split.ts";
import { predictLogistic, trainLogistic } from "./logistic.ts";
import { predictNaiveBayes, trainNaiveBayes } from "./naiveBayes.ts";
import { nearestByKmers } from "./nearest.ts";

/** A baseline's figures. */
export interface BaselineResult {
  name: BaselineName;
  /** What it is, in a few words. */
  description: string;
  /** On the test part. */
  test: MulticlassMetrics;
  /** Numbers that it learnt, or k-mers that it keeps. */
  parameters: number;
  /** Of training and testing. */
  seconds: number;
}

/** Smoothings that the validation part chooses from. */
const SMOOTHINGS = [2, 1, 0.5, 0.2, 0.1];

type Measure = (
  set: SequenceSet,
  parts: SequenceSplit,
  seed: number,
) => { scores: Float32Array; parameters: number };

const BASELINES = {
  "naive-bayes": {
    description: "multinomial naive Bayes over 3-mers, smoothing 0.1",
    measure: (set, parts) => naiveBayes(set, parts, 0.1),
  },
  "naive-bayes-tuned": {
    description: "the same, smoothing chosen on the validation part",
    measure: (set, parts) => naiveBayes(set, parts, bestSmoothing(set, parts)),
  },
  logistic: {
    description: "multinomial logistic regression over square roots of 3-mer counts",
    measure: (set, parts, seed) => {
      const model = trainLogistic(set, parts.train, parts.validation, { seed });
      const parameters = model.weights.length + model.biases.length;
      return { scores: predictLogistic(model, set, parts.test), parameters };
    },
  },
  "nearest-containment": {
    description: "nearest training sequence by 4-mers shared, as a share of the fewer",
    measure: (set, parts) => nearest(set, parts, "containment"),
  },
  "nearest-larger": {
    description: "nearest training sequence by 4-mers shared, as a share of the more",
    measure: (set, parts) => nearest(set, parts, "larger"),
  },
} satisfies Record<string, { description: string; measure: Measure }>;

/** A baseline's name. */
export type BaselineName = keyof typeof BASELINES;

/** The names, in the order of a table. */
export const BASELINE_NAMES = Object.keys(BASELINES) as BaselineName[];

/**
 * Trains a baseline on the training part of a split and tests it on the test part.
 * @param seed of the order of logistic regression; the others use none
 */
export function measureBaseline(
  name: BaselineName,
  set: SequenceSet,
  parts: SequenceSplit,
  seed: number,
): BaselineResult {
  const start = performance.now();
  const { description, measure } = BASELINES[name];
  const { scores, parameters } = measure(set, parts, seed);
  const seconds = (performance.now() - start) / 1000;
  return { name, description, test: metricsOf(set, parts.test, scores), parameters, seconds };
}

function metricsOf(set: SequenceSet, rows: Uint32Array, scores: Float32Array): MulticlassMetrics {
  const labels = Int32Array.from(rows, (row) => set.labels[row]!);
  return multiclassMetrics(scores, labels, set.families.length);
}

function naiveBayes(
  set: SequenceSet,
  parts: SequenceSplit,
  smoothing: number,
): { scores: Float32Array; parameters: number } {
  const model = trainNaiveBayes(set, parts.train, { smoothing });
  const parameters = model.logLikelihoods.length + model.logPriors.length;
  return { scores: predictNaiveBayes(model, set, parts.test), parameters };
}

/** The smoothing with the best validation macro-F1, of equals the first. */
function bestSmoothing(set: SequenceSet, { train, validation }: SequenceSplit): number {
  const qualities = SMOOTHINGS.map((smoothing) => {
    const scores = predictNaiveBayes(trainNaiveBayes(set, train, { smoothing }), set, validation);
    return metricsOf(set, validation, scores).macroF1;
  });
  return SMOOTHINGS[qualities.indexOf(Math.max(...qualities))] ?? SMOOTHINGS[0]!;
}

function nearest(
  set: SequenceSet,
  parts: SequenceSplit,
  similarity: "containment" | "larger",
): { scores: Float32Array; parameters: number } {
  const { scores } = nearestByKmers(set, parts.train, parts.test, { similarity });
  let parameters = 0;
  for (const row of parts.train) parameters += Math.max(0, set.offsets[row + 1]! - set.offsets[row]! - 3);
  return { scores, parameters };
}
