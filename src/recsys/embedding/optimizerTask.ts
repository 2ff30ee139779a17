/** @file Turns an optimizer and its step into the kernel that applies it and the kernel's arguments. */
import { ParetoError } from "../../engine/errors.ts";
import type { KernelName } from "../../engine/targets/cpu/kernels/kernelModule.ts";
import type { SparseOptimizer } from "./rowStore.ts";

/** An update kernel and what follows the table view in its arguments. */
export interface OptimizerTask {
  kernel: KernelName;
  rates: number[];
}

/**
 * The kernel call of one step.
 * @param step 1-based; Adam's bias corrections 1 - βᵗ are computed here in float64
 * @throws ParetoError OPTIMIZER_STEP, LEARNING_RATE
 */
export function optimizerTask(optimizer: SparseOptimizer, learningRate: number, step: number): OptimizerTask {
  if (!Number.isFinite(learningRate)) {
    throw new ParetoError({
      code: "LEARNING_RATE",
      where: "RowStore.update",
      message: `the learning rate must be a finite number, got ${learningRate}`,
      fix: "check the schedule that computes it",
    });
  }
  switch (optimizer.kind) {
    case "sgd":
      return { kernel: "updateSgd", rates: [learningRate] };
    case "adagrad":
      return { kernel: "updateAdagrad", rates: [learningRate, optimizer.epsilon] };
    case "rwsadagrad":
      return { kernel: "updateRowwiseAdagrad", rates: [learningRate, optimizer.epsilon] };
    case "adam": {
      if (!Number.isInteger(step) || step < 1) {
        throw new ParetoError({
          code: "OPTIMIZER_STEP",
          where: "RowStore.update",
          message: `Adam counts steps from 1, got ${step}`,
          fix: "pass the 1-based number of this optimizer step",
        });
      }
      const { beta1, beta2, epsilon } = optimizer;
      const rate = learningRate / (1 - beta1 ** step);
      const scale = 1 / Math.sqrt(1 - beta2 ** step);
      return { kernel: "updateAdam", rates: [rate, scale, epsilon, beta1, 1 - beta1, beta2, 1 - beta2] };
    }
  }
}
