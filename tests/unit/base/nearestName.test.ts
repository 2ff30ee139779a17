/** @file The nearest name to a mistyped one. */
import { expect, test } from "vitest";
import { nearestName } from "../../../src/base/nearestName.ts";

test.each([
  ["lable", ["user", "label"], "label"],
  ["Y", ["x", "y"], "y"],
  ["xx", ["y", "x"], "x"],
  ["y", ["0", "k0", "1"], null],
  ["y", ["c0", "c1"], null],
  ["price", ["colour", "day"], null],
])("of %s in %j is %j", (wanted, names, nearest) => {
  expect(nearestName(wanted, names)).toBe(nearest);
});
