/** @file Gradients of a loss by every parameter. */
import { grad } from "../../engine/autodiff.ts";
import { stateName } from "../../engine/graph/graph.ts";
import type { Tensor } from "../../engine/graph/node.ts";
import { add } from "../../engine/graph/ops/elementwise.ts";
import { reachableNodes } from "../../engine/graph/rewrite.ts";
import type { Parameters } from "../parameters.ts";

/**
 * dL/dparameter of each parameter in order of declaration, and dL/dtensor of some other tensors. A parameter may be read
 * through several state tensors of its name, as a tied matrix is: its gradient is their sum.
 * @param loss float32 scalar
 */
export function differentiate(
  loss: Tensor,
  parameters: Parameters,
  others: readonly Tensor[] = [],
): { gradients: Tensor[]; others: Tensor[] } {
  const reads = new Map<string, Tensor[]>();
  for (const node of reachableNodes([loss])) {
    if (node.op !== "state") continue;
    const read = node.outputs[0]!;
    reads.set(stateName(read), [...(reads.get(stateName(read)) ?? []), read]);
  }
  // A parameter that the loss does not depend on has gradient 0.
  const tensors = parameters.tensors;
  const readsOf = parameters.names.map((name, i) => reads.get(name) ?? [tensors[i]!]);
  const targets = [...others, ...readsOf.flat()];
  const found = new Map(grad(loss, targets).map((gradient, i) => [targets[i]!, gradient]));
  return {
    gradients: readsOf.map((own) => own.map((read) => found.get(read)!).reduce((a, b) => add(a, b))),
    others: others.map((tensor) => found.get(tensor)!),
  };
}
