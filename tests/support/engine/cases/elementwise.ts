/** @file Cases of the elementwise ops: every shape that broadcasting can meet, ties, saturation, integers. */
import type { Tensor } from "../../../../src/engine/graph/node.ts";
import * as op from "../../../../src/engine/graph/ops/elementwise.ts";
import type { Shape } from "../../../../src/base/shape.ts";
import { bool, float, given, int, opCase, type OpCase } from "../opCase.ts";

const name = (...shapes: Shape[]) => shapes.map((s) => `[${s.join(", ")}]`).join(" × ");

const shapes: readonly Shape[] = [[], [1], [17], [1, 65], [2, 3, 5], [0, 3]];

const pairs: readonly (readonly [Shape, Shape])[] = [
  [[3], [3]],
  [[2, 3], [3]],
  [
    [2, 1],
    [1, 3],
  ],
  [[], [4]],
  [[4], []],
  [[], []],
  [
    [17, 1, 3],
    [5, 3],
  ],
  [[65], [1]],
  [[0, 3], [3]],
  [
    [1, 0],
    [2, 1],
  ],
];

/** A function of floats on every shape; elements in [low, high) away from kinks. */
function floats(
  f: (x: Tensor) => Tensor,
  { low = -2, high = 2, avoid = [] as number[], special = [] as number[] } = {},
): OpCase[] {
  return [
    ...shapes.map((shape) => opCase(name(shape), [float(shape, low, high, avoid)], (x) => f(x))),
    ...(special.length === 0
      ? []
      : [
          opCase("saturation and special values", [given("float", [special.length], special)], (x) => f(x), {
            noFiniteDifference: "infinite, undefined or not representable nearby",
          }),
        ]),
  ];
}

const ints = (f: (x: Tensor) => Tensor) => [
  opCase("int32", [int([17])], (x) => f(x)),
  opCase("int32 empty", [int([0])], (x) => f(x)),
];

/** A function of two floats on every pair of shapes. */
function floatPairs(
  f: (a: Tensor, b: Tensor) => Tensor,
  range: { low?: number; high?: number; lowB?: number; highB?: number } = {},
): OpCase[] {
  const { low = -2, high = 2, lowB = low, highB = high } = range;
  return pairs.map(([a, b]) =>
    opCase(name(a, b), [float(a, low, high), float(b, lowB, highB)], (x, y) => f(x, y)),
  );
}

const intPairs = (f: (a: Tensor, b: Tensor) => Tensor, low = -9, high = 9) => [
  opCase("int32 [17] × [17]", [int([17]), int([17], low, high)], f),
  opCase("int32 [2, 1] × [1, 3]", [int([2, 1]), int([1, 3], low, high)], f),
  opCase("int32 [3] × []", [int([3]), int([], low, high)], f),
];

const tie = (kind: "float" | "int32", f: (a: Tensor, b: Tensor) => Tensor) =>
  opCase(`ties of ${kind}`, [given(kind, [4], [1, 2, -3, 0]), given(kind, [4], [1, -2, -3, 0])], f, {
    noFiniteDifference: "equal operands share the gradient by convention",
  });

const compared = (f: (a: Tensor, b: Tensor) => Tensor) => [
  ...floatPairs(f),
  ...intPairs(f),
  tie("float", f),
  tie("int32", f),
  opCase("NaN", [given("float", [3], [NaN, 1, NaN]), given("float", [3], [NaN, NaN, 1])], f),
];

const logical = (f: (a: Tensor, b: Tensor) => Tensor) =>
  pairs.map(([a, b]) => opCase(name(a, b), [bool(a), bool(b)], f));

/** Cases by op. */
export const elementwiseCases = {
  neg: [...floats(op.neg), ...ints(op.neg)],
  abs: [...floats(op.abs, { avoid: [0] }), ...ints(op.abs)],
  sign: [...floats(op.sign, { avoid: [0], special: [0, -3, 4] }), ...ints(op.sign)],
  exp: floats(op.exp, { special: [-200, 0, 100] }),
  log: floats(op.log, { low: 0.1, high: 4, special: [0, 1, -1, Infinity] }),
  sqrt: floats(op.sqrt, { low: 0.1, high: 4, special: [0, -1, Infinity] }),
  sin: floats(op.sin, { low: -6, high: 6 }),
  cos: floats(op.cos, { low: -6, high: 6 }),
  tanh: floats(op.tanh, { special: [-50, 0, 50] }),
  sigmoid: floats(op.sigmoid, { special: [-200, -20, 0, 20, 200] }),
  softplus: floats(op.softplus, { special: [-200, -20, 0, 20, 200] }),
  relu: floats(op.relu, { avoid: [0], special: [0, -1, 1] }),
  erf: floats(op.erf, { special: [-9, -3, 0, 3, 9] }),
  floor: floats(op.floor, { low: -3, high: 3, avoid: [-3, -2, -1, 0, 1, 2], special: [-1, 0, 2, -0.5, 1e9] }),
  logicalNot: shapes.map((shape) => opCase(name(shape), [bool(shape)], (x) => op.logicalNot(x))),
  cast: [
    opCase(
      "float to float32",
      [float([17])],
      (x) => op.cast(x.dtype === "float32" ? op.cast(x, "int32") : x, "float32"),
      {
        noFiniteDifference: "float32 cannot resolve the step",
      },
    ),
    opCase("float to int32, towards zero", [float([17], -9, 9)], (x) => op.cast(x, "int32")),
    opCase("float to bool", [given("float", [5], [0, 0.25, -3, 1, 0])], (x) => op.cast(x, "bool")),
    opCase("int32 to float", [int([17])], (x) => op.cast(x, "float32")),
    opCase("int32 to bool", [int([9], -1, 2)], (x) => op.cast(x, "bool")),
    opCase("bool to float", [bool([2, 3])], (x) => op.cast(x, "float32")),
    opCase("bool to int32", [bool([7])], (x) => op.cast(x, "int32")),
    opCase("scalar", [int([])], (x) => op.cast(x, "float32")),
    opCase("empty", [int([0, 3])], (x) => op.cast(x, "float32")),
  ],
  add: [...floatPairs(op.add), ...intPairs(op.add)],
  sub: [...floatPairs(op.sub), ...intPairs(op.sub)],
  mul: [...floatPairs(op.mul), ...intPairs(op.mul)],
  div: [
    ...floatPairs(op.div, { lowB: 0.5, highB: 2 }),
    ...intPairs(op.div, 1, 5),
    opCase(
      "int32 truncates towards zero",
      [given("int32", [4], [7, -7, 7, -7]), given("int32", [4], [2, 2, -2, -2])],
      op.div,
    ),
    opCase("by zero", [given("float", [3], [1, -1, 0]), given("float", [3], [0, 0, 0])], op.div, {
      noFiniteDifference: "infinite",
    }),
  ],
  pow: [
    ...floatPairs(op.pow, { low: 0.2, high: 2, lowB: -2, highB: 2 }),
    opCase("square of negatives", [float([17])], (x) => op.pow(x, 2)),
    opCase("cube of negatives", [float([5])], (x) => op.pow(x, 3)),
  ],
  maximum: [...floatPairs(op.maximum), ...intPairs(op.maximum), tie("float", op.maximum)],
  minimum: [...floatPairs(op.minimum), ...intPairs(op.minimum), tie("float", op.minimum)],
  equal: [
    ...compared(op.equal),
    opCase("bool", [bool([17]), bool([17])], op.equal),
    opCase("bool broadcast", [bool([3, 1]), bool([2])], op.equal),
  ],
  less: compared(op.less),
  lessEqual: compared(op.lessEqual),
  logicalAnd: logical(op.logicalAnd),
  logicalOr: logical(op.logicalOr),
  where: [
    ...pairs.map(([a, b]) => opCase(name(a, b), [bool(a), float(a), float(b)], op.where)),
    opCase("all three broadcast", [bool([2, 1, 1]), float([3, 1]), float([5])], op.where),
    opCase("scalar branches", [bool([17]), float([]), float([])], op.where),
    opCase("int32", [bool([7]), int([7]), int([])], op.where),
    opCase("bool", [bool([7]), bool([7]), bool([7])], op.where),
    opCase(
      "the branch not taken may be NaN",
      [given("bool", [2], [1, 0]), given("float", [2], [1, NaN]), given("float", [2], [NaN, 2])],
      op.where,
      { noFiniteDifference: "NaN" },
    ),
  ],
} satisfies Record<string, readonly OpCase[]>;
