/** @file The random numbers that synthetic logs are drawn from. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  byteSum,
  FastRng,
  mix32,
  normalFromWord,
  ZipfSampler,
} from "../../../../../src/recsys/data/synth/random.ts";

describe("ZipfSampler", () => {
  it.each([
    [5, 1.05],
    [40, 1],
    [7, 0],
    [300, 2],
  ])("draws %i ranks with probability ∝ (rank + 1)^−%f", (n, s) => {
    const sampler = new ZipfSampler(n, s);
    const rng = new FastRng(3, 0);
    const draws = 200_000;
    const seen = new Float64Array(n);
    for (let i = 0; i < draws; i++) seen[sampler.sample(rng)]!++;
    const weights = Array.from({ length: n }, (_, rank) => (rank + 1) ** -s);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let rank = 0; rank < n; rank++) {
      const p = weights[rank]! / total;
      const deviation = Math.sqrt((p * (1 - p)) / draws);
      expect(Math.abs(seen[rank]! / draws - p)).toBeLessThan(5 * deviation + 1e-5);
    }
  });

  it("stays inside the ranks for any size and exponent", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000_000 }),
        fc.double({ min: 0, max: 3, noNaN: true }),
        (n, s) => {
          const sampler = new ZipfSampler(n, s);
          const rng = new FastRng(n, 1);
          for (let i = 0; i < 50; i++) {
            const rank = sampler.sample(rng);
            expect(Number.isInteger(rank) && rank >= 0 && rank < n).toBe(true);
          }
        },
      ),
    );
  });
});

describe("hashes", () => {
  it("mix32 never maps two words to one, and only 0 to 0", () => {
    const seen = new Set<number>();
    for (let word = 0; word < 200_000; word++) seen.add(mix32(word));
    expect(seen.size).toBe(200_000);
    expect(mix32(0)).toBe(0);
    expect(mix32(1)).not.toBe(0);
  });

  it("normalFromWord has mean 0 and deviation 1 over hashed words", () => {
    let sum = 0;
    let squares = 0;
    const n = 200_000;
    for (let word = 1; word <= n; word++) {
      const value = normalFromWord(mix32(word));
      sum += value;
      squares += value * value;
    }
    expect(Math.abs(sum / n)).toBeLessThan(0.01);
    expect(Math.abs(squares / n - 1)).toBeLessThan(0.01);
    expect(byteSum(0xffffffff)).toBe(1020);
  });
});
