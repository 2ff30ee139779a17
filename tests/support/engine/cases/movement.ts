/** @file Cases of the ops that move elements, and of sum. */
import * as op from "../../../../src/engine/graph/ops/movement.ts";
import { bool, float, int, opCase, type OpCase } from "../opCase.ts";

/** Cases by op. */
export const movementCases = {
  reshape: [
    opCase("to fewer axes", [float([2, 3, 5])], (x) => op.reshape(x, [6, 5])),
    opCase("with a free length", [float([2, 6])], (x) => op.reshape(x, [3, -1])),
    opCase("to a scalar", [float([1, 1])], (x) => op.reshape(x, [])),
    opCase("from a scalar", [float([])], (x) => op.reshape(x, [1, 1, 1])),
    opCase("empty", [float([0, 3])], (x) => op.reshape(x, [3, 0, 2])),
    opCase("int32", [int([4])], (x) => op.reshape(x, [2, 2])),
    opCase("bool", [bool([4])], (x) => op.reshape(x, [2, 2])),
  ],
  broadcastTo: [
    opCase("new leading axes", [float([3])], (x) => op.broadcastTo(x, [2, 5, 3])),
    opCase("axes of length 1", [float([3, 1, 5])], (x) => op.broadcastTo(x, [3, 17, 5])),
    opCase("scalar", [float([])], (x) => op.broadcastTo(x, [2, 3])),
    opCase("to nothing", [float([1, 3])], (x) => op.broadcastTo(x, [0, 3])),
    opCase("int32", [int([1])], (x) => op.broadcastTo(x, [4])),
    opCase("bool", [bool([2, 1])], (x) => op.broadcastTo(x, [2, 3])),
  ],
  transpose: [
    opCase("last two", [float([2, 3, 5])], (x) => op.transpose(x)),
    opCase("rotation", [float([2, 3, 5])], (x) => op.transpose(x, [2, 0, 1])),
    opCase("negative axes", [float([2, 3, 5, 1])], (x) => op.transpose(x, [0, -1, 2, 1])),
    opCase("odd lengths", [float([65, 17])], (x) => op.transpose(x)),
    opCase("empty", [float([0, 3])], (x) => op.transpose(x)),
    opCase("int32", [int([2, 3])], (x) => op.transpose(x)),
    opCase("bool", [bool([2, 3])], (x) => op.transpose(x)),
  ],
  slice: [
    opCase("one axis", [float([5, 3])], (x) => op.slice(x, { 0: [1, 4] })),
    opCase("negative axis and positions", [float([5, 17])], (x) => op.slice(x, { [-1]: [-9, -2] })),
    opCase("steps", [float([17])], (x) => op.slice(x, { 0: [2, 16, 3] })),
    opCase("steps on two axes", [float([5, 7])], (x) => op.slice(x, { 0: [0, 5, 2], 1: [1, 7, 3] })),
    opCase("a step beyond the end", [float([5])], (x) => op.slice(x, { 0: [1, 3, 4] })),
    opCase("cut at the ends", [float([5])], (x) => op.slice(x, { 0: [-9, 4] })),
    opCase("to nothing", [float([5, 2])], (x) => op.slice(x, { 0: [3, 3] })),
    opCase("int32", [int([7])], (x) => op.slice(x, { 0: [0, 7, 2] })),
    opCase("bool", [bool([7])], (x) => op.slice(x, { 0: [2, 5] })),
  ],
  pad: [
    opCase("both ends", [float([2, 3])], (x) => op.pad(x, [1, 0], [2, 1])),
    opCase("with a value", [float([3])], (x) => op.pad(x, [2], [0], -1.5)),
    opCase("with a large negative value", [float([3])], (x) => op.pad(x, [1], [1], -1e9), {
      noFiniteDifference: "the loss loses the step beside a value so large",
    }),
    opCase("nothing", [float([0, 2])], (x) => op.pad(x, [1, 0], [2, 0], 7)),
    opCase("int32", [int([3])], (x) => op.pad(x, [1], [1], 4)),
    opCase("bool", [bool([3])], (x) => op.pad(x, [1], [1], 1)),
  ],
  concat: [
    opCase("first axis", [float([2, 3]), float([1, 3])], (...xs) => op.concat(xs, 0)),
    opCase("last axis, three parts", [float([2, 3]), float([2, 1]), float([2, 5])], (...xs) =>
      op.concat(xs, -1),
    ),
    opCase("middle axis", [float([2, 3, 2]), float([2, 17, 2])], (...xs) => op.concat(xs, 1)),
    opCase("one part twice", [float([2, 3])], (x) => op.concat([x, x], 0)),
    opCase("an empty part", [float([0, 3]), float([2, 3])], (...xs) => op.concat(xs, 0)),
    opCase("all empty", [float([0, 3]), float([0, 3])], (...xs) => op.concat(xs, 0)),
    opCase("int32", [int([2]), int([3])], (...xs) => op.concat(xs, 0)),
    opCase("bool", [bool([2]), bool([3])], (...xs) => op.concat(xs, 0)),
  ],
  flip: [
    opCase("last axis", [float([2, 17])], (x) => op.flip(x, -1)),
    opCase("first axis", [float([5, 3, 2])], (x) => op.flip(x, 0)),
    opCase("one element", [float([1])], (x) => op.flip(x, 0)),
    opCase("empty", [float([0, 3])], (x) => op.flip(x, 0)),
    opCase("int32", [int([7])], (x) => op.flip(x, 0)),
    opCase("bool", [bool([7])], (x) => op.flip(x, 0)),
  ],
  sum: [
    opCase("all", [float([2, 3, 5])], (x) => op.sum(x)),
    opCase("one axis", [float([2, 3, 5])], (x) => op.sum(x, 1)),
    opCase("axes kept", [float([2, 3, 5])], (x) => op.sum(x, [0, -1], true)),
    opCase("odd length", [float([3, 65])], (x) => op.sum(x, -1)),
    opCase("of nothing", [float([0, 3])], (x) => op.sum(x, 0)),
    opCase("to nothing", [float([0, 3])], (x) => op.sum(x, 1)),
    opCase("int32", [int([5, 3])], (x) => op.sum(x, 0)),
  ],
} satisfies Record<string, readonly OpCase[]>;
