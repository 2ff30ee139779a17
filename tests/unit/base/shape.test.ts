/** @file Properties of shapes: broadcasting, strides, axes. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  broadcastShapes,
  checkShape,
  formatShape,
  normalizeAxis,
  sameShape,
  sizeOf,
  stridesOf,
} from "../../../src/base/shape.ts";

const shape = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 });

/** A shape and one that broadcasts to it: leading axes dropped, some lengths 1. */
const broadcastable = shape.chain((full) =>
  fc
    .record({
      drop: fc.integer({ min: 0, max: full.length }),
      ones: fc.array(fc.boolean(), { minLength: 4 }),
    })
    .map(({ drop, ones }) => ({ full, part: full.slice(drop).map((n, i) => (ones[i]! ? 1 : n)) })),
);

describe("broadcastShapes", () => {
  test("gives the full shape for any part of it, in either order", () => {
    fc.assert(
      fc.property(broadcastable, ({ full, part }) => {
        expect(broadcastShapes("test", full, part)).toEqual(full);
        expect(broadcastShapes("test", part, full)).toEqual(full);
      }),
    );
  });

  test("is associative over parts of one shape", () => {
    fc.assert(
      fc.property(broadcastable, ({ full, part }) => {
        const [a, b, c] = [full, part, part.slice(1)];
        expect(broadcastShapes("test", broadcastShapes("test", c, b), a)).toEqual(
          broadcastShapes("test", c, broadcastShapes("test", b, a)),
        );
      }),
    );
  });

  test("stretches 1 to 0, as NumPy does", () => {
    expect(broadcastShapes("test", [1, 3], [0, 1])).toEqual([0, 3]);
  });

  test("refuses lengths that differ, naming the shapes", () => {
    expect(() => broadcastShapes("add", [2, 3], [4])).toThrow(
      expect.objectContaining({
        code: "SHAPE_BROADCAST",
        message: expect.stringMatching(/\[2, 3\] and \[4\]$/),
      }),
    );
  });
});

test("strides locate the last element at size − 1", () => {
  fc.assert(
    fc.property(shape, (s) => {
      fc.pre(sizeOf(s) > 0);
      const strides = stridesOf(s);
      expect(s.reduce((at, n, axis) => at + (n - 1) * strides[axis]!, 0)).toBe(sizeOf(s) - 1);
    }),
  );
});

test("normalizeAxis counts negative axes from the back and refuses the rest", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: -9, max: 9 }), (rank, axis) => {
      if (axis >= -rank && axis < rank) expect(normalizeAxis("test", axis, rank)).toBe((axis + rank) % rank);
      else
        expect(() => normalizeAxis("test", axis, rank)).toThrow(
          expect.objectContaining({ code: "SHAPE_AXIS" }),
        );
    }),
  );
  expect(() => normalizeAxis("test", 0.5, 2)).toThrow(expect.objectContaining({ code: "SHAPE_AXIS" }));
});

test("checkShape refuses negative and fractional lengths", () => {
  for (const bad of [[-1], [2, 1.5], [NaN]]) {
    expect(() => checkShape("test", bad)).toThrow(expect.objectContaining({ code: "SHAPE_LENGTH" }));
  }
  checkShape("test", [0, 1, 7]);
});

test("sameShape and formatShape", () => {
  expect(sameShape([2, 3], [2, 3])).toBe(true);
  expect(sameShape([2, 3], [2, 3, 1])).toBe(false);
  expect(formatShape([2, 3])).toBe("[2, 3]");
});
