/** @file Cases of the leaves. */
import { constant, full, random, state } from "../../../../src/engine/graph/ops/leaf.ts";
import { add, mul } from "../../../../src/engine/graph/ops/elementwise.ts";
import { bool, float, given, int, opCase, type OpCase } from "../opCase.ts";

/** Cases by op. */
export const leafCases = {
  input: [
    opCase("float", [float([2, 3])], (x) => x),
    opCase("int32", [int([5])], (x) => x),
    opCase("bool", [bool([7])], (x) => x),
    opCase("scalar", [float([])], (x) => x),
    opCase("empty", [float([0, 3])], (x) => x),
    opCase("two outputs of one input", [float([3])], (x) => [x, x]),
  ],
  state: [
    {
      name: "read",
      operands: [],
      states: { weights: float([3, 5]) },
      build: (_, dtype) => [state("weights", [3, 5], dtype)],
    },
    {
      name: "used with an input",
      operands: [float([3, 5])],
      states: { scale: float([5]) },
      build: ([x], dtype) => [mul(x!, state("scale", [5], dtype))],
    },
    {
      name: "int32 scalar",
      operands: [],
      states: { step: int([]) },
      build: () => [add(state("step", [], "int32"), 1)],
    },
    {
      name: "empty",
      operands: [],
      states: { none: float([0]) },
      build: (_, dtype) => [state("none", [0], dtype)],
    },
  ],
  constant: [
    opCase("scalar", [float([3])], (x) => add(x, full([], 2.5, x.dtype))),
    opCase("alone", [], () => full([2, 3], 1.5)),
    opCase("int32", [], () => constant(Int32Array.of(-1, 2147483647, 0), [3], "int32")),
    opCase("bool", [], () => constant(Uint8Array.of(1, 0, 1), [3], "bool")),
    opCase("empty", [], () => full([0, 2], 1)),
    opCase("not finite", [], () => constant(Float32Array.of(NaN, Infinity, -Infinity), [3])),
  ],
  random: [
    opCase("words of whole blocks", [given("int32", [4], [1, 2, 3, 4])], (key) => random(key, [4, 8])),
    opCase("a part of a block", [given("int32", [4], [7, 0, 0, 0])], (key) => random(key, [17])),
    opCase("negative words", [given("int32", [4], [-1, -2, -3, -4])], (key) => random(key, [65])),
    opCase("scalar", [given("int32", [4], [5, 0, 1, 9])], (key) => random(key, [])),
    opCase("empty", [given("int32", [4], [5, 0, 1, 9])], (key) => random(key, [0])),
  ],
} satisfies Record<string, readonly OpCase[]>;
