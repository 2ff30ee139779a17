/**
 * @file The ops of a model's graph over a few rows, as loops over float32 arrays: each element is computed in float64
 * and rounded once, as are sums over a row.
 */
import type { AnyNode, Node, Tensor } from "../../engine/graph/node.ts";
import { sizeOf } from "../../base/shape.ts";
import { erf } from "../../base/erf.ts";
import type { SharedWeights } from "./sharedWeights.ts";

/** Elements of a tensor. */
export type RowValues = Float32Array | Int32Array;

type Work = () => void;

/**
 * What computes a node.
 * @param out receives its elements
 * @returns null for an op, or a shape of one, that is not known here
 */
export function lowerRowOp(
  node: AnyNode,
  inputs: readonly RowValues[],
  out: Float32Array,
  weights: SharedWeights,
): Work | null {
  const [a, b, c] = inputs as readonly Float32Array[];
  switch (node.op) {
    case "matmul":
      return product(node, a!, out, weights);
    case "gather":
      return gatherRows(node, inputs, out);
    case "slice":
      return columns(node, a!, out);
    case "rmsNorm":
      return () => rmsNorm(a!, b!, node.attrs.epsilon, out);
    case "layerNorm":
      return () => layerNorm(a!, b!, c!, node.attrs.epsilon, out);
    case "sigmoid":
      return () => {
        for (let i = 0; i < out.length; i++) out[i] = 1 / (1 + Math.exp(-a![i]!));
      };
    case "relu":
      return () => {
        for (let i = 0; i < out.length; i++) out[i] = Math.max(0, a![i]!);
      };
    case "tanh":
      return () => {
        for (let i = 0; i < out.length; i++) out[i] = Math.tanh(a![i]!);
      };
    case "erf":
      return () => {
        for (let i = 0; i < out.length; i++) out[i] = erf(a![i]!);
      };
    case "add":
    case "mul":
    case "maximum":
    case "minimum":
      return pairwise(node.op, node.inputs as [Tensor, Tensor], a!, b!, out);
    default:
      return null;
  }
}

function product(
  node: Node<"matmul">,
  x: Float32Array,
  out: Float32Array,
  weights: SharedWeights,
): Work | null {
  const [left, right] = node.inputs as [Tensor, Tensor];
  const { transposeA, transposeB } = node.attrs;
  const from = right.node as unknown as AnyNode;
  if (from.op !== "state" || transposeA || !transposeB || left.shape.length !== 2) return null;
  const { name } = from.attrs;
  return () => weights.multiply(x, name, out);
}

function gatherRows(
  { inputs }: Node<"gather">,
  [table, ids]: readonly RowValues[],
  out: Float32Array,
): Work | null {
  const [from] = inputs as [Tensor];
  if (from.shape.length !== 2) return null;
  const width = from.shape[1]!;
  return () => {
    for (let row = 0; row < ids!.length; row++) {
      const at = ids![row]! * width;
      out.set(table!.subarray(at, at + width), row * width);
    }
  };
}

/** A slice of whole columns of two axes. */
function columns({ inputs, attrs }: Node<"slice">, x: Float32Array, out: Float32Array): Work | null {
  const [rows, width] = inputs[0]!.shape;
  const { starts, ends, steps } = attrs;
  if (starts.length !== 2 || starts[0] !== 0 || ends[0] !== rows || steps.some((step) => step !== 1))
    return null;
  const [start, end] = [starts[1]!, ends[1]!];
  return () => {
    for (let row = 0; row < rows!; row++)
      out.set(x.subarray(row * width! + start, row * width! + end), row * (end - start));
  };
}

const pairOps = {
  add: (a: Float32Array, b: Float32Array, from: number, count: number, stride: number, out: Float32Array) => {
    for (let i = 0; i < count; i++) out[from + i] = a[from + i]! + b[i * stride]!;
  },
  mul: (a: Float32Array, b: Float32Array, from: number, count: number, stride: number, out: Float32Array) => {
    for (let i = 0; i < count; i++) out[from + i] = a[from + i]! * b[i * stride]!;
  },
  maximum: (
    a: Float32Array,
    b: Float32Array,
    from: number,
    count: number,
    stride: number,
    out: Float32Array,
  ) => {
    for (let i = 0; i < count; i++) out[from + i] = Math.max(a[from + i]!, b[i * stride]!);
  },
  minimum: (
    a: Float32Array,
    b: Float32Array,
    from: number,
    count: number,
    stride: number,
    out: Float32Array,
  ) => {
    for (let i = 0; i < count; i++) out[from + i] = Math.min(a[from + i]!, b[i * stride]!);
  },
};

/** An op of two tensors, one of which is as the other, a row of it, or a number. */
function pairwise(
  op: keyof typeof pairOps,
  [left, right]: readonly [Tensor, Tensor],
  a: Float32Array,
  b: Float32Array,
  out: Float32Array,
): Work | null {
  const by = sizeOf(left.shape) - sizeOf(right.shape) || left.shape.length - right.shape.length;
  if (by < 0) return pairwise(op, [right, left], b, a, out);
  const count = sizeOf(right.shape);
  const isTail = right.shape.every((n, i) => n === left.shape[left.shape.length - right.shape.length + i]);
  if ((count !== 1 && !isTail) || out.length !== a.length) return null;
  const run = pairOps[op];
  if (count === 1) return () => run(a, b, 0, out.length, 0, out);
  return () => {
    // A row that is added to all of them comes before each.
    for (let from = 0; from < out.length; from += count) run(a, b, from, count, 1, out);
  };
}

function rmsNorm(x: Float32Array, weight: Float32Array, epsilon: number, out: Float32Array): void {
  const width = weight.length;
  for (let from = 0; from < x.length; from += width) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[from + i]! ** 2;
    const scale = 1 / Math.sqrt(squares / width + epsilon);
    for (let i = 0; i < width; i++) out[from + i] = x[from + i]! * scale * weight[i]!;
  }
}

function layerNorm(
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array,
  epsilon: number,
  out: Float32Array,
): void {
  const width = weight.length;
  for (let from = 0; from < x.length; from += width) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += x[from + i]!;
    const mean = sum / width;
    let squares = 0;
    for (let i = 0; i < width; i++) squares += (x[from + i]! - mean) ** 2;
    const scale = 1 / Math.sqrt(squares / width + epsilon);
    for (let i = 0; i < width; i++) out[from + i] = (x[from + i]! - mean) * scale * weight[i]! + bias[i]!;
  }
}
