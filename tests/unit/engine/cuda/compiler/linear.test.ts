/** @file Index arithmetic: whatever the normal form does, the value stays. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  digit,
  fixed,
  flatten,
  plus,
  unflatten,
  variable,
  type Linear,
} from "../../../../../src/engine/targets/cuda/compiler/linear.ts";

/** The value of an expression for values of its variables. */
function valueOf(e: Linear, values: Record<string, number>): number {
  return e.terms.reduce((sum, [atom, k]) => {
    const value =
      atom.kind === "variable"
        ? values[atom.key]!
        : Math.floor(valueOf(atom.of, values) / atom.divisor) % atom.modulus;
    return sum + k * value;
  }, e.constant);
}

const shape = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });

test("digits of sums have the value of division and remainder, within their ranges", () => {
  const property = fc.property(
    fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 1, max: 9 })), {
      minLength: 1,
      maxLength: 3,
    }),
    fc.integer({ min: 0, max: 30 }),
    fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 })), {
      minLength: 1,
      maxLength: 3,
    }),
    fc.array(fc.nat({ max: 100 }), { minLength: 3, maxLength: 3 }),
    (terms, constant, digits, picks) => {
      let e = fixed(constant);
      let want = constant;
      const values: Record<string, number> = {};
      terms.forEach(([k, length], i) => {
        values[`v${i}`] = picks[i]! % length;
        e = plus(e, variable(`v${i}`, 0, length - 1), k);
        want += k * values[`v${i}`]!;
      });
      for (const [divisor, modulus] of digits) {
        e = digit(e, divisor, modulus === 12 ? Infinity : modulus);
        want = Math.floor(want / divisor) % (modulus === 12 ? Infinity : modulus);
        expect(valueOf(e, values)).toBe(want);
        expect(want >= e.min && want <= e.max).toBe(true);
      }
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test("the index of a flat position leads back to it, through any shapes and in lanes of four", () => {
  const property = fc.property(shape, shape, (a, b) => {
    const size = a.reduce((n, m) => n * m, 4);
    const at = plus(plus(fixed(0), variable("v", 0, size / 4 - 1), 4), fixed(1));
    const through = flatten(unflatten(at, [...a, 4]), [...a, 4]);
    expect(through.key).toBe(at.key);
    // Of another shape the digits differ; the value must not.
    const other = [Infinity, ...b];
    const index = unflatten(at, other);
    for (let v = 0; v < Math.min(size / 4, 50); v++) {
      expect(valueOf(flatten(index, other), { v })).toBe(4 * v + 1);
    }
  });
  fc.assert(property, { numRuns: 300 });
});
