/** @file Cases of the ops along axes other than sum. */
import * as op from "../../../../src/engine/graph/ops/reduce.ts";
import { float, given, int, opCase, type OpCase } from "../opCase.ts";

/** Cases by op. */
export const reduceCases = {
  max: [
    opCase("all", [float([2, 3, 5])], (x) => op.max(x)),
    opCase("one axis", [float([17, 3])], (x) => op.max(x, 0)),
    opCase("axes kept", [float([2, 3, 5])], (x) => op.max(x, [0, -1], true)),
    opCase("minimum through it", [float([3, 65])], (x) => op.min(x, -1)),
    opCase("to nothing", [float([0, 3])], (x) => op.max(x, 1)),
    opCase("ties", [given("float", [5], [1, 3, 3, 0, 3])], (x) => op.max(x), {
      noFiniteDifference: "equal elements share the gradient by convention",
    }),
    opCase("int32", [int([5, 3])], (x) => op.max(x, 1)),
  ],
  argmax: [
    opCase("last axis", [float([3, 17])], (x) => op.argmax(x)),
    opCase("first axis", [float([5, 3])], (x) => op.argmax(x, 0)),
    opCase("a row wider than a block", [float([2, 5003])], (x) => op.argmax(x)),
    opCase(
      "equals far apart",
      [
        given(
          "float",
          [1, 3000],
          Array.from({ length: 3000 }, (_, i) => Number(i % 1000 > 990)),
        ),
      ],
      (x) => op.argmax(x),
    ),
    opCase("the first of equals", [given("float", [2, 4], [1, 3, 3, 0, 2, 2, 2, 2])], (x) => op.argmax(x)),
    opCase("one axis", [float([65])], (x) => op.argmax(x)),
    opCase("to nothing", [float([0, 3])], (x) => op.argmax(x, 1)),
    opCase("int32", [int([5, 3])], (x) => op.argmax(x, 1)),
  ],
  cumsum: [
    opCase("last axis", [float([3, 17])], (x) => op.cumsum(x)),
    opCase("first axis", [float([5, 3])], (x) => op.cumsum(x, 0)),
    opCase("middle axis", [float([2, 5, 3])], (x) => op.cumsum(x, -2)),
    opCase("rows of several tiles", [float([2, 500])], (x) => op.cumsum(x)),
    opCase("a row of several tiles of a block", [float([1, 2500], -1, 1)], (x) => op.cumsum(x), {
      noFiniteDifference: "too many elements",
    }),
    opCase("one element", [float([1])], (x) => op.cumsum(x)),
    opCase("empty", [float([0, 3])], (x) => op.cumsum(x, 0)),
    opCase("int32", [int([2, 5])], (x) => op.cumsum(x)),
  ],
  softmax: [
    opCase("last axis", [float([3, 17])], (x) => op.softmax(x)),
    opCase("first axis", [float([5, 3])], (x) => op.softmax(x, 0)),
    opCase("middle axis", [float([2, 5, 3])], (x) => op.softmax(x, 1)),
    opCase("one axis", [float([65])], (x) => op.softmax(x)),
    opCase("one element", [float([3, 1])], (x) => op.softmax(x)),
    opCase("rows of vectors", [float([2, 3, 128])], (x) => op.softmax(x)),
    opCase("a row wider than a block", [float([2, 5003])], (x) => op.softmax(x), {
      noFiniteDifference: "too many elements",
    }),
    opCase("a row of a long vocabulary", [float([1, 40_000])], (x) => op.softmax(x), {
      noFiniteDifference: "too many elements",
    }),
    opCase("no rows", [float([0, 3])], (x) => op.softmax(x)),
    opCase(
      "large logits",
      [given("float", [2, 3], [1000, 999, 0, -1000, -1001, -2000])],
      (x) => op.softmax(x),
      {
        noFiniteDifference: "saturated",
      },
    ),
  ],
} satisfies Record<string, readonly OpCase[]>;
