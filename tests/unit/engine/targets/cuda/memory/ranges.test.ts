/** @file Ranges of locked addresses. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  addRange,
  holdsRange,
  touchesRange,
  type Range,
} from "../../../../../../src/engine/targets/cuda/memory/ranges.ts";

test("the ranges hold exactly what was added, in order and apart, each addition within one of them", () => {
  const range = fc
    .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 12 }))
    .map(([start, length]): Range => ({ start, end: start + length }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 20 }), range, (additions, probe) => {
      let ranges: readonly Range[] = [];
      for (const added of additions) {
        const before = ranges;
        const result = addRange(before, added);
        ranges = result.ranges;
        expect(ranges).toContain(result.merged);
        expect(result.replaced.every((old) => before.includes(old) && !ranges.includes(old))).toBe(true);
        expect(ranges.length).toBe(before.length - result.replaced.length + 1);
      }
      for (const [i, { start }] of ranges.entries())
        if (i > 0) expect(ranges[i - 1]!.end).toBeLessThanOrEqual(start);
      const covered = (address: number): boolean =>
        additions.some(({ start, end }) => address >= start && address < end);
      for (let address = 0; address < 80; address++) {
        expect(holdsRange(ranges, { start: address, end: address + 1 })).toBe(covered(address));
      }
      const inOne = ranges.some(({ start, end }) => start <= probe.start && end >= probe.end);
      expect(holdsRange(ranges, probe)).toBe(inOne);
      for (const added of additions) expect(holdsRange(ranges, added)).toBe(true);
    }),
  );
});

test("a range is touched when it shares an address, not when it only adjoins", () => {
  const ranges = [
    { start: 10, end: 20 },
    { start: 40, end: 50 },
  ];
  for (const [start, end, want] of [
    [0, 10, false],
    [0, 11, true],
    [12, 15, true],
    [19, 30, true],
    [20, 40, false],
    [5, 60, true],
    [50, 60, false],
  ] as const) {
    expect(touchesRange(ranges, { start, end }), `${start} to ${end}`).toBe(want);
  }
});
