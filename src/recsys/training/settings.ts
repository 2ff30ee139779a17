/** @file Everything that decides a training run, as plain data, with its defaults. */
import type { DenseOptimizer } from "../../nn/optimizers.ts";
import type { SparseOptimizer } from "../embedding/rowStore.ts";
import type { StrategyName } from "../strategies/strategy.ts";

/** Optimizers by name, for rows and dense parameters together. */
export type OptimizerName = "sgd" | "adagrad" | "rwsadagrad" | "adam";

/** A training run's settings. */
export interface TrainingSettings {
  model: "dlrm";
  /** Embedding dimension (D). */
  dim: number;
  /** Hidden widths of the bottom MLP; a last layer of width D follows. */
  bottom: number[];
  /** Hidden widths of the top MLP; a last layer of width 1 follows. */
  top: number[];
  strategy: StrategyName;
  /** FAE: bytes of fast memory for hot rows and their optimizer state. */
  hotBudgetBytes: number;
  /** FAE: share of training inputs to sample for the access profile. */
  sampleRate: number;
  /** FAE: how hot rows are chosen. */
  hotPolicy: "threshold" | "topk";
  /** FAE: whether the round size adapts to the validation loss. */
  scheduler: "adaptive" | "fixed";
  /** FAE: percent of cold and of hot batches in a round, at first. */
  rate: number;
  optimizer: OptimizerName;
  learningRate: number;
  /** How the rate falls over all epochs: not at all, or linearly to 0. */
  decay: "constant" | "linear";
  batchSize: number;
  epochs: number;
  /** Epochs without a better validation log loss before training stops. */
  patience: number;
  seed: number;
  /** Threads of the dense step, and as many kernel threads. */
  threads: number;
}

/** A good rate for each optimizer when none is given. */
export const defaultLearningRate: Record<OptimizerName, number> = {
  sgd: 0.1,
  adagrad: 0.01,
  rwsadagrad: 0.01,
  adam: 0.001,
};

/** Offset of Adagrad's root, as DLRM has it. */
const ADAGRAD_EPSILON = 1e-10;
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** How rows are updated. */
export function sparseOptimizer(name: OptimizerName): SparseOptimizer {
  if (name === "sgd") return { kind: "sgd" };
  if (name === "adam") return { kind: "adam", ...ADAM };
  return { kind: name, epsilon: ADAGRAD_EPSILON };
}

/** How dense parameters are updated: rowwise Adagrad means plain Adagrad there, as in DLRM. */
export function denseOptimizer(name: OptimizerName): DenseOptimizer {
  if (name === "sgd") return { kind: "sgd" };
  if (name === "adam") return { kind: "adam", ...ADAM };
  return { kind: "adagrad", epsilon: ADAGRAD_EPSILON };
}
