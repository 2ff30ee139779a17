/** @file Kernels of the elementwise ops: a function of numbers, applied under NumPy broadcasting. */
import { isFloat } from "../../../base/dtype.ts";
import { sizeOf, type Shape } from "../../../base/shape.ts";
import type { OpName } from "../../graph/opAttrs.ts";
import { erf } from "../../../base/erf.ts";
import type { Kernel, KernelTable } from "./kernel.ts";
import { broadcastOffsets } from "./offsets.ts";

/** Step from one element of a view to the next where it is the same throughout: the whole tensor or one element. */
function evenStep(from: Shape, to: Shape): 0 | 1 | undefined {
  if (sizeOf(from) === sizeOf(to)) return 1;
  return sizeOf(from) === 1 ? 0 : undefined;
}

/** A kernel that applies a function of one, two or three numbers to broadcast operands. */
function pointwise<K extends OpName>(f: (a: number, b: number, c: number) => number): Kernel<K> {
  return ({ node, inputs, outputs }) => {
    const { shape } = node.outputs[0]!;
    const [a, b, c] = inputs;
    const out = outputs[0]!;
    const steps = node.inputs.map((t) => evenStep(t.shape, shape));
    if (steps.every((step) => step !== undefined)) {
      const [stepA = 0, stepB = 0, stepC = 0] = steps;
      for (let i = 0; i < out.length; i++) {
        out[i] = f(a![i * stepA]!, b ? b[i * stepB]! : 0, c ? c[i * stepC]! : 0);
      }
      return;
    }
    const [atA, atB, atC] = node.inputs.map((t) => broadcastOffsets(t.shape, shape));
    for (let i = 0; i < out.length; i++) {
      out[i] = f(a![atA![i]!]!, b ? b[atB![i]!]! : 0, c ? c[atC![i]!]! : 0);
    }
  };
}

/** As pointwise, with another function for int32. */
function byDtype<K extends OpName>(
  float: (a: number, b: number) => number,
  integer: (a: number, b: number) => number,
): Kernel<K> {
  const forFloat = pointwise<K>(float);
  const forInteger = pointwise<K>(integer);
  return (call) => (isFloat(call.node.outputs[0]!.dtype) ? forFloat : forInteger)(call);
}

/** Without overflow: e^x is taken only of x ≤ 0. */
function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** Kernels of one operand. */
export const unaryKernels: KernelTable<
  | "neg"
  | "abs"
  | "sign"
  | "exp"
  | "log"
  | "sqrt"
  | "sin"
  | "cos"
  | "tanh"
  | "sigmoid"
  | "softplus"
  | "relu"
  | "erf"
  | "floor"
  | "logicalNot"
  | "cast"
> = {
  neg: pointwise((x) => -x),
  abs: pointwise(Math.abs),
  sign: pointwise(Math.sign),
  exp: pointwise(Math.exp),
  log: pointwise(Math.log),
  sqrt: pointwise(Math.sqrt),
  sin: pointwise(Math.sin),
  cos: pointwise(Math.cos),
  tanh: pointwise(Math.tanh),
  sigmoid: pointwise(sigmoid),
  softplus: pointwise((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  relu: pointwise((x) => Math.max(x, 0)),
  erf: pointwise(erf),
  floor: pointwise(Math.floor),
  logicalNot: pointwise((x) => (x === 0 ? 1 : 0)),
  cast: (call) => {
    const { dtype } = call.node.attrs;
    const convert = pointwise<"cast">(
      dtype === "bool" ? (x) => (x === 0 ? 0 : 1) : dtype === "int32" ? Math.trunc : (x) => x,
    );
    convert(call);
  },
};

/** Kernels of two or three broadcasting operands. */
export const broadcastingKernels: KernelTable<
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "pow"
  | "maximum"
  | "minimum"
  | "equal"
  | "less"
  | "lessEqual"
  | "logicalAnd"
  | "logicalOr"
  | "where"
> = {
  add: pointwise((a, b) => a + b),
  sub: pointwise((a, b) => a - b),
  // A product of two int32 can pass 2⁵³, so it needs the wrapping multiply.
  mul: byDtype((a, b) => a * b, Math.imul),
  div: byDtype(
    (a, b) => a / b,
    (a, b) => Math.trunc(a / b),
  ),
  pow: pointwise((a, b) => a ** b),
  maximum: pointwise((a, b) => Math.max(a, b)),
  minimum: pointwise((a, b) => Math.min(a, b)),
  equal: pointwise((a, b) => (a === b ? 1 : 0)),
  less: pointwise((a, b) => (a < b ? 1 : 0)),
  lessEqual: pointwise((a, b) => (a <= b ? 1 : 0)),
  logicalAnd: pointwise((a, b) => (a !== 0 && b !== 0 ? 1 : 0)),
  logicalOr: pointwise((a, b) => (a !== 0 || b !== 0 ? 1 : 0)),
  where: pointwise((condition, a, b) => (condition !== 0 ? a : b)),
};
