/**
 * @file Evicting from the cache is the same as keeping everything and not looking at what was evicted: a dense
 * attention of this test's own, which masks exactly the entries that the cache says it dropped, gives the same logits.
 */
import { describe, expect, test } from "vitest";
import type { DenseDecoder } from "../../../src/llm/cpu/denseDecoder.ts";
import { choosePolicy, POLICY_NAMES } from "../../../src/llm/kv/choosePolicy.ts";
import type { KvDecision } from "../../../src/llm/kv/kvCache.ts";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import { streaming } from "../../../src/llm/kv/policies/streaming.ts";
import type { KvPolicy } from "../../../src/llm/kv/policy.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import { cases, largestDifference, openCase, openDense } from "./goldenModels.ts";
import { MaskedModel } from "./maskedModel.ts";

const PROMPT = 60;
const STEPS = 64;
const BUDGET = 20;
/** The text is read again from its start where it ends. */
const TEXT = Array.from({ length: PROMPT + STEPS }, (_, i) => cases.tokens[(i * 3) % cases.tokens.length]!);

/** Differences of the logits at each step between the cache and the mask. */
async function differences(
  runner: LlmRunner,
  dense: DenseDecoder,
  policy: KvPolicy,
): Promise<{ most: number; evicted: number }> {
  const decisions: KvDecision[] = [];
  runner.begin(0, {
    policies: () => policy,
    maxNewTokens: STEPS,
    seed: 7,
    onDecision: (decision) => decisions.push(decision),
  });
  const masked = new MaskedModel(dense, policy.positions === "new");
  const apply = (seen: number) => {
    for (const decision of decisions.splice(0)) masked.apply(decision, seen);
  };
  const first = await runner.read([{ seat: 0, tokens: TEXT.slice(0, PROMPT) }]);
  let wanted = first;
  for (let i = 0; i < PROMPT; i++) wanted = await masked.read(TEXT[i]!, i);
  let most = largestDifference(first, wanted);
  apply(PROMPT);
  for (let i = PROMPT; i < PROMPT + STEPS; i++) {
    const got = await runner.step([{ seat: 0, token: TEXT[i]! }]);
    most = Math.max(most, largestDifference(got, await masked.read(TEXT[i]!, i)));
    apply(i + 1);
  }
  return { most, evicted: masked.hidden };
}

/** The same, on a model of the golden cases. */
async function differencesOf(model: string, name: string, policy: KvPolicy) {
  const runner = await openCase(model, name);
  const dense = await openDense(model, name);
  try {
    return { ...(await differences(runner, dense, policy)) };
  } finally {
    await Promise.all([runner.dispose(), dense.dispose()]);
  }
}

describe("a cache that evicts equals a mask over everything", () => {
  const evicting = POLICY_NAMES.filter((name) => name !== "full");
  test.each(evicting)("llama, %s", async (name) => {
    const policy = choosePolicy({ name, budget: { tokens: BUDGET }, maxNewTokens: STEPS });
    const { most, evicted } = await differencesOf("llama", "default", policy);
    expect(evicted).toBe(2 * 2 * (PROMPT + STEPS - BUDGET));
    expect(most).toBeLessThan(1e-4);
  });

  test.each(
    Object.keys(cases.models)
      .filter((model) => model !== "llama")
      .map((model): [string, string] => [model, "default"])
      .concat([["llama", "mistral"]]),
  )("%s %s, keyformer", async (model, name) => {
    const policy = keyformer({ budget: { tokens: BUDGET }, horizon: STEPS });
    expect((await differencesOf(model, name, policy)).most).toBeLessThan(1e-4);
  });
});

test.each(["gpt2", "mpt"])("%s, streaming: entries numbered anew", async (model) => {
  const policy = streaming({ budget: { tokens: BUDGET } });
  expect(policy.positions).toBe("new");
  expect((await differencesOf(model, "default", policy)).most).toBeLessThan(1e-4);
});

test.each(Object.keys(cases.models))("%s: a budget of the whole text changes no bit", async (model) => {
  const runner = await openCase(model, "default");
  try {
    const run = async (policy: KvPolicy) => {
      runner.begin(0, { policies: () => policy, maxNewTokens: 10, seed: 3 });
      const all = [...(await runner.read([{ seat: 0, tokens: TEXT.slice(0, 30) }]))];
      for (let i = 30; i < 40; i++) all.push(...(await runner.step([{ seat: 0, token: TEXT[i]! }])));
      return all;
    };
    const wanted = await run(full());
    for (const noise of ["gumbel", "none"] as const) {
      expect(await run(keyformer({ budget: { tokens: 40 }, noise, horizon: 10 }))).toEqual(wanted);
    }
  } finally {
    await runner.dispose();
  }
});
