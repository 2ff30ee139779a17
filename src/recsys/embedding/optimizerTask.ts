/** @file Turns an optimizer and its step into the numbers that its kernels take, and into the CPU's kernel call. */
import { ParetoError } from "../../base/errors.ts";
import type { KernelName } from "../../engine/targets/cpu/index.ts";
import type { SparseOptimizer } from "./sparseOptimizer.ts";

/** What the kernels of one step take; numbers that an optimizer does not use are left out. */
export interface OptimizerRates {
  /** Of this step; for Adam corrected for bias, lr / (1 - β₁ᵗ). */
  learningRate: number;
  epsilon?: number;
  /** Adam: 1 / √(1 - β₂ᵗ). */
  scale?: number;
  beta1?: number;
  /** 1 - β₁. */
  rest1?: number;
  beta2?: number;
  /** 1 - β₂. */
  rest2?: number;
}

/**
 * The numbers of one step.
 * @param step 1-based; Adam's bias corrections 1 - βᵗ are computed here in float64
 * @throws ParetoError OPTIMIZER_STEP, LEARNING_RATE
 */
export function optimizerRates(
  optimizer: SparseOptimizer,
  learningRate: number,
  step: number,
): OptimizerRates {
  if (!Number.isFinite(learningRate)) {
    throw new ParetoError({
      code: "LEARNING_RATE",
      where: "EmbeddingStore.update",
      message: `the learning rate must be a finite number, got ${learningRate}`,
      fix: "Check the schedule that computes it.",
    });
  }
  if (optimizer.kind === "sgd") return { learningRate };
  const { epsilon } = optimizer;
  if (optimizer.kind !== "adam") return { learningRate, epsilon };
  if (!Number.isInteger(step) || step < 1) {
    throw new ParetoError({
      code: "OPTIMIZER_STEP",
      where: "EmbeddingStore.update",
      message: `steps of Adam count from 1, got ${step}`,
      fix: "Pass the 1-based number of this optimizer step.",
    });
  }
  const { beta1, beta2 } = optimizer;
  return {
    learningRate: learningRate / (1 - beta1 ** step),
    epsilon,
    scale: 1 / Math.sqrt(1 - beta2 ** step),
    beta1,
    rest1: 1 - beta1,
    beta2,
    rest2: 1 - beta2,
  };
}

/** An update kernel and what follows the table view in its arguments. */
interface OptimizerTask {
  kernel: KernelName;
  rates: number[];
}

const kernels = {
  sgd: "updateSgd",
  adagrad: "updateAdagrad",
  rwsadagrad: "updateRowwiseAdagrad",
  adam: "updateAdam",
} as const satisfies Record<SparseOptimizer["kind"], KernelName>;

/**
 * The kernel call of one step on the CPU.
 * @throws ParetoError as {@link optimizerRates}
 */
export function optimizerTask(optimizer: SparseOptimizer, learningRate: number, step: number): OptimizerTask {
  const {
    learningRate: corrected,
    epsilon,
    scale,
    beta1,
    rest1,
    beta2,
    rest2,
  } = optimizerRates(optimizer, learningRate, step);
  const rates = [corrected, scale, epsilon, beta1, rest1, beta2, rest2];
  return { kernel: kernels[optimizer.kind], rates: rates.filter((value) => value !== undefined) };
}
