/**
 * @file Multinomial logistic regression over k-mers, trained by sparse AdaGrad (Duchi et al., 2011).
 *
 * A sequence is the vector of its k-mer counts, damped by a square root and scaled to length 1. Only the weights of
 * k-mers that a sequence holds are touched, which is what makes 22^3 · families weights cheap. One thread and one
 * order: a seed gives the same weights on every machine with the same `Math.exp`.
 */
import { Rng } from "../../base/rng.ts";
import type { SequenceSet } from "../sequenceSet.ts";
import { KmerFeatures } from "./kmerFeatures.ts";
import { kmerCount } from "./kmers.ts";
import { softmax } from "./softmax.ts";

/** Options of {@link trainLogistic}. */
export interface LogisticOptions {
  /** Residues of a k-mer (default 3). */
  k?: number;
  /** Passes over the training rows at most (default 12). */
  epochs?: number;
  /** Epochs without a lower validation loss before training stops (default 2). */
  patience?: number;
  /** AdaGrad's step (default 0.1). */
  learningRate?: number;
  seed: number;
  /** Told after each epoch, from 1. */
  onEpoch?: (epoch: number, validationLoss: number) => void;
}

/** A trained logistic model. */
export interface LogisticModel {
  k: number;
  families: number;
  /** `[22^k, families]` */
  weights: Float32Array;
  /** `[families]` */
  biases: Float32Array;
  /** Mean cross-entropy on the validation rows, in nats. */
  validationLoss: number;
  /** The epoch that these weights are of, from 1. */
  epoch: number;
}

/** Added to AdaGrad's sums, so that the first step divides by something. */
const EPSILON = 1e-8;
const SHUFFLE_STREAM = 0x6c6f6769;

/** Trains on some rows, and keeps the weights of the epoch with the lowest loss on others. */
export function trainLogistic(
  set: SequenceSet,
  train: Uint32Array,
  validation: Uint32Array,
  options: LogisticOptions,
): LogisticModel {
  const { k = 3, epochs = 12, patience = 2, learningRate = 0.1, seed, onEpoch } = options;
  const families = set.families.length;
  const weights = new Float32Array(kmerCount(k) * families);
  const biases = new Float32Array(families);
  const weightSums = new Float32Array(weights.length).fill(EPSILON);
  const biasSums = new Float32Array(families).fill(EPSILON);
  const features = new KmerFeatures(set, k);
  const model: LogisticModel = { k, families, weights, biases, validationLoss: Infinity, epoch: 0 };
  let best = model;
  const probabilities = new Float64Array(families);
  const step = (gradient: number, values: Float32Array, sums: Float32Array, at: number): void => {
    const sum = sums[at]! + gradient * gradient;
    sums[at] = sum;
    values[at]! -= (learningRate * gradient) / Math.sqrt(sum);
  };
  for (let epoch = 1; epoch <= epochs && epoch - best.epoch <= patience; epoch++) {
    for (const row of new Rng(seed, SHUFFLE_STREAM + epoch).shuffle(train.slice())) {
      features.load(row);
      softmaxOf(model, features, probabilities);
      probabilities[set.labels[row]!]!--;
      for (let i = 0; i < features.count; i++) {
        const base = features.kmers[i]! * families;
        const value = features.values[i]!;
        for (let c = 0; c < families; c++) step(probabilities[c]! * value, weights, weightSums, base + c);
      }
      for (let c = 0; c < families; c++) step(probabilities[c]!, biases, biasSums, c);
    }
    const validationLoss = meanLoss(model, features, set, validation.length > 0 ? validation : train);
    onEpoch?.(epoch, validationLoss);
    if (validationLoss < best.validationLoss) {
      best = { ...model, weights: weights.slice(), biases: biases.slice(), validationLoss, epoch };
    }
  }
  return best;
}

/**
 * Probabilities of the families.
 * @returns `[rows, families]`
 */
export function predictLogistic(model: LogisticModel, set: SequenceSet, rows: Uint32Array): Float32Array {
  const features = new KmerFeatures(set, model.k);
  const row = new Float64Array(model.families);
  const probabilities = new Float32Array(rows.length * model.families);
  for (let i = 0; i < rows.length; i++) {
    features.load(rows[i]!);
    softmaxOf(model, features, row);
    probabilities.set(row, i * model.families);
  }
  return probabilities;
}

function scoresOf(model: LogisticModel, features: KmerFeatures, out: Float64Array): void {
  const { families, weights } = model;
  out.set(model.biases);
  for (let i = 0; i < features.count; i++) {
    const base = features.kmers[i]! * families;
    const value = features.values[i]!;
    for (let c = 0; c < families; c++) out[c]! += weights[base + c]! * value;
  }
}

/** Fills `out` with probabilities. */
function softmaxOf(model: LogisticModel, features: KmerFeatures, out: Float64Array): void {
  scoresOf(model, features, out);
  softmax(out);
}

function meanLoss(model: LogisticModel, features: KmerFeatures, set: SequenceSet, rows: Uint32Array): number {
  const probabilities = new Float64Array(model.families);
  let total = 0;
  for (const row of rows) {
    features.load(row);
    softmaxOf(model, features, probabilities);
    total -= Math.log(Math.max(probabilities[set.labels[row]!]!, 1e-12));
  }
  return total / rows.length;
}
