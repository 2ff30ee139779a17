import * as fc from "fast-check";
import { expect, it } from "vitest";
import { keyformer, kvPolicies, kvPolicy, type KvPolicy } from "../../../../src/llm/index.ts";
import { type DriveOptions, driveCache, hashLogit } from "../../../support/llm/driveCache.ts";

/** Any Keyformer on any small model. */
const keyformerDrives = fc
  .record({
    promptTokens: fc.integer({ min: 1, max: 30 }),
    newTokens: fc.integer({ min: 1, max: 14 }),
    kvHeads: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 2 }),
    layers: fc.integer({ min: 1, max: 2 }),
    ratio: fc.double({ min: 0.05, max: 1, noNaN: true }),
    recent: fc.double({ min: 0, max: 1, noNaN: true }),
    sinks: fc.integer({ min: 0, max: 3 }),
    evictEvery: fc.integer({ min: 1, max: 4 }),
    noise: fc.constantFrom("gumbel" as const, "gaussian" as const, "constant" as const, "none" as const),
    noiseReuse: fc.constantFrom("fresh" as const, "per-key" as const),
    scope: fc.constantFrom("layer" as const, "shared" as const),
    seed: fc.integer(),
    scale: fc.constantFrom(0.5, 2, 8),
  })
  .map((config) => {
    const { ratio, recent, group, scale, seed, ...rest } = config;
    const { sinks, evictEvery, noise, noiseReuse, scope } = rest;
    const policy = keyformer({
      budget: { share: ratio },
      recent: { share: recent },
      sinks,
      evictEvery,
      noise,
      noiseReuse,
      scope,
      horizon: rest.newTokens,
    });
    const budget = policy.budget(rest.promptTokens);
    const recentTokens = Math.min(Math.max(Math.floor(budget * recent + 1e-9), 1), budget);
    return {
      logit: hashLogit(seed, scale),
      options: { ...rest, policy, seed, queryHeads: rest.kvHeads * group } satisfies DriveOptions,
      budget,
      recentTokens,
      sinks: Math.min(sinks, budget - recentTokens),
      evictEvery,
    };
  });

it("keeps to its budget, the newest tokens, the sinks and its own past, whatever the options", () => {
  fc.assert(
    fc.property(keyformerDrives, ({ logit, options, budget, recentTokens, sinks, evictEvery }) => {
      const { steps } = driveCache(logit, options);
      for (const [step, layers] of steps.entries()) {
        const seen = options.promptTokens + step;
        for (const [layer, heads] of layers.entries()) {
          for (const [kvHead, { positions, scores, attended, evictedScore }] of heads.entries()) {
            expect(positions.length).toBeLessThan(step === 0 ? budget + 1 : budget + evictEvery);
            expect(positions.length).toBeGreaterThanOrEqual(Math.min(budget, seen));
            expect(attended.length).toBeLessThanOrEqual(budget + evictEvery);
            expect(new Set(positions).size).toBe(positions.length);
            for (let back = 1; back <= Math.min(recentTokens, seen); back++) {
              expect(positions).toContain(seen - back);
            }
            for (let sink = 0; sink < Math.min(sinks, seen); sink++) expect(positions).toContain(sink);
            if (step > 0) {
              const before = steps[step - 1]![layer]![kvHead]!.positions;
              expect(attended).toEqual([...before, seen - 1]);
              for (const position of positions) expect(attended).toContain(position);
            }
            for (const score of scores) expect(score >= 0 && Number.isFinite(score)).toBe(true);
            // Each row adds 1 in all, evicted entries take theirs along.
            const total = scores.reduce((sum, score) => sum + score, evictedScore);
            expect(Math.abs(total - seen)).toBeLessThan(1e-4 * seen);
          }
        }
      }
    }),
    { numRuns: 1000 },
  );
});

it("decides the same, to the bit, for every chunk size", () => {
  fc.assert(
    fc.property(keyformerDrives, fc.constantFrom(1, 7, 64), ({ logit, options }, chunk) => {
      expect(driveCache(logit, { ...options, chunk }).steps).toEqual(driveCache(logit, options).steps);
    }),
    { numRuns: 150 },
  );
});

it("decides in each head by that head alone", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 4, max: 24 }), (seed, promptTokens) => {
      const policy = keyformer({ budget: { count: 4 }, noise: "none", horizon: 8 });
      const logit = hashLogit(seed, 4);
      const sizes = { policy, promptTokens, newTokens: 8 };
      const both = driveCache(logit, { ...sizes, queryHeads: 2, kvHeads: 2 });
      for (const head of [0, 1]) {
        const alone = driveCache((layer, _, query, key) => logit(layer, head, query, key), sizes);
        expect(both.steps.map((layers) => layers[0]![head])).toEqual(alone.steps.map(([heads]) => heads![0]));
      }
    }),
    { numRuns: 200 },
  );
});

it("draws other noise, and keeps other tokens, for another seed or stream", () => {
  const logit = hashLogit(7, 2);
  const sizes = {
    policy: keyformer({ budget: { share: 0.25 }, recent: { count: 4 }, horizon: 8 }),
    promptTokens: 64,
    newTokens: 8,
  };
  const kept = (seed: number, stream: number) =>
    JSON.stringify(
      driveCache(logit, { ...sizes, seed, stream }).steps.map((layers) => layers[0]![0]!.positions),
    );
  expect(kept(1, 0)).toBe(kept(1, 0));
  expect(new Set([kept(1, 0), kept(2, 0), kept(1, 1)]).size).toBe(3);
});

it("keeps with noise most of what it keeps without, and of what another seed keeps", () => {
  const kept = (noise: "gumbel" | "none", seed: number, logits: number) => {
    const policy = keyformer({ budget: { share: 0.25 }, recent: { count: 1 }, noise, horizon: 1 });
    // Logits of deviation 2, as uniform ones within √3 times that.
    const logit = hashLogit(logits, 2 * Math.sqrt(3));
    const { steps } = driveCache(logit, { policy, promptTokens: 256, newTokens: 0, seed });
    return steps[0]![0]![0]!.positions;
  };
  const shared = (a: number[], b: number[]) => a.filter((at) => b.includes(at)).length / a.length;
  const mean = (overlap: (logits: number) => number) =>
    Array.from({ length: 8 }, (_, i) => overlap(i)).reduce((a, b) => a + b) / 8;
  const withoutNoise = mean((i) => shared(kept("none", 1, i), kept("gumbel", 1, i)));
  const ofSeeds = mean((i) => shared(kept("gumbel", 1, i), kept("gumbel", 2, i)));
  expect(Math.abs(withoutNoise - 0.8)).toBeLessThan(0.07);
  expect(Math.abs(ofSeeds - 0.7)).toBeLessThan(0.07);
});

const everyPolicy = fc.record({
  name: fc.constantFrom(...kvPolicies.names),
  tokens: fc.integer({ min: 2, max: 40 }),
  promptTokens: fc.integer({ min: 1, max: 40 }),
  newTokens: fc.integer({ min: 1, max: 12 }),
  kvHeads: fc.integer({ min: 1, max: 3 }),
  seed: fc.integer(),
});

it("evicts one entry a step and head once a cache is full, by every policy", () => {
  fc.assert(
    fc.property(everyPolicy, ({ name, tokens, seed, kvHeads, ...sizes }) => {
      const policy: KvPolicy = kvPolicy(name === "full" ? name : { name, budget: { count: tokens } }, {
        maxNewTokens: sizes.newTokens,
      });
      const most = name === "full" ? Infinity : tokens;
      const { steps } = driveCache(hashLogit(seed, 3), {
        ...sizes,
        policy,
        kvHeads,
        queryHeads: 2 * kvHeads,
        seed,
      });
      for (const [step, layers] of steps.entries()) {
        for (const { positions } of layers[0]!) {
          expect(positions.length).toBe(Math.min(most, sizes.promptTokens + step));
        }
      }
    }),
    { numRuns: 600 },
  );
});
