import { describe, expect, test } from "vitest";
import { Sampler, type SamplerOptions } from "../../../../src/llm/generate/sampler.ts";

/** Logits of these probabilities. */
const logitsOf = (probabilities: number[]) => Float32Array.from(probabilities, (p) => Math.log(p));
const logits = logitsOf([0.1, 0.4, 0.05, 0.3, 0.15]);

/** Shares of the tokens among many draws. */
function shares(options: SamplerOptions, of = logits): number[] {
  const sampler = new Sampler({ temperature: 1, seed: 5, ...options });
  const counts = Array.from(of, () => 0);
  const draws = 20_000;
  for (let i = 0; i < draws; i++) counts[sampler.next(of)]!++;
  return counts.map((n) => n / draws);
}

function expectShares(found: number[], wanted: number[]): void {
  for (const [i, share] of wanted.entries()) {
    if (share === 0) expect(found[i]).toBe(0);
    else expect(Math.abs(found[i]! - share)).toBeLessThan(0.015);
  }
}

describe("Sampler", () => {
  test("takes the most probable token at temperature 0, the first of equals", () => {
    const sampler = new Sampler();
    expect(sampler.next(logits)).toBe(1);
    expect(sampler.next(Float32Array.of(2, 7, 7, 1))).toBe(1);
  });

  test("draws tokens as often as they are probable", () => {
    expectShares(shares({}), [0.1, 0.4, 0.05, 0.3, 0.15]);
  });

  test("divides logits by the temperature", () => {
    const squares = [0.01, 0.16, 0.0025, 0.09, 0.0225];
    const total = squares.reduce((a, b) => a + b);
    expectShares(
      shares({ temperature: 0.5 }),
      squares.map((p) => p / total),
    );
  });

  test("draws from the top k only", () => {
    expectShares(shares({ topK: 2 }), [0, 4 / 7, 0, 3 / 7, 0]);
  });

  test("draws from the fewest tokens that reach top p", () => {
    expectShares(shares({ topP: 0.8 }), [0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85]);
    expectShares(shares({ topP: 0.01 }), [0, 1, 0, 0, 0]);
  });

  test("gives the same tokens for the same seed, others for another", () => {
    const draw = (seed: number) => {
      const sampler = new Sampler({ temperature: 1, seed });
      return Array.from({ length: 40 }, () => sampler.next(logits));
    };
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
  });

  test("takes topK 0 for all tokens, and draws those as probable as the last of the top k too", () => {
    expectShares(shares({ topK: 0 }), [0.1, 0.4, 0.05, 0.3, 0.15]);
    expect(
      [...new Sampler({ temperature: 1, topK: 2 }).probabilities(Float32Array.of(1, 2, 1, 1, 0))].map(
        (p) => p > 0,
      ),
    ).toEqual([true, true, true, true, false]);
  });

  test("penalises the tokens of the text, also where it takes the most probable one", () => {
    const sampler = new Sampler({ repetitionPenalty: 2 });
    expect(sampler.isGreedy).toBe(false);
    expect(sampler.next(Float32Array.of(3, 2, -1))).toBe(0);
    sampler.observe([0]);
    expect(sampler.next(Float32Array.of(3, 2, -1))).toBe(1);
    sampler.observe([1, 2, 77]);
    expect(sampler.next(Float32Array.of(-1, -3, -0.6))).toBe(2);
  });

  test.each<[keyof SamplerOptions, unknown[]]>([
    ["temperature", [-1, Number.NaN, Number.POSITIVE_INFINITY, "1", null]],
    ["topK", [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "5"]],
    ["topP", [-0.1, 1.1, Number.NaN, 95]],
    ["minP", [-0.1, 1.1, Number.NaN]],
    ["typicalP", [0, -1, 1.1, Number.NaN]],
    ["repetitionPenalty", [0, -1, Number.NaN, Number.POSITIVE_INFINITY]],
    ["seed", [-1, 0.5, Number.NaN, 2 ** 60]],
  ])("refuses a %s of %j", (name, values) => {
    for (const value of values)
      expect(() => new Sampler({ [name]: value } as SamplerOptions)).toThrow(
        expect.objectContaining({ code: "LLM_OPTION", message: expect.stringContaining(name) as unknown }),
      );
  });

  test("refuses logits that are no numbers", () => {
    expect(() => new Sampler().next(Float32Array.of(0, Number.NaN))).toThrow(
      expect.objectContaining({ code: "LLM_LOGITS" }),
    );
  });
});
