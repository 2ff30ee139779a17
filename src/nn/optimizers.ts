/**
 * @file Optimizers of dense parameters, as graph: from gradients to the next values of parameters and of the
 * optimizer's state.
 *
 * The state of a parameter is a tensor of its shape, named `PARAMETER/sum` (Adagrad), `PARAMETER/m` and `PARAMETER/v`
 * (Adam), zero at first. The learning rate and the 1-based step are scalar inputs, so a schedule needs no new program.
 * Formulas are PyTorch's: Adagrad with epsilon outside the root, Adam with bias correction, and weight decay apart from
 * the gradient (AdamW, Loshchilov and Hutter 2019).
 */
import type { StateUpdate } from "../engine/graph/graph.ts";
import { stateName } from "../engine/graph/graph.ts";
import type { Tensor } from "../engine/graph/node.ts";
import { add, div, minimum, mul, pow, sqrt, sub } from "../engine/graph/ops/elementwise.ts";
import { scalarLike } from "../engine/graph/ops/leaf.ts";
import { sum } from "../engine/graph/ops/movement.ts";
import type { Shape } from "../base/shape.ts";
import { constantFill } from "./initializers.ts";
import type { Parameters } from "./parameters.ts";

/** An optimizer of dense parameters. Defaults to PyTorch's values: betas 0.9 and 0.999, epsilon 1e-8 (Adagrad 1e-10). */
export type DenseOptimizer =
  | { kind: "sgd" }
  | { kind: "adagrad"; epsilon?: number }
  | { kind: "adam"; beta1?: number; beta2?: number; epsilon?: number };

/** Weights shrink by `learningRate · rate` of themselves each step, whatever their gradient. */
export interface WeightDecay {
  /** At least 0; 0 adds nothing to the graph. */
  rate: number;
  /** Which parameters shrink. Defaults to all. */
  appliesTo?: (name: string, shape: Shape) => boolean;
}

/** What an optimizer step reads. */
export interface OptimizerInputs {
  /** float32 states. */
  parameters: readonly Tensor[];
  /** One for each parameter, of its shape. */
  gradients: readonly Tensor[];
  /** Receives the optimizer's state, to be created beside the parameters. */
  optimizerState: Parameters;
  /** float32 scalar. */
  learningRate: Tensor;
  /** float32 scalar, 1 at the first step. */
  step: Tensor;
  /** Defaults to none. */
  weightDecay?: WeightDecay;
}

/** The updates of one optimizer step: of each parameter and of its state. */
export function optimizerUpdates(optimizer: DenseOptimizer, inputs: OptimizerInputs): StateUpdate[] {
  const { parameters, gradients, learningRate, weightDecay } = inputs;
  return parameters.flatMap((w, i) => {
    const { next, state } = applyOptimizer(optimizer, inputs, w, gradients[i]!);
    const decays =
      weightDecay && weightDecay.rate > 0 && (weightDecay.appliesTo?.(stateName(w), w.shape) ?? true);
    const value = decays ? sub(next, mul(w, mul(learningRate, weightDecay.rate))) : next;
    return [...state, [w, value] as const];
  });
}

/** The next value of a parameter before weight decay, and the updates of its state. */
function applyOptimizer(
  optimizer: DenseOptimizer,
  { optimizerState, learningRate, step }: OptimizerInputs,
  w: Tensor,
  g: Tensor,
): { next: Tensor; state: StateUpdate[] } {
  const stateOf = (name: string) => optimizerState.get(`${stateName(w)}/${name}`, w.shape, constantFill(0));
  switch (optimizer.kind) {
    case "sgd":
      return { next: sub(w, mul(g, learningRate)), state: [] };
    case "adagrad": {
      const { epsilon = 1e-10 } = optimizer;
      const before = stateOf("sum");
      const total = add(before, mul(g, g));
      return { next: sub(w, div(mul(g, learningRate), add(sqrt(total), epsilon))), state: [[before, total]] };
    }
    case "adam": {
      const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = optimizer;
      const [m0, v0] = [stateOf("m"), stateOf("v")];
      const m = add(mul(m0, beta1), mul(g, 1 - beta1));
      const v = add(mul(v0, beta2), mul(mul(g, g), 1 - beta2));
      const correction = (beta: number) => sub(scalarLike(step, 1), pow(scalarLike(step, beta), step));
      const rate = div(learningRate, correction(beta1));
      const scale = add(div(sqrt(v), sqrt(correction(beta2))), epsilon);
      return {
        next: sub(w, div(mul(m, rate), scale)),
        state: [
          [m0, m],
          [v0, v],
        ],
      };
    }
  }
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
