/**
 * @file Elementwise ops with NumPy broadcasting, each with its shape rule and derivative side by side.
 *
 * Arithmetic is on floating-point types and int32, comparisons give bool. Where an operand was broadcast its gradient
 * is summed back to the operand's shape.
 */
import type { DType } from "../../../base/dtype.ts";
import { floatDtypes as floats, isFloat, numericDtypes as signed } from "../../../base/dtype.ts";
import { broadcastShapes } from "../../../base/shape.ts";
import { apply, commonDtype, requireDtype, type OpDefinition, type Tensor } from "../node.ts";
import { scalarLike } from "./leaf.ts";
import { sumTo } from "./movement.ts";

type UnaryName =
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
  | "floor";
type BinaryName = "add" | "sub" | "mul" | "div" | "pow" | "maximum" | "minimum";
type CompareName = "equal" | "less" | "lessEqual";
type LogicalName = "logicalAnd" | "logicalOr";

/** A unary op; `derivative` gives dL/dx from dL/dy, x and y. */
function unary(
  name: UnaryName,
  dtypes: readonly DType[],
  derivative?: (g: Tensor, x: Tensor, y: Tensor) => Tensor,
): (x: Tensor) => Tensor {
  const definition: OpDefinition<UnaryName> = {
    name,
    infer: ([x]) => {
      requireDtype(name, x!, ...dtypes);
      return [x!];
    },
    ...(derivative && {
      gradient: ({ inputs: [x], outputs: [y] }, [g]) => [derivative(g!, x!, y!)],
    }),
  };
  return (x) => apply(definition, [x], {});
}

/** A broadcasting arithmetic op; `derivatives` gives both gradients before they are summed to the operands' shapes. */
function binary(
  name: BinaryName,
  dtypes: readonly DType[],
  derivatives: ((g: Tensor, a: Tensor, b: Tensor, y: Tensor) => Tensor)[],
): (a: Tensor, b: Tensor | number) => Tensor {
  const definition: OpDefinition<BinaryName> = {
    name,
    infer: ([a, b]) => {
      requireDtype(name, a!, ...dtypes);
      return [{ shape: broadcastShapes(name, a!.shape, b!.shape), dtype: commonDtype(name, [a!, b!]) }];
    },
    gradient: ({ inputs: [a, b], outputs: [y] }, [g]) =>
      [a!, b!].map((operand, i) =>
        operand.node.op === "constant" ? null : sumTo(derivatives[i]!(g!, a!, b!, y!), operand.shape),
      ),
  };
  return (a, b) => apply(definition, [a, typeof b === "number" ? scalarLike(a, b) : b], {});
}

function compare(name: CompareName): (a: Tensor, b: Tensor | number) => Tensor {
  const definition: OpDefinition<CompareName> = {
    name,
    infer: ([a, b]) => {
      commonDtype(name, [a!, b!]);
      if (name !== "equal") requireDtype(name, a!, ...signed);
      return [{ shape: broadcastShapes(name, a!.shape, b!.shape), dtype: "bool" }];
    },
  };
  return (a, b) => apply(definition, [a, typeof b === "number" ? scalarLike(a, b) : b], {});
}

function logical(name: LogicalName): (a: Tensor, b: Tensor) => Tensor {
  const definition: OpDefinition<LogicalName> = {
    name,
    infer: ([a, b]) => {
      requireDtype(name, a!, "bool");
      requireDtype(name, b!, "bool");
      return [{ shape: broadcastShapes(name, a!.shape, b!.shape), dtype: "bool" }];
    },
  };
  return (a, b) => apply(definition, [a, b], {});
}

/** −x. */
export const neg = unary("neg", signed, (g) => neg(g));
/** |x|; the derivative at 0 is 0. */
export const abs = unary("abs", signed, (g, x) => mul(g, sign(x)));
/** −1, 0 or 1. */
export const sign = unary("sign", signed);
/** eˣ. */
export const exp = unary("exp", floats, (g, _, y) => mul(g, y));
/** Natural logarithm. */
export const log = unary("log", floats, (g, x) => div(g, x));
/** Square root. */
export const sqrt = unary("sqrt", floats, (g, _, y) => div(g, mul(y, 2)));
/** Sine of radians. */
export const sin = unary("sin", floats, (g, x) => mul(g, cos(x)));
/** Cosine of radians. */
export const cos = unary("cos", floats, (g, x) => neg(mul(g, sin(x))));
/** Hyperbolic tangent. */
export const tanh = unary("tanh", floats, (g, _, y) => mul(g, sub(scalarLike(y, 1), mul(y, y))));
/** 1 / (1 + e⁻ˣ). */
export const sigmoid = unary("sigmoid", floats, (g, _, y) => mul(g, mul(y, sub(scalarLike(y, 1), y))));
/** ln(1 + eˣ), without overflow. */
export const softplus = unary("softplus", floats, (g, x) => mul(g, sigmoid(x)));
/** max(x, 0); the derivative at 0 is 0. */
export const relu = unary("relu", floats, (g, _, y) => where(less(scalarLike(y, 0), y), g, scalarLike(g, 0)));
/** The error function. */
export const erf = unary("erf", floats, (g, x) => mul(mul(g, 2 / Math.sqrt(Math.PI)), exp(neg(mul(x, x)))));
/** The largest whole number not above x. */
export const floor = unary("floor", floats);

/** a + b. */
export const add = binary("add", signed, [(g) => g, (g) => g]);
/** a − b. */
export const sub = binary("sub", signed, [(g) => g, (g) => neg(g)]);
/** a · b. */
export const mul = binary("mul", signed, [(g, _, b) => mul(g, b), (g, a) => mul(g, a)]);
/** a / b; integers divide towards zero. */
export const div = binary("div", signed, [(g, _, b) => div(g, b), (g, _, b, y) => neg(div(mul(g, y), b))]);
/** aᵇ, for a > 0 where the gradient to b is wanted. */
export const pow = binary("pow", floats, [
  (g, a, b) => mul(g, mul(b, pow(a, sub(b, 1)))),
  (g, a, _, y) => mul(g, mul(y, log(a))),
]);
/** The larger; equal operands share the gradient half and half. */
export const maximum = binary("maximum", signed, [
  (g, a, b) => mul(g, dominance(b, a)),
  (g, a, b) => mul(g, dominance(a, b)),
]);
/** The smaller; equal operands share the gradient half and half. */
export const minimum = binary("minimum", signed, [
  (g, a, b) => mul(g, dominance(a, b)),
  (g, a, b) => mul(g, dominance(b, a)),
]);

/** a = b. */
export const equal = compare("equal");
/** a < b. */
export const less = compare("less");
/** a ≤ b. */
export const lessEqual = compare("lessEqual");
/** Both. */
export const logicalAnd = logical("logicalAnd");
/** Either. */
export const logicalOr = logical("logicalOr");

const logicalNotOp: OpDefinition<"logicalNot"> = {
  name: "logicalNot",
  infer: ([x]) => {
    requireDtype("logicalNot", x!, "bool");
    return [x!];
  },
};

/** Not. */
export function logicalNot(x: Tensor): Tensor {
  return apply(logicalNotOp, [x], {});
}

const whereOp: OpDefinition<"where"> = {
  name: "where",
  infer: ([condition, a, b]) => {
    requireDtype("where", condition!, "bool");
    return [
      {
        shape: broadcastShapes("where", condition!.shape, a!.shape, b!.shape),
        dtype: commonDtype("where", [a!, b!]),
      },
    ];
  },
  gradient: ({ inputs: [condition, a, b] }, [g]) => {
    const zero = scalarLike(g!, 0);
    return [null, sumTo(where(condition!, g!, zero), a!.shape), sumTo(where(condition!, zero, g!), b!.shape)];
  },
};

/** a where the condition holds, b elsewhere. */
export function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  return apply(whereOp, [condition, a, b], {});
}

const castOp: OpDefinition<"cast"> = {
  name: "cast",
  infer: ([x], { dtype }) => [{ shape: x!.shape, dtype }],
  gradient: ({ inputs: [x], attrs: { dtype } }, [g]) => [
    isFloat(x!.dtype) && isFloat(dtype) ? cast(g!, x!.dtype) : null,
  ],
};

/** Converts the element type: floats to int32 towards zero, anything to bool as x ≠ 0. */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : apply(castOp, [x], { dtype });
}

/** 1 where low < high, ½ where they are equal, 0 elsewhere. */
function dominance(low: Tensor, high: Tensor): Tensor {
  return mul(add(cast(less(low, high), low.dtype), cast(lessEqual(low, high), low.dtype)), 0.5);
}
