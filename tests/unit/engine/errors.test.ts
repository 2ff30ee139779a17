/** @file Every error a caller of the engine can cause: its code, a message that ends in the value, a fix. */
import { expect, test } from "vitest";
import { grad } from "../../../src/engine/autodiff.ts";
import { ParetoError } from "../../../src/base/errors.ts";
import { trace } from "../../../src/engine/graph/graph.ts";
import { featureInteraction } from "../../../src/engine/graph/ops/composite/featureInteraction.ts";
import { conv1d, dotInteraction, matmul } from "../../../src/engine/graph/ops/contraction.ts";
import { add, exp, less, logicalNot, where } from "../../../src/engine/graph/ops/elementwise.ts";
import { gather, scatterAdd, take } from "../../../src/engine/graph/ops/indexing.ts";
import { constant, full, input, random, state } from "../../../src/engine/graph/ops/leaf.ts";
import {
  broadcastTo,
  concat,
  flip,
  pad,
  reshape,
  slice,
  sum,
  transpose,
} from "../../../src/engine/graph/ops/movement.ts";
import { argmax, max, softmax } from "../../../src/engine/graph/ops/reduce.ts";
import { scan } from "../../../src/engine/graph/ops/scan.ts";

const x = (...shape: number[]) => input("x", shape);
const i = (...shape: number[]) => input("i", shape, "int32");

function caught(f: () => unknown): ParetoError {
  try {
    f();
  } catch (error) {
    if (error instanceof ParetoError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test.each<[code: string, where: string, ending: RegExp, f: () => unknown]>([
  ["SHAPE_BROADCAST", "add", /got \[2\] and \[3\]$/, () => add(x(2), x(3))],
  ["SHAPE_BROADCAST", "broadcastTo", /got the shape \[3\]$/, () => broadcastTo(x(2, 1), [3])],
  ["DTYPE_MIXED", "add", /got float32 and int32$/, () => add(x(2), i(2))],
  ["DTYPE_MIXED", "where", /got float32 and int32$/, () => where(less(x(2), 0), x(2), i(2))],
  ["DTYPE_MIXED", "concat", /got float32 and int32$/, () => concat([x(2), i(2)], 0)],
  ["DTYPE_OPERAND", "exp", /got int32$/, () => exp(i(2))],
  ["DTYPE_OPERAND", "logicalNot", /got float32$/, () => logicalNot(x(2))],
  ["DTYPE_OPERAND", "gather", /got float32$/, () => gather(x(2), x(2))],
  ["DTYPE_OPERAND", "random", /got float32$/, () => random(x(4), [2])],
  ["SHAPE_RANK", "random", /got \[2, 2\]$/, () => random(i(2, 2), [2])],
  ["SHAPE_RANK", "dotInteraction", /got \[2, 3\]$/, () => dotInteraction(x(2, 3))],
  [
    "SHAPE_FEATURE_INTERACTION",
    "featureInteraction",
    /got \[2, 3\] and \[2, 4, 5\]$/,
    () => featureInteraction(x(2, 3), x(2, 4, 5)),
  ],
  ["SHAPE_RANK", "gather", /got a scalar$/, () => gather(x(), i(2))],
  ["SHAPE_AXIS", "sum", /got 2$/, () => sum(x(2, 3), 2)],
  ["SHAPE_AXIS", "flip", /got -3$/, () => flip(x(2, 3), -3)],
  ["SHAPE_AXIS", "concat", /got 1$/, () => concat([x(2), x(2)], 1)],
  ["SHAPE_LENGTH", "input", /got \[2, -1\]$/, () => x(2, -1)],
  ["SHAPE_LENGTH", "pad", /got \[-1\]$/, () => pad(x(2), [-3], [0])],
  ["SHAPE_RESHAPE", "reshape", /got the shape \[4\]$/, () => reshape(x(2, 3), [4])],
  ["SHAPE_PERMUTATION", "transpose", /got \[0, 0\]$/, () => transpose(x(2, 3), [0, 0])],
  ["SHAPE_PERMUTATION", "transpose", /got \[1, 0\]$/, () => transpose(x(2, 3, 4), [1, 0])],
  ["SHAPE_SLICE_STEP", "slice", /got -1$/, () => slice(x(5), { 0: [4, 0, -1] })],
  ["SHAPE_CONCAT", "concat", /got \[2, 3\] and \[2, 4\]$/, () => concat([x(2, 3), x(2, 4)], 0)],
  ["SHAPE_CONCAT", "concat", /got \[2, 3\] and \[2\]$/, () => concat([x(2, 3), x(2)], 1)],
  ["SHAPE_CONCAT", "concat", /got 0$/, () => concat([], 0)],
  ["SHAPE_EMPTY_REDUCTION", "max", /got \[0, 3\]$/, () => max(x(0, 3), 0)],
  ["SHAPE_EMPTY_REDUCTION", "argmax", /got \[2, 0\]$/, () => argmax(x(2, 0))],
  ["SHAPE_EMPTY_REDUCTION", "softmax", /got \[2, 0\]$/, () => softmax(x(2, 0))],
  ["SHAPE_MATMUL_INNER", "matmul", /got \[2, 3\] × \[4, 5\]$/, () => matmul(x(2, 3), x(4, 5))],
  ["SHAPE_MATMUL_RANK", "matmul", /got \[3\] × \[3, 5\]$/, () => matmul(x(3), x(3, 5))],
  ["SHAPE_CONV_CHANNELS", "conv1d", /kernel \[2, 2, 3\]$/, () => conv1d(x(1, 3, 5), x(2, 2, 3))],
  [
    "SHAPE_CONV_CHANNELS",
    "conv1d",
    /kernel \[3, 1, 3\]$/,
    () => conv1d(x(1, 2, 5), x(3, 1, 3), { groups: 2 }),
  ],
  ["SHAPE_CONV_LENGTH", "conv1d", /kernel \[2, 3, 6\]$/, () => conv1d(x(1, 3, 5), x(2, 3, 6))],
  ["SHAPE_SCATTER", "scatterAdd", /got \[3, 2\] and \[4\]$/, () => scatterAdd(x(3, 2), i(4), 5)],
  ["SHAPE_INDEX", "take", /got 3$/, () => take(x(3), 0, [0, 3])],
  [
    "SCAN_LENGTH",
    "scan",
    /got \[3\] and \[4\]$/,
    () => scan(() => ({ carries: [] }), { init: [], xs: [x(3), x(4)] }),
  ],
  ["SCAN_LENGTH", "scan", /got none$/, () => scan(() => ({ carries: [] }), { init: [] })],
  [
    "SCAN_CARRY",
    "scan",
    /got float32 \[3\]$/,
    () => scan(() => ({ carries: [x(3)] }), { init: [x(2)], length: 2 }),
  ],
  ["GRAD_NOT_SCALAR", "grad", /got float32 \[2\]$/, () => grad(x(2), [])],
  ["GRAD_NOT_SCALAR", "grad", /got int32 \[\]$/, () => grad(i(), [])],
  ["DTYPE_HOST_ARRAY", "constant", /got Float32Array$/, () => constant(new Float32Array(2), [2], "int32")],
  ["SHAPE_HOST_ARRAY", "constant", /got 3$/, () => constant(new Float32Array(3), [2])],
  [
    "TRACE_STATE",
    "trace",
    /got int32 \[2\]$/,
    () => trace({}, () => ({ outputs: { a: state("s", [2]), b: state("s", [2], "int32") } })),
  ],
  [
    "TRACE_STATE",
    "trace",
    /got float32 \[2\]$/,
    () => trace({}, () => ({ outputs: {}, updates: [[state("s", [2]), full([3], 0)]] })),
  ],
  [
    "TRACE_STATE",
    "trace",
    /got float32 \[2\]$/,
    () => trace({}, () => ({ outputs: {}, updates: [[x(2), x(2)]] })),
  ],
])("%s from %s", (code, where, ending, f) => {
  const error = caught(f);
  expect(error).toMatchObject({ code, where, message: expect.stringMatching(ending) });
  expect(error.fix).toMatch(/\.$/);
});

test("an error is plain data as JSON", () => {
  const cause = new Error("below");
  const error = new ParetoError({
    code: "A_B",
    where: "here",
    message: "what, got 1",
    fix: "Do this.",
    cause,
  });
  expect(JSON.parse(JSON.stringify(error))).toEqual({
    code: "A_B",
    where: "here",
    message: "what, got 1",
    fix: "Do this.",
  });
  expect(error.cause).toBe(cause);
});
