/**
 * @file Reverse-mode differentiation of graphs. The result is graph again, so gradients can be differentiated,
 * simplified and compiled like anything else. Work that leads to no wanted gradient is never reachable.
 */
import { isFloat } from "../base/dtype.ts";
import { ParetoError } from "../base/errors.ts";
import type { Tensor } from "./graph/node.ts";
import { add } from "./graph/ops/elementwise.ts";
import { full, scalarLike } from "./graph/ops/leaf.ts";
import { broadcastTo } from "./graph/ops/movement.ts";
import { reachableNodes } from "./graph/rewrite.ts";
import { formatShape } from "../base/shape.ts";

/**
 * Pulls gradients of outputs back to tensors they depend on.
 * @param outputs where gradients enter
 * @param gradients dL/doutput of each, of its shape; null for none
 * @param targets tensors whose gradient is wanted
 * @returns dL/dtarget of each, of its shape; null where none flows
 */
export function backpropagate(
  outputs: readonly Tensor[],
  gradients: readonly (Tensor | null)[],
  targets: readonly Tensor[],
): (Tensor | null)[] {
  const totals = new Map<Tensor, Tensor>();
  const accumulate = (t: Tensor, g: Tensor | null) => {
    if (!g || !isFloat(t.dtype)) return;
    const before = totals.get(t);
    totals.set(t, before ? add(before, g) : g);
  };
  outputs.forEach((t, i) => accumulate(t, gradients[i]!));

  const wanted = new Set(targets.map((t) => t.node.id));
  const needed = new Set<number>();
  const nodes = reachableNodes(outputs);
  for (const node of nodes) {
    if (wanted.has(node.id) || node.inputs.some((t) => needed.has(t.node.id))) needed.add(node.id);
  }
  for (const node of nodes.toReversed()) {
    const rule = node.definition.gradient as
      | ((n: unknown, g: readonly (Tensor | null)[]) => readonly (Tensor | null)[])
      | undefined;
    if (!rule || !node.inputs.some((t) => needed.has(t.node.id))) continue;
    const incoming = node.outputs.map((t) => totals.get(t) ?? null);
    if (incoming.every((g) => g === null)) continue;
    const outgoing = rule(node, incoming);
    node.inputs.forEach((t, i) => {
      if (needed.has(t.node.id)) accumulate(t, outgoing[i]!);
    });
  }
  return targets.map((t) => totals.get(t) ?? null);
}

/**
 * Gradients of a scalar.
 * @param loss a floating-point scalar
 * @param targets tensors to differentiate by
 * @returns dloss/dtarget of each, zeros where the loss does not depend on it
 * @throws ParetoError `GRAD_NOT_SCALAR`
 */
export function grad(loss: Tensor, targets: readonly Tensor[]): Tensor[] {
  if (loss.shape.length > 0 || !isFloat(loss.dtype)) {
    throw new ParetoError({
      code: "GRAD_NOT_SCALAR",
      where: "grad",
      message: `grad: the loss must be a floating-point scalar, got ${loss.dtype} ${formatShape(loss.shape)}`,
      fix: "Reduce it with sum or mean.",
    });
  }
  const found = backpropagate([loss], [full([], 1, loss.dtype)], targets);
  return targets.map((t, i) => found[i] ?? broadcastTo(scalarLike(t, 0), t.shape));
}
