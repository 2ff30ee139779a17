/** @file Layers with parameters. Each takes the model's parameters and its own name, and returns symbolic tensors. */
import type { Tensor } from "../engine/graph/node.ts";
import { add, relu } from "../engine/graph/ops/elementwise.ts";
import { conv1d } from "../engine/graph/ops/contraction.ts";
import { matmul } from "../engine/graph/ops/contraction.ts";
import { gather } from "../engine/graph/ops/indexing.ts";
import { reshape } from "../engine/graph/ops/movement.ts";
import { constantFill, normal, xavierUniform, type Initializer } from "./initializers.ts";
import type { Parameters } from "./parameters.ts";

/** Initial values of a layer's weight and bias. */
export interface LayerOptions {
  /** Defaults to {@link xavierUniform}. */
  weight?: Initializer;
  /** Defaults to zeros; `false` leaves the bias out. */
  bias?: Initializer | false;
}

/**
 * x·Wᵀ + b, with `NAME.weight` `[outputs, inputs]` and `NAME.bias` `[outputs]`.
 * @param x `[…, inputs]`
 * @returns `[…, outputs]`
 */
export function linear(
  p: Parameters,
  name: string,
  x: Tensor,
  outputs: number,
  options: LayerOptions = {},
): Tensor {
  const inputs = x.shape.at(-1)!;
  const weight = p.get(`${name}.weight`, [outputs, inputs], options.weight ?? xavierUniform);
  const flat = reshape(x, [x.shape.slice(0, -1).reduce((a, b) => a * b, 1), inputs]);
  const product = matmul(flat, weight, { transposeB: true });
  const y =
    options.bias === false
      ? product
      : add(product, p.get(`${name}.bias`, [outputs], options.bias ?? constantFill(0)));
  return reshape(y, [...x.shape.slice(0, -1), outputs]);
}

/** Initial values of layer after layer, from the widths it joins. */
export type MlpInitializers = (inputs: number, outputs: number) => LayerOptions;

/** What follows each layer of an {@link mlp}. */
export interface MlpOptions {
  /** Leaves the last layer without ReLU. Defaults to false. */
  linearOutput?: boolean;
  initializers?: MlpInitializers;
}

/** Linear layers `NAME.0`, `NAME.1`, …, each followed by ReLU. */
export function mlp(
  p: Parameters,
  name: string,
  x: Tensor,
  widths: readonly number[],
  options: MlpOptions = {},
): Tensor {
  return widths.reduce((h, width, i) => {
    const y = linear(p, `${name}.${i}`, h, width, options.initializers?.(h.shape.at(-1)!, width));
    return options.linearOutput && i === widths.length - 1 ? y : relu(y);
  }, x);
}

/**
 * Rows of a small table held densely, `NAME.weight` `[rows, dim]`, initially N(0, 1) as in PyTorch. Large tables of
 * CTR models live in embedding stores instead.
 * @param indices int32 `[…]`
 * @returns `[…, dim]`
 */
export function embedding(
  p: Parameters,
  name: string,
  indices: Tensor,
  rows: number,
  dim: number,
  initializer: Initializer = normal(0, 1),
): Tensor {
  return gather(p.get(`${name}.weight`, [rows, dim], initializer), indices);
}

/**
 * Cross-correlation with a bias, `NAME.weight` `[outputs, inputs, kernel]` and `NAME.bias` `[outputs]`, padded so
 * that an odd kernel keeps the length.
 * @param x `[B, inputs, T]`
 */
export function convolution1d(
  p: Parameters,
  name: string,
  x: Tensor,
  outputs: number,
  kernel: number,
): Tensor {
  const weight = p.get(`${name}.weight`, [outputs, x.shape[1]!, kernel], xavierUniform);
  const bias = p.get(`${name}.bias`, [outputs], constantFill(0));
  const left = Math.floor((kernel - 1) / 2);
  return add(conv1d(x, weight, { padding: [left, kernel - 1 - left] }), reshape(bias, [1, outputs, 1]));
}
