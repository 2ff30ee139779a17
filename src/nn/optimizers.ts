/**
 * @file Optimizers of dense parameters, as graph: from gradients to the next values of parameters and of their slots.
 *
 * Slots are states named `PARAMETER/sum`, `PARAMETER/m`, `PARAMETER/v`, zero at first. The learning rate and the
 * 1-based step are scalar inputs, so schedules need no new program. Formulas are PyTorch's (Adagrad with eps
 * outside the root, Adam with bias correction).
 */
import type { StateUpdate } from "../engine/graph/graph.ts";
import { stateName } from "../engine/graph/graph.ts";
import type { Tensor } from "../engine/graph/node.ts";
import { add, div, minimum, mul, pow, sqrt, sub } from "../engine/graph/ops/elementwise.ts";
import { scalarLike } from "../engine/graph/ops/leaf.ts";
import { sum } from "../engine/graph/ops/movement.ts";
import { constantFill } from "./initializers.ts";
import type { Parameters } from "./parameters.ts";

/** An optimizer of dense parameters. */
export type DenseOptimizer =
  | { kind: "sgd" }
  | { kind: "adagrad"; epsilon: number }
  | { kind: "adam"; beta1: number; beta2: number; epsilon: number };

/**
 * The updates of one optimizer step.
 * @param slots receives the slot states, to be created beside the parameters
 * @param parameters float32 states
 * @param gradients one for each
 * @param learningRate float32 scalar
 * @param step float32 scalar, 1 at the first step
 */
export function optimizerUpdates(
  optimizer: DenseOptimizer,
  slots: Parameters,
  parameters: readonly Tensor[],
  gradients: readonly Tensor[],
  learningRate: Tensor,
  step: Tensor,
): StateUpdate[] {
  return parameters.flatMap((w, i) => {
    const g = gradients[i]!;
    const slot = (name: string) => slots.get(`${stateName(w)}/${name}`, w.shape, constantFill(0));
    switch (optimizer.kind) {
      case "sgd":
        return [[w, sub(w, mul(g, learningRate))] as const];
      case "adagrad": {
        const before = slot("sum");
        const total = add(before, mul(g, g));
        return [
          [before, total] as const,
          [w, sub(w, div(mul(g, learningRate), add(sqrt(total), optimizer.epsilon)))] as const,
        ];
      }
      case "adam": {
        const { beta1, beta2, epsilon } = optimizer;
        const [m0, v0] = [slot("m"), slot("v")];
        const m = add(mul(m0, beta1), mul(g, 1 - beta1));
        const v = add(mul(v0, beta2), mul(mul(g, g), 1 - beta2));
        const correction = (beta: number) => sub(scalarLike(step, 1), pow(scalarLike(step, beta), step));
        const rate = div(learningRate, correction(beta1));
        const scale = add(div(sqrt(v), sqrt(correction(beta2))), epsilon);
        return [[m0, m] as const, [v0, v] as const, [w, sub(w, div(mul(m, rate), scale))] as const];
      }
    }
  });
}

/**
 * Gradients scaled down together so that their joint Euclidean norm is at most `maxNorm`:
 * g·min(1, maxNorm / (norm + 1e-6)), as PyTorch's `clip_grad_norm_`.
 * @returns the gradients, and the norm before
 */
export function clipGradientNorm(
  gradients: readonly Tensor[],
  maxNorm: number,
): { gradients: Tensor[]; norm: Tensor } {
  const norm = sqrt(gradients.map((g) => sum(mul(g, g))).reduce((a, b) => add(a, b)));
  const scale = minimum(div(scalarLike(norm, maxNorm), add(norm, 1e-6)), scalarLike(norm, 1));
  return { gradients: gradients.map((g) => mul(g, scale)), norm };
}
