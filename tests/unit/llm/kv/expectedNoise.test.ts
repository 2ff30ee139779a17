/** @file Keyformer's scores without a draw, against the mean of many draws. */
import { expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { keyformer } from "../../../../src/llm/index.ts";
import { expectedTemperature } from "../../../../src/llm/kv/policies/keyformer.ts";
import { gumbelOfWord } from "../../../../src/llm/kv/noise.ts";
import { driveCache } from "../../../support/llm/driveCache.ts";

function softmax(x: readonly number[], tau: number): number[] {
  const most = Math.max(...x);
  const weights = x.map((value) => Math.exp((value - most) / tau));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

function apart(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + Math.abs(x - b[i]!) / 2, 0);
}

test.each([
  [1, 1, 0.04],
  [1, 4, 0.06],
  [1.5, 2, 0.03],
  [2, 2, 0.025],
  [4, 4, 0.02],
])("at τ = %d and logits of deviation %d it is near the mean of Gumbel noise", (tau, deviation, most) => {
  const rng = new Rng(8);
  const keys = 128;
  const logits = Array.from({ length: keys }, () => deviation * rng.normal());
  const mean = new Float64Array(keys);
  const draws = 8000;
  for (let draw = 0; draw < draws; draw++) {
    const noisy = logits.map((x) => x + gumbelOfWord(rng.uint32()));
    for (const [i, p] of softmax(noisy, tau).entries()) mean[i]! += p / draws;
  }
  const expected = softmax(logits, expectedTemperature(tau));
  expect(apart(expected, [...mean])).toBeLessThan(most);
  // At the prompt's temperature of the paper, softmax(x / τ) is further off.
  if (tau === 1) expect(apart(softmax(logits, tau), [...mean])).toBeGreaterThan(1.2 * most);
});

test("is noiseless Keyformer at the temperatures that it names", () => {
  const logit = (layer: number, head: number, query: number, key: number) =>
    ((7 * query + 3 * key + query * key + layer + head) % 11) * 0.3;
  const common = { budget: { share: 0.5 }, horizon: 20 } as const;
  const drive = (options: Partial<Parameters<typeof keyformer>[0]>) =>
    driveCache(logit, { policy: keyformer({ ...common, ...options }), promptTokens: 30, newTokens: 20 })
      .steps;
  const tauInit = Math.cbrt(2);
  const tauEnd = Math.cbrt(9);
  expect(drive({ noise: "expected" })).toEqual(drive({ noise: "none", tauInit, tauEnd }));
  expect(drive({ noise: "expected", tauEnd: 1 })).toEqual(drive({ noise: "none", tauInit, tauEnd: tauInit }));
  // Half of the way in ten steps, however the way is told.
  expect(drive({ noise: "expected", tauDelta: 1 / 20 })).toEqual(drive({ noise: "expected" }));
});
