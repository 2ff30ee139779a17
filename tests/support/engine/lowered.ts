/** @file Lowering for tests: a model's plan as the `cuda` target would make it on an H100, without a GPU. */
import { trace, type Graph, type Traced } from "../../../src/engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../../../src/engine/graph/node.ts";
import { simplify } from "../../../src/engine/passes/simplify.ts";
import { lowerGraph } from "../../../src/engine/targets/cuda/compiler/lowerGraph.ts";
import { rules } from "../../../src/engine/targets/cuda/lower/rules.ts";
import type { KernelStep, Plan } from "../../../src/engine/targets/cuda/plan.ts";

/** A float32 spec. */
export const float32 = (...shape: number[]): TensorSpec => ({ shape, dtype: "float32" });

/** The plan of a graph. */
export function planOf(graph: Graph): Plan {
  return lowerGraph(simplify(graph), {
    multiprocessors: 132,
    maxSharedBytes: 232_448,
    compute: "float32",
    rules,
  });
}

/** The plan of a model. */
export function planOfModel<Names extends string>(
  inputs: Record<Names, TensorSpec>,
  model: (tensors: Record<Names, Tensor>) => Traced,
): Plan {
  return planOf(trace(inputs, model));
}

/** The kernels of a plan. */
export function kernelsOf(plan: Plan): KernelStep[] {
  return plan.steps.filter((step) => step.kind === "kernel");
}

/** The code of a plan that consists of one kernel. */
export function onlySource(plan: Plan): string {
  const kernels = kernelsOf(plan);
  if (plan.steps.length !== 1 || kernels.length !== 1) {
    throw new Error(
      `expected one kernel, got ${plan.steps.map((step) => step.kind).join(", ") || "no step"}`,
    );
  }
  return `\n${kernels[0]!.source.code}`;
}
