/** @file Functions without parameters, composed of the engine's ops, by PyTorch's names. */
import { isHalf } from "../base/dtype.ts";
import type { Tensor } from "../engine/graph/node.ts";
import {
  add,
  cast,
  div,
  equal,
  erf,
  less,
  mul,
  softplus,
  sub,
  tanh,
  where,
} from "../engine/graph/ops/elementwise.ts";
import { attention } from "../engine/graph/ops/composite/attention.ts";
import { constant, random, scalarLike } from "../engine/graph/ops/leaf.ts";
import { matmul } from "../engine/graph/ops/contraction.ts";
import { normalizeAxes, reshape, sum } from "../engine/graph/ops/movement.ts";
import { softmax } from "../engine/graph/ops/reduce.ts";
import { sameShape } from "../base/shape.ts";

export { attention } from "../engine/graph/ops/composite/attention.ts";
export { crossEntropy, logSoftmax } from "../engine/graph/ops/composite/crossEntropy.ts";
export { layerNorm } from "../engine/graph/ops/composite/layerNorm.ts";
export { rmsNorm } from "../engine/graph/ops/composite/rmsNorm.ts";

/** Mean over axes (all when none are given). That of 16-bit floats is computed in float32 and rounded once. */
export function mean(x: Tensor, axes?: number | readonly number[], keep = false): Tensor {
  const list = normalizeAxes("mean", x.shape.length, axes);
  const count = list.reduce((n, axis) => n * x.shape[axis]!, 1);
  const wide = isHalf(x.dtype) ? cast(x, "float32") : x;
  return cast(div(sum(wide, list, keep), count), x.dtype);
}

/**
 * x·Φ(x), with Φ the distribution function of the standard normal.
 * @param options.approximate `none` computes Φ by the error function; `tanh` gives the approximation
 * ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) of Hendrycks and Gimpel (2016), section 2, which models that were
 * trained with it need and which `cuda` computes within a matrix product
 */
export function gelu(x: Tensor, { approximate = "none" }: { approximate?: "none" | "tanh" } = {}): Tensor {
  if (approximate === "none") return mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1));
  const cubed = mul(mul(x, x), x);
  const inner = mul(add(x, mul(cubed, 0.044715)), Math.sqrt(2 / Math.PI));
  return mul(mul(x, 0.5), add(tanh(inner), 1));
}

/** One where the index is the class, zero elsewhere: int32 `[…]` → float32 `[…, classes]`. */
export function oneHot(indices: Tensor, classes: number): Tensor {
  const all = constant(
    Int32Array.from({ length: classes }, (_, i) => i),
    [classes],
    "int32",
  );
  return cast(equal(reshape(indices, [...indices.shape, 1]), all), "float32");
}

/**
 * Zeroes elements with this probability and scales the rest by 1 / (1 − probability).
 * @param key int32 `[4]` of the Philox stream; the same key gives the same mask on every target
 */
export function dropout(x: Tensor, probability: number, key: Tensor): Tensor {
  const keep = less(random(key, x.shape), 1 - probability);
  return where(keep, div(x, 1 - probability), scalarLike(x, 0));
}

/**
 * softmax(q·kᵀ / √D + mask)·v. Of heads `[B, H, T, D]` it is the op `attention`, which has kernels of its own.
 * @param q `[…, T, D]`
 * @param k `[…, S, D]`
 * @param v `[…, S, E]`
 * @param allowed bool, broadcast to `[…, T, S]`; places that are not allowed get weight 0
 * @returns `[…, T, E]`
 */
export function scaledDotProductAttention(q: Tensor, k: Tensor, v: Tensor, allowed?: Tensor): Tensor {
  const [b, h, , width] = q.shape;
  const ofHeads = q.shape.length === 4 && sameShape(k.shape, [b!, h!, k.shape.at(-2)!, width!]);
  if (ofHeads && sameShape(k.shape, v.shape) && k.shape[2]! > 0) {
    return attention(q, k, v, allowed && { mask: allowed });
  }
  const scores = mul(matmul(q, k, { transposeB: true }), 1 / Math.sqrt(q.shape.at(-1)!));
  const masked = allowed ? where(allowed, scores, scalarLike(scores, -1e30)) : scores;
  return matmul(softmax(masked), v);
}

/** ln(1 + eᶻ) − z·y, the binary cross-entropy of a logit, elementwise. */
export function binaryCrossEntropyWithLogits(logits: Tensor, labels: Tensor): Tensor {
  return sub(softplus(logits), mul(logits, labels));
}
