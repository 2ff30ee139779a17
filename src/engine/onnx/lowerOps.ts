/**
 * @file How each op is said in ONNX. The table is typed over the engine's primitives, so a missing one is a compile
 * error; all composites but {@link runtimeComposites} are decomposed before. Lowerings avoid naming the length of the first axis (0 in Reshape, 1 in
 * Expand, sliced axes only), so that a graph traced at one batch size can be exported for any.
 */
import { allocate } from "../../base/dtype.ts";
import type { Node, Tensor } from "../graph/node.ts";
import type { CompositeName, OpName, PrimitiveName } from "../graph/opAttrs.ts";
import { elementOf } from "../../base/half.ts";
import type { Shape } from "../../base/shape.ts";
import { sizeOf } from "../../base/shape.ts";
import type { OnnxBuilder } from "./builder.ts";
import { lowerConv1d, lowerConv1dInputGradient, lowerConv1dKernelGradient } from "./lowerConv.ts";

/** Emits a node's meaning and returns the ONNX names of its outputs. */
export type Lowering<K extends OpName> = (
  b: OnnxBuilder,
  node: Node<K>,
  inputs: string[],
) => string | string[];

/** Ops that are lowered by structure (leaves and loops), not by this table. */
type StructuralName = "input" | "state" | "random" | "scan";

/** Composites that ONNX Runtime has an op for, one that standard ONNX lacks: exported models have them taken apart. */
export const runtimeComposites = ["rmsNorm"] as const satisfies readonly CompositeName[];

type RuntimeComposite = (typeof runtimeComposites)[number];

const same = (type: string) => (b: OnnxBuilder, _: unknown, inputs: string[]) => b.op(type, inputs);

const onnxDtype = { float32: 1, int32: 6, bool: 9, float16: 10, float64: 11, bfloat16: 16 } as const;

/** Reshape that copies the first axis from its input where it is unchanged. */
function lowerReshape(b: OnnxBuilder, x: string, from: Shape, to: Shape): string {
  const target = [...to];
  const free = to.findIndex((n) => b.isFree(n));
  if (free >= 0 && to.findLastIndex((n) => b.isFree(n)) === free) {
    target[free] = -1;
    return b.op("Reshape", [x, b.int64s(target)]);
  }
  if (from.length > 0 && to.length > 0 && from[0] === to[0] && sizeOf(to) > 0) target[0] = 0;
  // One length may be left to the runtime: a batch folded into the first axis stays free.
  if (from[0] !== to[0] && to.length > 0 && sizeOf(to) > 0) target[0] = -1;
  return b.op("Reshape", [x, b.int64s(target)]);
}

function expand(b: OnnxBuilder, x: string, from: Shape, to: Shape): string {
  const lead = to.length - from.length;
  const target = to.map((n, axis) => (from[axis - lead] === n ? 1 : n));
  if (!target.some((n) => b.isFree(n))) return b.op("Expand", [x, b.int64s(target)]);
  const lengths = target.map((n) => (b.isFree(n) ? b.freeLength(n / b.free!.length) : b.int64s([n])));
  return b.op("Expand", [x, b.op("Concat", lengths, { axis: 0 })]);
}

const reduce =
  (type: string) =>
  (b: OnnxBuilder, { attrs }: { attrs: { axes: readonly number[] } }, [x]: string[]) =>
    b.op(type, [x!, b.int64s(attrs.axes)], { keepdims: 1 });

function lowerMatmul(b: OnnxBuilder, node: Node<"matmul">, [x, y]: string[]): string {
  const { transposeA, transposeB, outDtype } = node.attrs;
  const [left, right] = node.inputs as [Tensor, Tensor];
  if (left.dtype !== outDtype) {
    [x, y] = [x!, y!].map((name) => b.op("Cast", [name], { to: onnxDtype[outDtype] }));
  }
  if (left.shape.length === 2 && right.shape.length === 2) {
    return b.op("Gemm", [x!, y!], { transA: Number(transposeA), transB: Number(transposeB) });
  }
  const swap = (name: string, { shape }: Tensor) => {
    const order = shape.map((_, i) => i);
    [order[order.length - 2], order[order.length - 1]] = [order.at(-1)!, order.at(-2)!];
    return b.op("Transpose", [name], { perm: order });
  };
  return b.op("MatMul", [transposeA ? swap(x!, left) : x!, transposeB ? swap(y!, right) : y!]);
}

function lowerSlice(b: OnnxBuilder, { inputs: [x], attrs }: Node<"slice">, [name]: string[]): string {
  const axes = x!.shape.flatMap((n, i) =>
    attrs.starts[i] === 0 && attrs.ends[i] === n && attrs.steps[i] === 1 ? [] : [i],
  );
  const pick = (list: readonly number[]) => b.int64s(axes.map((i) => list[i]!));
  return b.op("Slice", [name!, pick(attrs.starts), pick(attrs.ends), b.int64s(axes), pick(attrs.steps)]);
}

function lowerPad(b: OnnxBuilder, { attrs, inputs: [x] }: Node<"pad">, [name]: string[]): string {
  const value = b.initializer(x!.dtype, [], allocate(x!.dtype, 1).fill(elementOf(attrs.value, x!.dtype)));
  return b.op("Pad", [name!, b.int64s([...attrs.before, ...attrs.after]), value], { mode: "constant" });
}

/** Positions of the strictly lower triangle of an F × F matrix, row-major. */
function lowerTriangle(features: number): number[] {
  return Array.from({ length: features }, (_, i) =>
    Array.from({ length: i }, (_, j) => i * features + j),
  ).flat();
}

function lowerDotInteraction(
  b: OnnxBuilder,
  { inputs: [x] }: Node<"dotInteraction">,
  [name]: string[],
): string {
  const features = x!.shape[1]!;
  const products = b.op("MatMul", [name!, b.op("Transpose", [name!], { perm: [0, 2, 1] })]);
  const flat = b.op("Reshape", [products, b.int64s([0, features * features])]);
  return b.op("Gather", [flat, b.int64s(lowerTriangle(features))], { axis: 1 });
}

function lowerDotInteractionGradient(
  b: OnnxBuilder,
  { inputs: [x, g] }: Node<"dotInteractionGradient">,
  [name, gradient]: string[],
): string {
  const features = x!.shape[1]!;
  const pairs = g!.shape[1]!;
  // A zero column stands for the diagonal; the symmetric G + Gᵀ is then one gather.
  const padded = b.op("Pad", [gradient!, b.int64s([0, 0, 0, 1])], { mode: "constant" });
  const place = (i: number, j: number) =>
    i === j ? pairs : (Math.max(i, j) * (Math.max(i, j) - 1)) / 2 + Math.min(i, j);
  const symmetric = Array.from({ length: features * features }, (_, k) =>
    place(Math.floor(k / features), k % features),
  );
  const square = b.op("Gather", [padded, b.int64s(symmetric)], { axis: 1 });
  return b.op("MatMul", [b.op("Reshape", [square, b.int64s([0, features, features])]), name!]);
}

/**
 * Scatter as the product with a one-hot matrix where rows are few, else ScatterElements, which adds in order on one
 * thread and so gives the same sums every time.
 */
function lowerScatterAdd(b: OnnxBuilder, node: Node<"scatterAdd">, [updates, indices]: string[]): string {
  const [update, index] = node.inputs as [Tensor, Tensor];
  const { rows } = node.attrs;
  const places = sizeOf(index.shape);
  const rest = update.shape.slice(index.shape.length);
  const width = sizeOf(rest);
  const flatIndices = b.op("Reshape", [indices!, b.int64s([places])]);
  const flat = b.op("Reshape", [updates!, b.int64s([places, width])]);
  const shape = b.int64s([rows, ...rest]);
  if (rows <= 256 && update.dtype === "float32") {
    const values = b.initializer("float32", [2], Float32Array.of(0, 1));
    const hot = b.op("OneHot", [flatIndices, b.initializer("int32", [1], Int32Array.of(rows)), values], {
      axis: 1,
    });
    return b.op("Reshape", [b.op("Gemm", [hot, flat], { transA: 1 }), shape]);
  }
  const zeros = b.op("Cast", [b.op("ConstantOfShape", [b.int64s([rows, width])])], {
    to: onnxDtype[update.dtype],
  });
  const column = b.op("Reshape", [flatIndices, b.int64s([places, 1])]);
  const spread = b.op("Expand", [column, b.int64s([places, width])]);
  return b.op("Reshape", [
    b.op("ScatterElements", [zeros, spread, flat], { axis: 0, reduction: "add" }),
    shape,
  ]);
}

/** Lowerings by op. */
export const lowerings: {
  readonly [K in Exclude<PrimitiveName, StructuralName> | RuntimeComposite]: Lowering<K>;
} = {
  rmsNorm: (b, { attrs }, inputs) =>
    b.op("SimplifiedLayerNormalization", inputs, { axis: -1, epsilon: { float: attrs.epsilon } }),
  constant: (b, { attrs }) => b.initializer(attrs.dtype, attrs.shape, attrs.data),
  neg: same("Neg"),
  abs: same("Abs"),
  sign: same("Sign"),
  exp: same("Exp"),
  log: same("Log"),
  sqrt: same("Sqrt"),
  sin: same("Sin"),
  cos: same("Cos"),
  tanh: same("Tanh"),
  sigmoid: same("Sigmoid"),
  softplus: same("Softplus"),
  relu: same("Relu"),
  erf: same("Erf"),
  floor: same("Floor"),
  logicalNot: same("Not"),
  cast: (b, { attrs }, [x]) => b.op("Cast", [x!], { to: onnxDtype[attrs.dtype] }),
  add: same("Add"),
  sub: same("Sub"),
  mul: same("Mul"),
  div: same("Div"),
  pow: same("Pow"),
  maximum: same("Max"),
  minimum: same("Min"),
  equal: same("Equal"),
  less: same("Less"),
  lessEqual: same("LessOrEqual"),
  logicalAnd: same("And"),
  logicalOr: same("Or"),
  where: (b, { outputs: [y] }, [condition, x, z]) =>
    y!.dtype === "bool"
      ? // ONNX Runtime has no Where over bool.
        b.op("Or", [b.op("And", [condition!, x!]), b.op("And", [b.op("Not", [condition!]), z!])])
      : b.op("Where", [condition!, x!, z!]),
  reshape: (b, { inputs: [x], attrs }, [name]) => lowerReshape(b, name!, x!.shape, attrs.shape),
  broadcastTo: (b, { inputs: [x], attrs }, [name]) => expand(b, name!, x!.shape, attrs.shape),
  transpose: (b, { attrs }, [x]) => b.op("Transpose", [x!], { perm: attrs.permutation }),
  slice: lowerSlice,
  pad: lowerPad,
  concat: (b, { attrs }, inputs) => b.op("Concat", inputs, { axis: attrs.axis }),
  flip: (b, { attrs }, [x]) =>
    b.op("Slice", [x!, b.int64s([-1]), b.int64s([-(2 ** 31)]), b.int64s([attrs.axis]), b.int64s([-1])]),
  sum: reduce("ReduceSum"),
  max: reduce("ReduceMax"),
  argmax: (b, { attrs }, [x]) =>
    b.op("Cast", [b.op("ArgMax", [x!], { axis: attrs.axis, keepdims: 0 })], { to: onnxDtype.int32 }),
  cumsum: (b, { attrs }, [x]) => b.op("CumSum", [x!, b.initializer("int32", [], Int32Array.of(attrs.axis))]),
  softmax: (b, _, [x]) => b.op("Softmax", [x!], { axis: -1 }),
  matmul: lowerMatmul,
  conv1d: lowerConv1d,
  conv1dInputGradient: lowerConv1dInputGradient,
  conv1dKernelGradient: lowerConv1dKernelGradient,
  dotInteraction: lowerDotInteraction,
  dotInteractionGradient: lowerDotInteractionGradient,
  gather: (b, _, inputs) => b.op("Gather", inputs, { axis: 0 }),
  scatterAdd: lowerScatterAdd,
  take: (b, { attrs }, [x]) => b.op("Gather", [x!, b.int64s(attrs.indices)], { axis: attrs.axis }),
};
