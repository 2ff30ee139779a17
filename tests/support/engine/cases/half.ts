/** @file Cases that only 16-bit floats have: conversions that round, and products that give their float32 sums. */
import type { Tensor } from "../../../../src/engine/graph/node.ts";
import { matmul } from "../../../../src/engine/graph/ops/contraction.ts";
import { add, cast, exp, mul, relu } from "../../../../src/engine/graph/ops/elementwise.ts";
import { sum } from "../../../../src/engine/graph/ops/movement.ts";
import { max } from "../../../../src/engine/graph/ops/reduce.ts";
import { gelu } from "../../../../src/nn/functional.ts";
import type { OpName } from "../../../../src/engine/graph/opAttrs.ts";
import { bool, float, given, int, opCase, type OpCase } from "../opCase.ts";

/** Ties, subnormals, what overflows one type or both, and what is no number. */
const special = [
  0, -0, 1, 2049, 2051, 65504, 65519, 65520, 70_000, 3e38, 3.4e38, -1e-7, 3e-8, 2e-8, 6.1e-5, 1e-39,
];
const notFinite = [Infinity, -Infinity, NaN];
/** Between two bfloat16, on either side of the middle and in it. */
const beside = [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, 1 + 3 * 2 ** -8 - 2 ** -20];
/** As above for float16. */
const besideFloat16 = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -20, 1 + 3 * 2 ** -11 - 2 ** -20];
const numbers = [...special, ...notFinite, ...beside, ...besideFloat16];
const given_ = given("float", [numbers.length], numbers);
/** What 16-bit floats are summed in. */
const wide = ({ dtype }: Tensor) => (dtype === "float64" ? dtype : "float32");
const noStep = { noFiniteDifference: "the type cannot resolve the step" };

/** A case and the op it is about. */
export interface HalfCase {
  readonly op: OpName;
  readonly testCase: OpCase;
  /** Whether results are rounded several times, or once by targets that fuse. */
  readonly isChain?: boolean;
}

/** Cases whose float operands are of a 16-bit type or of float32. */
export const halfCases: readonly HalfCase[] = [
  ...(["float16", "bfloat16", "float32", "bool"] as const).map((dtype) => ({
    op: "cast" as const,
    testCase: opCase(`special numbers to ${dtype}`, [given_], (x) => cast(x, dtype), noStep),
  })),
  {
    op: "cast",
    testCase: opCase("int32 to both", [int([65], -70_000, 70_000)], (x) => [
      cast(x, "float16"),
      cast(x, "bfloat16"),
    ]),
  },
  {
    op: "cast",
    testCase: opCase("bool to both", [bool([7])], (x) => [cast(x, "float16"), cast(x, "bfloat16")]),
  },
  {
    op: "cast",
    testCase: opCase(
      "there and back rounds",
      [given("float", [beside.length + besideFloat16.length], [...beside, ...besideFloat16])],
      (x) => ["float16" as const, "bfloat16" as const].map((dtype) => cast(cast(x, dtype), "float32")),
      noStep,
    ),
  },
  {
    op: "cast",
    testCase: opCase("to float32 and back around other ops", [float([17])], (x) =>
      cast(mul(cast(x, "float32"), 0.1), x.dtype),
    ),
  },
  ...([false, true] as const).map((transposed) => ({
    op: "matmul" as const,
    testCase: opCase(
      `float32 sums${transposed ? ", transposed" : ""}`,
      transposed ? [float([33, 5]), float([7, 33])] : [float([5, 33]), float([33, 7])],
      (a, b) => matmul(a, b, { transposeA: transposed, transposeB: transposed, outDtype: wide(a) }),
    ),
  })),
  {
    op: "matmul",
    testCase: opCase("float32 sums of a batch", [float([2, 3, 40]), float([40, 5])], (a, b) =>
      matmul(a, b, { outDtype: wide(a) }),
    ),
  },
  {
    op: "matmul",
    testCase: opCase("long sums", [float([8, 520], -1, 1), float([520, 16], -1, 1)], (a, b) => matmul(a, b)),
  },
  {
    op: "matmul",
    testCase: opCase("a bias behind it", [float([8, 24]), float([24, 16]), float([16])], (a, b, bias) =>
      add(matmul(a, b, { outDtype: wide(a) }), cast(bias, wide(bias))),
    ),
  },
  ...(["none", "relu", "gelu"] as const).map((activation) => ({
    op: "matmul" as const,
    isChain: true,
    testCase: opCase(
      `a bias${activation === "none" ? "" : ` and ${activation}`} behind it, in the operands' type`,
      [float([8, 24], -1, 1), float([24, 16], -0.5, 0.5), float([16])],
      (a, b, bias) => {
        const sums = add(matmul(a, b), bias);
        if (activation === "none") return sums;
        return activation === "relu" ? relu(sums) : gelu(sums, { approximate: "tanh" });
      },
      // Beside ReLU's kink the rounding of its operand decides.
      activation === "relu" ? noStep : {},
    ),
  })),
  {
    op: "max",
    testCase: opCase("of what is computed in the same kernel", [float([7, 33])], (x) =>
      max(exp(mul(x, 0.5)), -1),
    ),
    isChain: true,
  },
  {
    op: "sum",
    testCase: opCase("of more ones than the type counts to", [int([3, 4099], 1, 2)], (x) => [
      sum(cast(x, "float16"), -1),
      sum(cast(x, "bfloat16"), -1),
    ]),
  },
];
