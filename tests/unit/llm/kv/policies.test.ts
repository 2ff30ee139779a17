import { describe, expect, it } from "vitest";
import {
  full,
  h2o,
  keyformer,
  keyformerLayers,
  KvCache,
  type KvDecision,
  type KvPolicy,
  kvPolicies,
  kvPolicy,
  knorm,
  random,
  snapkv,
  streaming,
  tova,
  window,
} from "../../../../src/llm/index.ts";
import { describeOptions } from "../../../../src/run/policies/describe.ts";
import { authorsMask } from "./authorsMask.ts";
import { driveCache, hashLogit, keptOf } from "../../../support/llm/driveCache.ts";

const LOGIT = hashLogit(3, 3);
const SIZES = { promptTokens: 40, newTokens: 24 };
const HALF = { share: 0.5 };

function kept(policy: KvPolicy, logit = LOGIT): number[][] {
  return keptOf(driveCache(logit, { ...SIZES, policy }));
}

/** The policy of a text, and the options that it was made with. */
const parsed = (text: string) => {
  const choice = kvPolicies.parse(text, "--kv");
  return { options: choice.options, policy: choice.create({ maxNewTokens: 8 }) };
};
const code = (...codes: string[]) =>
  expect.objectContaining({ code: expect.toSatisfy((one: string) => codes.includes(one)) });

describe("budgets", () => {
  it("reads shares and counts", () => {
    expect(parsed("h2o:budget=50%,recent=30%").options).toMatchObject({
      budget: { share: 0.5 },
      recent: { share: 0.3 },
    });
    expect(parsed("h2o:budget=1024,recent=0").options).toMatchObject({
      budget: { count: 1024 },
      recent: { count: 0 },
    });
  });

  it.each(["", "50 tokens", "-3", "0", "1", "0%", "101%", "1e3", "3.5"])("refuses a budget of %j", (text) => {
    expect(() => parsed(`h2o:budget=${text}`)).toThrow(code("KV_BUDGET", "POLICY_OPTION"));
  });

  it.each(["", "x", "101%", "-1", "2.5"])("refuses %j recent", (text) => {
    expect(() => parsed(`h2o:recent=${text}`)).toThrow(code("POLICY_OPTION"));
  });

  it("rounds down as percentages of whole numbers do, to at least two tokens", () => {
    expect(parsed("keyformer:budget=60%").policy.budget(1920)).toBe(1152);
    expect(parsed("keyformer:budget=29%").policy.budget(100)).toBe(29);
    expect(parsed("keyformer:budget=1%").policy.budget(100)).toBe(2);
    expect(parsed("keyformer:budget=50%").policy.budget(1)).toBe(2);
  });
});

describe("policies by name", () => {
  it("makes each that ships", () => {
    expect(kvPolicies.names.map((name) => parsed(name).policy.name)).toEqual(kvPolicies.names);
    expect(parsed("keyformer").policy.budget(100)).toBe(50);
    expect(parsed("full").policy.budget(100)).toBe(Infinity);
  });

  it("has the library's defaults", () => {
    const budget = { share: 0.5 };
    const decisions = (policy: KvPolicy) => kept(policy);
    for (const [text, policy] of [
      ["window", window({ budget })],
      ["streaming", streaming({ budget })],
      ["h2o", h2o({ budget })],
      ["keyformer", keyformer({ budget, horizon: 8 })],
      ["tova", tova({ budget })],
      ["snapkv", snapkv({ budget })],
      ["knorm", knorm({ budget })],
      ["random", random({ budget })],
    ] as const)
      expect(decisions(parsed(text).policy), text).toEqual(decisions(policy));
  });

  it("describes every option of every policy", () => {
    for (const { name, summary, source, options } of kvPolicies.definitions) {
      expect(summary, name).toMatch(/\.$/);
      expect(source, name).not.toBe("");
      for (const option of describeOptions(options)) expect(option.meaning, option.name).toMatch(/\.$/);
    }
  });

  it("refuses an unknown name, and options that a policy has not", () => {
    expect(() => parsed("lru")).toThrow(code("POLICY_UNKNOWN"));
    expect(() => parsed("full:budget=50%")).toThrow(code("POLICY_OPTION"));
    expect(() => parsed("tova:recent=3")).toThrow(code("POLICY_OPTION"));
  });
});

describe("Keyformer", () => {
  it("is H2O without noise at a constant temperature of 1", () => {
    const recent = { share: 0.3 };
    const options = { budget: HALF, recent };
    expect(kept(keyformer({ ...options, noise: "none", tauInit: 1, tauEnd: 1 }))).toEqual(kept(h2o(options)));
  });

  it("keeps with constant noise what it keeps with none", () => {
    const options = { budget: HALF, horizon: 24 };
    expect(kept(keyformer({ ...options, noise: "constant" }))).toEqual(
      kept(keyformer({ ...options, noise: "none" })),
    );
    expect(kept(keyformer(options))).not.toEqual(kept(keyformer({ ...options, noise: "none" })));
  });

  it("is a window when all of the budget is recent, and streaming when the rest are sinks", () => {
    const options = { budget: HALF, horizon: 24 };
    expect(kept(keyformer({ ...options, recent: { share: 1 } }))).toEqual(kept(window({ budget: HALF })));
    expect(kept(keyformer({ ...options, recent: { count: 16 }, sinks: 4 }))).toEqual(
      kept(streaming({ budget: HALF })),
    );
  });

  it("keeps one recent token, and still evicts, where none is asked for", () => {
    const states = kept(keyformer({ budget: HALF, recent: { count: 0 }, horizon: 24 }));
    expect(states.map(({ length }) => length)).toEqual(states.map(() => 20));
    for (const [step, positions] of states.entries()) expect(positions).toContain(39 + step);
  });

  it("stops its temperature at the end, and takes a change per token instead of a horizon", () => {
    const tau = (options: object) => {
      const { scoring } = keyformer({ budget: HALF, ...options });
      return scoring.from === "attention" ? [0, 1, 4, 9].map((step) => scoring.temperature(step)) : [];
    };
    expect(tau({ horizon: 4 })).toEqual([1, 1.25, 2, 2]);
    expect(tau({ tauDelta: 0.5 })).toEqual([1, 1.5, 2, 2]);
    expect(tau({ tauInit: 4, tauEnd: 2, horizon: 4 })).toEqual([4, 3.5, 2, 2]);
    expect(tau({ tauInit: 2, tauEnd: 2 })).toEqual([2, 2, 2, 2]);
    for (const bad of [{}, { horizon: 0 }, { tauInit: 0, horizon: 4 }, { tauEnd: Number.NaN, horizon: 4 }]) {
      expect(() => tau(bad)).toThrow(expect.objectContaining({ code: "KV_TEMPERATURE" }));
    }
  });

  it("lets a decoded token become a key token, which reference-mask mode never does", () => {
    const logit = (_layer: number, _head: number, query: number, key: number) =>
      LOGIT(0, 0, query, key) + (key === 41 && query > 41 ? 12 : 0);
    const options = { budget: HALF, recent: { count: 6 }, noise: "none" as const, horizon: 24 };
    expect(kept(keyformer(options), logit).at(-1)).toContain(41);
    expect(kept(keyformer({ ...options, mode: "reference-mask" }), logit).at(-1)).not.toContain(41);
  });

  it("agrees in reference-mask mode with the authors' masks, for 40 tokens, 50 % and 30 %", () => {
    const policy = keyformer({
      budget: HALF,
      recent: { share: 0.3 },
      noise: "none",
      mode: "reference-mask",
      horizon: 24,
    });
    const expected = authorsMask(
      (query, key) => LOGIT(0, 0, query, key),
      { ...SIZES, budget: 20, recent: 6 },
      (step) => 1 + step / 24,
    );
    const { steps } = driveCache(LOGIT, { ...SIZES, policy });
    const seen = steps.slice(1).map((layers) => layers[0]![0]!.attended);
    expect(seen).toEqual(expected.slice(0, -1));
    expect([...steps.at(-1)![0]![0]!.positions, 64]).toEqual(expected.at(-1));
    const keys = seen.map((positions) => positions.filter((position) => position < 34));
    expect(new Set(keys.map(String)).size).toBe(1);
    expect(keys[0]!.length).toBe(14);
  });

  it("never evicts in reference-mask mode without recent tokens, as the authors' code", () => {
    const policy = keyformer({ budget: HALF, recent: { count: 0 }, mode: "reference-mask", horizon: 24 });
    expect(kept(policy).at(-1)!.length).toBe(64);
  });

  it("has options of a layer's own, and layers that keep everything", () => {
    const policies = keyformerLayers({ budget: HALF, horizon: 24 }, (layer) =>
      layer === 0 ? "full" : { budget: { count: 10 * layer } },
    );
    const { steps } = driveCache(LOGIT, { ...SIZES, layers: 3, policy: policies });
    expect(steps[0]!.map(([head]) => head!.positions.length)).toEqual([40, 10, 20]);
    expect(steps.at(-1)!.map(([head]) => head!.positions.length)).toEqual([64, 10, 20]);
  });

  it("keeps the same tokens in all layers, by the sum of their scores, in shared scope", () => {
    const options = { noise: "none" as const, recent: { count: 6 }, horizon: 24 };
    const sizes = { promptTokens: 40, newTokens: 1, layers: 3 };
    const policy = (tokens: number) => keyformer({ ...options, budget: { count: tokens }, scope: "shared" });
    const all = driveCache(LOGIT, { ...sizes, policy: policy(50) }).steps[0]!;
    const sums = all[0]![0]!.positions.map((at) => all.reduce((sum, [head]) => sum + head!.scores[at]!, 0));
    const best = Array.from({ length: 34 }, (_, at) => at)
      .sort((a, b) => sums[b]! - sums[a]!)
      .slice(0, 14);
    const expected = [...best, 34, 35, 36, 37, 38, 39].sort((a, b) => a - b);
    const layers = driveCache(LOGIT, { ...sizes, policy: policy(20) }).steps[0]!;
    for (const [head] of layers) expect(head!.positions).toEqual(expected);
    const mixed = (layer: number) => (layer === 0 ? full() : policy(20));
    expect(() => driveCache(LOGIT, { ...sizes, policy: mixed })).toThrow(
      expect.objectContaining({ code: "KV_SHARED" }),
    );
  });

  it.each([
    ["max", (a: number, b: number) => Math.max(a, b)],
    ["sum", (a: number, b: number) => a + b],
    ["mean", (a: number, b: number) => (a + b) / 2],
  ] as const)("joins grouped heads' rows by their %s", (groupReduce, join) => {
    const sizes = { promptTokens: 1, newTokens: 1 };
    const policy = keyformer({ budget: { count: 9 }, noise: "none", tauEnd: 1, groupReduce });
    const logit = (_layer: number, head: number, query: number, key: number) =>
      query === 1 && key === 0 ? Math.log(head === 0 ? 3 : 1 / 3) : 0;
    const scores = driveCache(logit, { ...sizes, policy, queryHeads: 2 }).steps[1]![0]![0]!.scores;
    expect(scores[0]).toBeCloseTo(join(1, 1) + join(0.75, 0.25), 6);
    expect(scores[1]).toBeCloseTo(join(0.25, 0.75), 6);
  });

  it("keeps a key's noise for all queries where it is drawn once a key", () => {
    const ratios = (noiseReuse: "fresh" | "per-key") => {
      const policy = keyformer({ budget: { count: 9 }, tauEnd: 1, noiseReuse });
      const { steps } = driveCache(() => 0, { promptTokens: 1, newTokens: 3, policy });
      const scores = steps.map((layers) => layers[0]![0]!.scores);
      // What a step adds to the first two tokens, one over the other.
      return [2, 3].map(
        (step) => (scores[step]![0]! - scores[step - 1]![0]!) / (scores[step]![1]! - scores[step - 1]![1]!),
      );
    };
    const [second, third] = ratios("per-key");
    expect(third! / second!).toBeCloseTo(1, 4);
    const [fresh, afresh] = ratios("fresh");
    expect(Math.abs(afresh! / fresh! - 1)).toBeGreaterThan(0.1);
  });

  it.each([
    [{ sinks: -1 }, "KV_SINKS"],
    [{ evictEvery: 0 }, "KV_EVICT_EVERY"],
    [{ mode: "reference-mask" as const, sinks: 4 }, "KV_REFERENCE_MASK"],
  ])("refuses %j", (options, code) => {
    expect(() => keyformer({ budget: HALF, horizon: 4, ...options })).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe("the rivals", () => {
  it("H2O gives half of its budget to the newest tokens", () => {
    // Every query attends to the first token alone, so all others tie and the older ones stay.
    const logit = (_layer: number, _head: number, _query: number, key: number) => (key === 0 ? 0 : -Infinity);
    const states = kept(h2o({ budget: { count: 8 } }), logit);
    expect(states[0]).toEqual([0, 1, 2, 3, 36, 37, 38, 39]);
    expect(states.at(-1)).toEqual([0, 1, 2, 3, 60, 61, 62, 63]);
  });

  it("SnapKV lets at most half of its budget vote, and at most 32, over five neighbours", () => {
    const logit = (_layer: number, _head: number, query: number, key: number) =>
      key === 10 && query >= 35 ? 9 : key === 20 && query < 35 ? 9 : -Infinity;
    const policy = snapkv({ budget: { count: 10 } });
    const { steps } = driveCache(logit, { ...SIZES, policy });
    for (const [heads] of steps) {
      expect(heads![0]!.positions.slice(0, 5)).toEqual([8, 9, 10, 11, 12]);
      expect(heads![0]!.scores.slice(0, 5)).toEqual([1, 1, 1, 1, 1]);
    }
    expect(kept(policy, logit)[0]!.slice(5)).toEqual([35, 36, 37, 38, 39]);
    const { scoring } = snapkv({ budget: { count: 100 } });
    expect(scoring.from === "attention" && scoring.window?.(500)).toBe(32);
  });

  it("streaming keeps four sinks and the newest, numbered anew", () => {
    const policy = streaming({ budget: { count: 8 } });
    expect(kept(policy)[0]).toEqual([0, 1, 2, 3, 36, 37, 38, 39]);
    expect(kept(policy).at(-1)).toEqual([0, 1, 2, 3, 60, 61, 62, 63]);
    expect(kept(streaming({ budget: { count: 3 } })).at(-1)).toEqual([0, 1, 63]);
    const layer = driveCache(LOGIT, { ...SIZES, policy }).cache.layers[0]!;
    expect(Array.from(layer.attentionPositions(0)).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(layer.nextPosition(0)).toBe(8);
    expect(layer.tokensSeen).toBe(64);
  });

  it("random keeps a uniform sample of the older tokens", () => {
    const policy = random({ budget: { count: 20 }, recent: { count: 4 } });
    const counts = new Float64Array(36);
    const seeds = 2000;
    for (let seed = 0; seed < seeds; seed++) {
      const [positions] = keptOf(driveCache(LOGIT, { promptTokens: 40, newTokens: 0, policy, seed }));
      for (const position of positions!) if (position < 36) counts[position]!++;
    }
    // 16 of 36, with five standard errors.
    for (const count of counts) expect(Math.abs(count / seeds - 16 / 36)).toBeLessThan(0.056);
  });

  it("knorm keeps the keys with the smallest norms", () => {
    // The driver's keys are (position, layer), so the oldest have the smallest.
    const policy = kvPolicy(
      { name: "knorm", budget: { count: 6 }, recent: { count: 2 } },
      { maxNewTokens: 24 },
    );
    expect(kept(policy)[0]).toEqual([0, 1, 2, 3, 38, 39]);
    expect(kept(policy).at(-1)).toEqual([0, 1, 2, 3, 62, 63]);
  });

  it("TOVA decides for all heads of a layer by their mean", () => {
    const policy = kvPolicy({ name: "tova", budget: { count: 6 } }, { maxNewTokens: 24 });
    const { steps } = driveCache(LOGIT, { ...SIZES, policy, queryHeads: 6, kvHeads: 3 });
    for (const [heads] of steps) {
      expect(heads![1]!.positions).toEqual(heads![0]!.positions);
      expect(heads![2]!.positions).toEqual(heads![0]!.positions);
    }
  });
});

describe("a policy of the user's own", () => {
  /** Keeps every fourth token of the prompt, then drops what lies in the last slot. */
  const sparse: KvPolicy = {
    ...window({ budget: { count: 10 } }),
    name: "sparse",
    keep: ({ positions, length }) =>
      [...Array.from({ length }).keys()].filter((slot) => positions[slot]! % 4 === 0),
    evict: ({ length }) => length - 1,
  };

  it("decides, and is told of", () => {
    const decisions: KvDecision[] = [];
    const states = keptOf(
      driveCache(LOGIT, {
        promptTokens: 40,
        newTokens: 2,
        policy: sparse,
        onDecision: (decision) => decisions.push(decision),
      }),
    );
    expect(states).toEqual(Array.from({ length: 3 }, () => [0, 4, 8, 12, 16, 20, 24, 28, 32, 36]));
    const head = { layer: 0, kvHead: 0 };
    expect(decisions).toEqual([
      { ...head, kind: "keep", step: 0, positions: states[0] },
      { ...head, kind: "evict", step: 1, positions: [40] },
      { ...head, kind: "evict", step: 2, positions: [41] },
    ]);
  });

  it.each([
    ["keeps too much", { keep: () => Array.from({ length: 11 }, (_, slot) => slot) }],
    ["keeps a slot twice", { keep: () => [1, 1] }],
    ["keeps slots that are not there", { keep: () => [40] }],
    ["keeps out of order", { keep: () => [2, 1] }],
    ["drops a slot that is not there", { evict: () => 11 }],
    ["drops no slot", { evict: () => -1 }],
  ])("is refused when it %s", (_, broken) => {
    const policy = { ...sparse, ...broken };
    expect(() => driveCache(LOGIT, { ...SIZES, policy })).toThrow(
      expect.objectContaining({ code: "KV_POLICY" }),
    );
  });
});

it("refuses a logit that is not a number, by its place", () => {
  const policy = h2o({ budget: { count: 4 } });
  const logit = (_layer: number, head: number, query: number, key: number) =>
    head === 1 && query === 7 && key === 3 ? Number.NaN : 0;
  expect(() => driveCache(logit, { promptTokens: 9, newTokens: 1, policy, queryHeads: 2 })).toThrow(
    expect.objectContaining({ code: "KV_LOGITS_NOT_FINITE", where: "layer 0, head 1, query 7" }),
  );
});

it("scores a masked key 0, and the others as if it were not there", () => {
  const policy = keyformer({ budget: { count: 50 }, horizon: 4 });
  const cacheOf = () =>
    new KvCache({
      layers: 1,
      queryHeads: 1,
      kvHeads: 1,
      headDim: 1,
      promptTokens: 3,
      maxNewTokens: 4,
      seed: 1,
      stream: 0,
      policies: () => policy,
    }).layers[0]!;
  const scores = [
    [0.5, -Infinity, 1.5],
    [-Infinity, -Infinity, -Infinity],
  ].map((logits) => {
    const layer = cacheOf();
    layer.append(new Float32Array(3), new Float32Array(3), 3);
    layer.addRow({ kvHead: 0, queryPosition: 2, logits: Float64Array.from(logits) });
    return Array.from(layer.view(0).scores.subarray(0, 3));
  });
  expect(scores[0]![1]).toBe(0);
  expect(scores[0]![0]! + scores[0]![2]!).toBeCloseTo(1, 6);
  expect(scores[1]).toEqual([0, 0, 0]);
});
