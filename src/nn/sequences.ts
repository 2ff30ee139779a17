/**
 * @file Layers over batches of sequences of unequal length. Time comes first, `[T, B, …]`: neighbours along a sequence
 * are then whole blocks of memory, so that windows, pools and loops move blocks and never single elements. Padding
 * stands behind the steps of a sequence, and a mask, bool `[T, B]`, is false on it.
 */
import { ParetoError } from "../base/errors.ts";
import type { Tensor } from "../engine/graph/node.ts";
import { matmul } from "../engine/graph/ops/contraction.ts";
import { add, cast, div, less, mul, tanh, where } from "../engine/graph/ops/elementwise.ts";
import { gather } from "../engine/graph/ops/indexing.ts";
import { constant, scalarLike } from "../engine/graph/ops/leaf.ts";
import { concat, pad, reshape, slice, sum, transpose } from "../engine/graph/ops/movement.ts";
import { max, softmax } from "../engine/graph/ops/reduce.ts";
import { formatShape } from "../base/shape.ts";
import { constantFill, normal, xavierUniform } from "./initializers.ts";
import type { Parameters } from "./parameters.ts";

/** Below every value that a network computes, and finite, so that 0 times it is 0. */
const LOWEST = -1e30;

/**
 * The mask of a padded batch: bool `[T, B]`, true on the first `length` steps of each sequence, false on padding.
 * @param lengths int32 `[B]`, in steps before any pooling
 * @param steps T
 * @param stride how many steps have been pooled into one: the first ⌈length / stride⌉ steps are then true
 */
export function lengthMask(lengths: Tensor, steps: number, stride = 1): Tensor {
  const starts = Int32Array.from({ length: steps }, (_, t) => t * stride);
  return less(constant(starts, [steps, 1], "int32"), reshape(lengths, [1, lengths.shape[0]!]));
}

/** Windows of a kernel around each step, `[T, B, …]` → K tensors `[T, B, …]`, with zeros beyond both ends. */
function windows(x: Tensor, kernel: number): Tensor[] {
  const steps = x.shape[0]!;
  const left = Math.floor((kernel - 1) / 2);
  const widths = (n: number) => x.shape.map((_, axis) => (axis === 0 ? n : 0));
  const padded = pad(x, widths(left), widths(kernel - 1 - left));
  return Array.from({ length: kernel }, (_, k) => slice(padded, { 0: [k, k + steps] }));
}

/**
 * Cross-correlation along time with a bias, at the length it is given: `NAME.weight` `[outputs, inputs, kernel]`,
 * `NAME.bias` `[outputs]`, as in `convolution1d`.
 * @param x `[T, B, inputs]`, zero on padding
 * @returns `[T, B, outputs]`
 */
export function sequenceConvolution(
  p: Parameters,
  name: string,
  x: Tensor,
  outputs: number,
  kernel: number,
): Tensor {
  const [steps, batch, inputs] = x.shape as [number, number, number];
  const weight = p.get(`${name}.weight`, [outputs, inputs, kernel], xavierUniform);
  const bias = p.get(`${name}.bias`, [outputs], constantFill(0));
  const columns = reshape(concat(windows(x, kernel), 2), [steps * batch, kernel * inputs]);
  const matrix = reshape(transpose(weight, [2, 1, 0]), [kernel * inputs, outputs]);
  return reshape(add(matmul(columns, matrix), bias), [steps, batch, outputs]);
}

/**
 * {@link sequenceConvolution} of an embedding, `EMBEDDING.weight` `[rows, dim]`, whose row 0 stands for padding and
 * counts as zeros. As the convolution is linear, the rows pass through its kernel first; what is left at each step is
 * a sum of K rows of a table of K·(rows − 1), one product with a sparse matrix: for few rows far less work than the
 * convolution of their vectors, and backwards the gradient of every step need not be formed.
 * @param ids int32 `[T, B]` in [0, rows), 0 on padding
 * @returns `[T, B, outputs]`
 */
export function embeddingConvolution(
  p: Parameters,
  names: { embedding: string; convolution: string },
  ids: Tensor,
  { rows, dim, outputs, kernel }: { rows: number; dim: number; outputs: number; kernel: number },
): Tensor {
  const [steps, batch] = ids.shape as [number, number];
  const embedding = p.get(`${names.embedding}.weight`, [rows, dim], normal(0, 1));
  const weight = p.get(`${names.convolution}.weight`, [outputs, dim, kernel], xavierUniform);
  const bias = p.get(`${names.convolution}.bias`, [outputs], constantFill(0));
  const letters = rows - 1;
  const through = matmul(
    slice(embedding, { 0: [1, rows] }),
    reshape(transpose(weight, [1, 2, 0]), [dim, kernel * outputs]),
  );
  const table = reshape(transpose(reshape(through, [letters, kernel, outputs]), [1, 0, 2]), [
    kernel * letters,
    outputs,
  ]);
  const places = concat(
    windows(ids, kernel).map((part) => reshape(part, [steps, batch, 1])),
    2,
  );
  const oneHot = cast(gather(oneHotRows(rows), places), embedding.dtype);
  const columns = reshape(oneHot, [steps * batch, kernel * letters]);
  return reshape(add(matmul(columns, table), bias), [steps, batch, outputs]);
}

/** `[rows, rows − 1]`: nothing for row 0, then the unit vectors. */
function oneHotRows(rows: number): Tensor {
  const values = new Float32Array(rows * (rows - 1));
  for (let row = 1; row < rows; row++) values[row * (rows - 1) + row - 1] = 1;
  return constant(values, [rows, rows - 1]);
}

/**
 * The largest of every `size` neighbouring steps; a last group may be shorter.
 * @param x `[T, B, …]`
 * @returns `[⌈T / size⌉, B, …]`
 */
export function maxPool(x: Tensor, size: number): Tensor {
  const [steps, ...rest] = x.shape as [number, ...number[]];
  const groups = Math.ceil(steps / size);
  const widths = (n: number) => x.shape.map((_, axis) => (axis === 0 ? n : 0));
  const whole = pad(x, widths(0), widths(groups * size - steps), LOWEST);
  return max(reshape(whole, [groups, size, ...rest]), 1);
}

/** Zero on padding. @param x `[T, B, F]` @param mask bool `[T, B]` */
export function maskSteps(x: Tensor, mask: Tensor): Tensor {
  return where(reshape(mask, [...mask.shape, 1]), x, scalarLike(x, 0));
}

/** The largest value of each feature over the steps that the mask keeps, `[B, F]`. @param x `[T, B, F]` @param mask bool `[T, B]` */
export function maskedMax(x: Tensor, mask: Tensor): Tensor {
  return max(where(reshape(mask, [...mask.shape, 1]), x, scalarLike(x, LOWEST)), 0);
}

/** The mean over the steps that the mask keeps, `[B, F]`. @param x `[T, B, F]` @param mask bool `[T, B]` */
export function maskedMean(x: Tensor, mask: Tensor): Tensor {
  const counts = sum(cast(mask, x.dtype), 0);
  return div(sum(maskSteps(x, mask), 0), reshape(counts, [counts.shape[0]!, 1]));
}

/**
 * A weighted mean over time, e_t = vᵀ·tanh(W·h_t + b), weights softmax(e) over the steps of the mask (Bahdanau, Cho and
 * Bengio 2015, without the query): `NAME.weight` `[width, F]`, `NAME.bias` `[width]`, `NAME.score` `[width]`.
 * @param h `[T, B, F]`
 * @param mask bool `[T, B]`; every sequence needs a step that is true
 * @returns the mean `[B, F]`, and the weights `[B, T]`, 0 on padding
 * @throws ParetoError `SHAPE_ATTENTION_MASK`
 */
export function additiveAttention(
  p: Parameters,
  name: string,
  h: Tensor,
  width: number,
  mask: Tensor,
): { context: Tensor; weights: Tensor } {
  const [steps, batch, features] = h.shape as [number, number, number];
  if (mask.shape.length !== 2 || mask.shape[0] !== steps || mask.shape[1] !== batch) {
    throw new ParetoError({
      code: "SHAPE_ATTENTION_MASK",
      where: "additiveAttention",
      message: `additiveAttention: the mask must be [T, B] of ${formatShape(h.shape)}, got ${formatShape(mask.shape)}`,
      fix: "Give lengthMask(lengths, T, stride) of the same batch.",
    });
  }
  const weight = p.get(`${name}.weight`, [width, features], xavierUniform);
  const bias = p.get(`${name}.bias`, [width], constantFill(0));
  const score = p.get(`${name}.score`, [width], (values, _, rng) => xavierUniform(values, [1, width], rng));
  const flat = reshape(h, [steps * batch, features]);
  const hidden = tanh(add(matmul(flat, weight, { transposeB: true }), bias));
  const scores = reshape(matmul(hidden, reshape(score, [width, 1])), [steps, batch]);
  const weights = softmax(transpose(where(mask, scores, scalarLike(scores, LOWEST))));
  const byTime = reshape(transpose(weights), [steps, batch, 1]);
  return { context: sum(mul(h, byTime), 0), weights };
}
