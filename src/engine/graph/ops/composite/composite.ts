/**
 * @file What composites share: the gradient of an op that has no rule but its decomposition, and the zeros that stand
 * for gradients which do not flow.
 */
import { backpropagate } from "../../../autodiff.ts";
import { isHalf } from "../../../../base/dtype.ts";
import type { CompositeName } from "../../opAttrs.ts";
import type { GradientRule, OpAttrs, OpDefinition, Tensor, TensorSpec } from "../../node.ts";
import { substitute } from "../../rewrite.ts";
import { cast } from "../elementwise.ts";
import { full, input } from "../leaf.ts";
import { broadcastTo } from "../movement.ts";

/** Zeros of a tensor's shape and element type; one element is stored. */
export function zerosLike({ shape, dtype }: TensorSpec): Tensor {
  return broadcastTo(full([], 0, dtype), shape);
}

/**
 * The gradient rule that differentiates a composite's decomposition. Operands are held apart by leaves of their own
 * while it does: one may depend on another, and what flows between them is not the op's gradient.
 */
export function throughDecomposition<K extends CompositeName>(
  decompose: (inputs: readonly Tensor[], attrs: OpAttrs[K]) => readonly Tensor[],
): GradientRule<K> {
  return ({ inputs, attrs }, outputGradients) => {
    const leaves = inputs.map(({ shape, dtype }, i) => input(`composite.${i}`, shape, dtype));
    const found = backpropagate(decompose(leaves, attrs), outputGradients, leaves);
    const flowing = found.filter((g) => g !== null);
    const placed = substitute(flowing, new Map(leaves.map((leaf, i) => [leaf, inputs[i]!])));
    return found.map((g) => g && placed[flowing.indexOf(g)]!);
  };
}

/** A decomposition that computes with 16-bit operands in float32 and rounds its results once. */
export function inFloat32<K extends CompositeName>(
  decompose: (inputs: readonly Tensor[], attrs: OpAttrs[K]) => readonly Tensor[],
): (inputs: readonly Tensor[], attrs: OpAttrs[K]) => readonly Tensor[] {
  return (inputs, attrs) => {
    const narrow = inputs.find((t) => isHalf(t.dtype))?.dtype;
    if (!narrow) return decompose(inputs, attrs);
    const wide = inputs.map((t) => (isHalf(t.dtype) ? cast(t, "float32") : t));
    return decompose(wide, attrs).map((t) => (t.dtype === "float32" ? cast(t, narrow) : t));
  };
}

/** A composite whose gradient is that of its decomposition. 16-bit operands are computed with as `inFloat32` does. */
export function derivedComposite<K extends CompositeName>(
  definition: Required<Pick<OpDefinition<K>, "name" | "infer" | "decompose">>,
): OpDefinition<K> {
  const decompose = inFloat32<K>(definition.decompose);
  return { ...definition, decompose, gradient: throughDecomposition<K>(decompose) };
}
