/** @file Functions without parameters, composed of the engine's ops, by PyTorch's names. */
import type { Tensor } from "../engine/graph/node.ts";
import {
  add,
  cast,
  div,
  erf,
  exp,
  less,
  log,
  mul,
  softplus,
  sqrt,
  sub,
  where,
} from "../engine/graph/ops/elementwise.ts";
import { constant, random, scalarLike } from "../engine/graph/ops/leaf.ts";
import { matmul } from "../engine/graph/ops/contraction.ts";
import { normalizeAxes, reshape, sum } from "../engine/graph/ops/movement.ts";
import { max, softmax } from "../engine/graph/ops/reduce.ts";
import { equal } from "../engine/graph/ops/elementwise.ts";

/** Mean over axes (all when none are given). */
export function mean(x: Tensor, axes?: number | readonly number[], keep = false): Tensor {
  const list = normalizeAxes("mean", x.shape.length, axes);
  const count = list.reduce((n, axis) => n * x.shape[axis]!, 1);
  return div(sum(x, list, keep), count);
}

/** x − log Σ eˣ along the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  const shifted = sub(x, max(x, -1, true));
  return sub(shifted, log(sum(exp(shifted), -1, true)));
}

/** x·Φ(x), the exact form with the error function. */
export function gelu(x: Tensor): Tensor {
  return mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1));
}

/**
 * Normalises the last axis to mean 0 and deviation 1, then scales and shifts.
 * @param weight `[D]`
 * @param bias `[D]`
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon = 1e-5): Tensor {
  const centred = sub(x, mean(x, -1, true));
  const variance = mean(mul(centred, centred), -1, true);
  return add(mul(div(centred, sqrt(add(variance, epsilon))), weight), bias);
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
 * softmax(q·kᵀ / √D + mask)·v.
 * @param q `[…, T, D]`
 * @param k `[…, S, D]`
 * @param v `[…, S, E]`
 * @param allowed bool, broadcast to `[…, T, S]`; places that are not allowed get weight 0
 * @returns `[…, T, E]`
 */
export function scaledDotProductAttention(q: Tensor, k: Tensor, v: Tensor, allowed?: Tensor): Tensor {
  const scores = mul(matmul(q, k, { transposeB: true }), 1 / Math.sqrt(q.shape.at(-1)!));
  const masked = allowed ? where(allowed, scores, scalarLike(scores, -1e30)) : scores;
  return matmul(softmax(masked), v);
}

/** ln(1 + eᶻ) − z·y, the binary cross-entropy of a logit, elementwise. */
export function binaryCrossEntropyWithLogits(logits: Tensor, labels: Tensor): Tensor {
  return sub(softplus(logits), mul(logits, labels));
}

/**
 * −log softmax(logits)[target], elementwise over the leading axes.
 * @param logits `[…, classes]`
 * @param targets int32 `[…]`
 */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const chosen = mul(logSoftmax(logits), oneHot(targets, logits.shape.at(-1)!));
  return mul(sum(chosen, -1), -1);
}
