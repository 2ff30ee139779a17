/** @file The largest of many logits, and the tokens that a sampler may draw, against sorting all of them. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { largest, logSumExp } from "../../../../src/llm/generate/logits.ts";
import { Sampler } from "../../../../src/llm/generate/sampler.ts";

const byValue = (logits: Float32Array) =>
  Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
/** Few values, so that there are equals. */
const rough = (length: number, seed: number) => {
  const rng = new Rng(seed, 1);
  return Float32Array.from({ length }, () => Math.round(rng.uniform() * 400 - 200) / 10);
};

describe("largest", () => {
  test("gives the first places of all in order, whatever the count", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(0, -0, 1, -Infinity), fc.float({ noNaN: true })), { minLength: 1 }),
        fc.integer({ min: 1, max: 12 }),
        (values, count) => {
          const logits = Float32Array.from(values);
          expect(largest(logits, count)).toEqual(byValue(logits).slice(0, count));
          expect(largest(logits, 5000)).toEqual(byValue(logits));
        },
      ),
    );
  });

  test.each([1, 50, 1024, 1025, 3000, 5000])("%i of 4000 with equals", (count) => {
    const logits = rough(4000, count);
    expect(largest(logits, count)).toEqual(byValue(logits).slice(0, count));
  });
});

test("logSumExp holds for logits whose exponentials overflow or vanish", () => {
  expect(logSumExp(Float32Array.of(1000, 1000))).toBeCloseTo(1000 + Math.log(2), 9);
  expect(logSumExp(Float32Array.of(-2000, -Infinity))).toBe(-2000);
});

describe("Sampler", () => {
  // A flat distribution needs more tokens than are put in order at first.
  test.each([0.2, 3, 60])(
    "draws from exactly the tokens that reach top-p, at temperature %d",
    (temperature) => {
      const logits = rough(3000, 9);
      const order = byValue(logits);
      const weights = order.map((token) => Math.exp((logits[token]! - logits[order[0]!]!) / temperature));
      for (const [topK, topP] of [
        [3000, 0.9],
        [700, 0.7],
        [3, 0.999],
        [3000, 0.05],
      ] as const) {
        // Those as probable as the last of the top k are kept too, as transformers has it.
        const kept = weights.filter((weight, i) => i < topK || weight === weights[topK - 1]);
        const wanted = topP * kept.reduce((a, b) => a + b);
        let sum = 0;
        const end = kept.findIndex((weight) => (sum += weight) >= wanted);
        const allowed = new Set(order.slice(0, end + 1));
        const sampler = new Sampler({ temperature, topK, topP, seed: 2 });
        const drawn = new Set(Array.from({ length: 400 }, () => sampler.next(logits)));
        for (const token of drawn) expect(allowed).toContain(token);
        expect(drawn.size).toBeGreaterThanOrEqual(Math.min(allowed.size, 400) / 8);
      }
    },
  );
});
