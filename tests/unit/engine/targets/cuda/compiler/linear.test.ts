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
} from "../../../../../../src/engine/targets/cuda/compiler/linear.ts";

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

test("the index of a flat position leads back to it, in lanes of four and whatever the shape", () => {
  const property = fc.property(shape, fc.nat({ max: 3 }), (lengths, axis) => {
    const whole = lengths.map((n, i) => (i === axis % lengths.length ? 4 * n : n));
    const size = whole.reduce((n, m) => n * m, 1);
    for (const lane of [0, 1, 3]) {
      const at = plus(fixed(lane), variable("v", 0, size / 4 - 1), 4);
      expect(flatten(unflatten(at, whole), whole).key).toBe(at.key);
    }
    const one = variable("i", 0, size - 1);
    expect(flatten(unflatten(one, whole), whole).key).toBe(one.key);
  });
  fc.assert(property, { numRuns: 1000 });
});
