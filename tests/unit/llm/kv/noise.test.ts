import { describe, expect, it } from "vitest";
import { gumbelOfWord, openUniform, PairNoise } from "../../../../src/llm/kv/noise.ts";

const noise = new PairNoise({ seed: 1234, stream: 0 }, 0);

/** Mean and variance of the draws of a kind over a grid of queries and keys. */
function moments(kind: "gumbel" | "gaussian"): { mean: number; variance: number; above10: number } {
  const [queries, keys] = [1000, 1000];
  let [sum, squares, above10] = [0, 0, 0];
  for (let query = 0; query < queries; query++) {
    for (let key = 0; key < keys; key++) {
      const value = noise.sample(kind, 3, query, key);
      sum += value;
      squares += value * value;
      if (value > 10) above10++;
    }
  }
  const mean = sum / (queries * keys);
  return { mean, variance: squares / (queries * keys) - mean * mean, above10 };
}

describe("uniforms and Gumbel draws of a word", () => {
  it("never reaches 0 or 1, and is exact in float32", () => {
    for (const word of [0, 511, 512, 0x80000000, 0xffffffff]) {
      const u = openUniform(word);
      expect(u).toBeGreaterThan(0);
      expect(u).toBeLessThan(1);
      expect(Math.fround(u)).toBe(u);
    }
  });

  it("has the edge values of the 23-bit form", () => {
    expect(gumbelOfWord(0)).toBeCloseTo(-2.81154, 5);
    expect(gumbelOfWord(0x80000000)).toBeCloseTo(0.366513, 6);
    expect(gumbelOfWord(0xffffffff)).toBeCloseTo(16.635532, 5);
  });
});

describe("noise of a pair of tokens", () => {
  it("is word 0 of the block keyed by key, query, layer and head", () => {
    const draws = [0, 1, 2].map((query) =>
      Array.from({ length: query + 1 }, (_, key) => noise.sample("gumbel", 0, query, key)),
    );
    const expected = [[-0.723644], [0.198661, 0.380035], [0.407251, 0.380005, -0.685273]];
    for (const [query, row] of expected.entries()) {
      for (const [key, value] of row.entries()) expect(draws[query]![key]).toBeCloseTo(value, 6);
    }
  });

  it("differs by seed (all 64 bits), stream, layer and head", () => {
    const draws = [
      noise.sample("gumbel", 0, 5, 2),
      noise.sample("gumbel", 1, 5, 2),
      new PairNoise({ seed: 1235, stream: 0 }, 0).sample("gumbel", 0, 5, 2),
      new PairNoise({ seed: 1234n + (1n << 32n), stream: 0 }, 0).sample("gumbel", 0, 5, 2),
      new PairNoise({ seed: 1234, stream: 1 }, 0).sample("gumbel", 0, 5, 2),
      new PairNoise({ seed: 1234, stream: 0 }, 1).sample("gumbel", 0, 5, 2),
    ];
    expect(new Set(draws).size).toBe(draws.length);
    expect(new PairNoise({ seed: 1234n, stream: 0 }, 0).sample("gumbel", 0, 5, 2)).toBe(draws[0]);
  });

  // Bounds are about four standard errors of a million draws.
  it("has the mean, variance and upper tail of Gumbel(0, 1)", () => {
    const { mean, variance, above10 } = moments("gumbel");
    expect(Math.abs(mean - 0.577216)).toBeLessThan(0.0052);
    expect(Math.abs(variance - 1.644934)).toBeLessThan(0.014);
    expect(Math.abs(above10 - 45.4)).toBeLessThan(28);
  });

  it("gives Gaussian noise Gumbel's mean and variance, without its tail", () => {
    const { mean, variance, above10 } = moments("gaussian");
    expect(Math.abs(mean - 0.577216)).toBeLessThan(0.0052);
    expect(Math.abs(variance - 1.644934)).toBeLessThan(0.01);
    expect(above10).toBe(0);
  });
});
