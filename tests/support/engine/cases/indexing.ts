/** @file Cases of the indexing ops: duplicates, repeated rows, tables of any rank. */
import { gather, scatterAdd, take } from "../../../../src/engine/graph/ops/indexing.ts";
import { bool, float, given, int, opCase, type OpCase } from "../opCase.ts";

const places = given("int32", [5], [3, 0, 3, 1, 3]);
const grid = given("int32", [2, 3], [0, 1, 0, 2, 2, 2]);

/** Cases by op. */
export const indexingCases = {
  gather: [
    opCase("rows with duplicates", [float([4, 3]), places], gather),
    opCase("a grid of rows", [float([4, 2]), grid], gather),
    opCase("a vector", [float([17]), int([65], 0, 17)], gather),
    opCase("rows of rank 2", [float([3, 2, 5]), grid], gather),
    opCase("one row by a scalar", [float([4, 3]), given("int32", [], [2])], gather),
    opCase("no places", [float([4, 3]), int([0], 0, 1)], gather),
    opCase("rows of no width", [float([4, 0]), places], gather),
    opCase("int32", [int([4, 3]), places], gather),
    opCase("bool", [bool([4]), places], gather),
  ],
  scatterAdd: [
    opCase("rows with duplicates", [float([5, 3]), places], (u, i) => scatterAdd(u, i, 4)),
    opCase("a grid of rows", [float([2, 3, 2]), grid], (u, i) => scatterAdd(u, i, 5)),
    opCase("scalars", [float([65]), int([65], 0, 17)], (u, i) => scatterAdd(u, i, 17)),
    opCase(
      "many rows with many duplicates",
      [float([3000, 4]), int([3000], 0, 2000)],
      (u, i) => scatterAdd(u, i, 2000),
      {
        noFiniteDifference: "too many elements",
      },
    ),
    opCase("one row by a scalar", [float([3]), given("int32", [], [2])], (u, i) => scatterAdd(u, i, 4)),
    opCase("nothing", [float([0, 3]), int([0], 0, 1)], (u, i) => scatterAdd(u, i, 4)),
    opCase("int32", [int([5, 3]), places], (u, i) => scatterAdd(u, i, 4)),
  ],
  take: [
    opCase("last axis", [float([3, 5])], (x) => take(x, -1, [4, 0, 2])),
    opCase("duplicates", [float([5, 2])], (x) => take(x, 0, [1, 1, 3, 1])),
    opCase("middle axis", [float([2, 17, 3])], (x) => take(x, 1, [16, 0, 7, 7])),
    opCase("one place twice", [float([1])], (x) => take(x, 0, [0, 0])),
    opCase("nothing", [float([3, 2])], (x) => take(x, 0, [])),
    opCase("int32", [int([5])], (x) => take(x, 0, [4, 2, 0])),
    opCase("bool", [bool([5])], (x) => take(x, 0, [4, 2, 0])),
  ],
} satisfies Record<string, readonly OpCase[]>;
