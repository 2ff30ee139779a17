/**
 * @file Evicting from the cache is the same as keeping everything and not looking at what was evicted: a dense
 * attention of this test's own, which masks exactly the entries that the cache says it dropped, gives the same logits.
 */
import { describe, expect, test } from "vitest";
import type { DenseDecoder } from "../../../src/llm/cpu/denseDecoder.ts";
import { kvPolicies, kvPolicy } from "../../../src/llm/kv/kvPolicies.ts";
import type { KvDecision } from "../../../src/llm/kv/policy.ts";
import { full } from "../../../src/llm/kv/policies/full.ts";
import { keyformer } from "../../../src/llm/kv/policies/keyformer.ts";
import { streaming } from "../../../src/llm/kv/policies/streaming.ts";
import type { KvPolicy } from "../../../src/llm/kv/policy.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import { cases, largestDifference, openCase, openDense } from "./goldenModels.ts";
import { onEachDevice, type RunnerDevice } from "./runnerDevices.ts";
import { MaskedModel } from "./maskedModel.ts";

const PROMPT = 60;
const STEPS = 64;
const BUDGET = 20;
/** The text is read again from its start where it ends. */
const TEXT = Array.from({ length: PROMPT + STEPS }, (_, i) => cases.tokens[(i * 3) % cases.tokens.length]!);

/** Of the largest logit. */
const TOLERANCE = 1e-5;

/** The largest difference of the logits between the cache and the mask, as a share of the largest logit. */
async function differences(
  runner: LlmRunner,
  dense: DenseDecoder,
  policy: KvPolicy,
): Promise<{ difference: number; evicted: number }> {
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
  const first = await runner.prefill([{ sequence: 0, tokens: TEXT.slice(0, PROMPT) }]);
  let wanted = first;
  for (let i = 0; i < PROMPT; i++) wanted = await masked.read(TEXT[i]!, i);
  let most = largestDifference(first, wanted);
  let largest = 0;
  apply(PROMPT);
  for (let i = PROMPT; i < PROMPT + STEPS; i++) {
    const got = await runner.decode([{ sequence: 0, token: TEXT[i]! }]);
    wanted = await masked.read(TEXT[i]!, i);
    most = Math.max(most, largestDifference(got, wanted));
    largest = Math.max(largest, ...wanted.map(Math.abs));
    apply(i + 1);
  }
  return { difference: most / largest, evicted: masked.hidden };
}

/** The same, on a model of the golden cases. */
async function differencesOf(device: RunnerDevice, model: string, name: string, policy: KvPolicy) {
  const runner = await openCase(model, name, 1, device);
  const dense = await openDense(model, name);
  try {
    return await differences(runner, dense, policy);
  } finally {
    await Promise.all([runner.dispose(), dense.dispose()]);
  }
}

onEachDevice((device) => {
  describe("a cache that evicts equals a mask over everything", () => {
    const evicting = kvPolicies.names.filter((name) => name !== "full");
    test.each(evicting)("llama, %s", async (name) => {
      const policy = kvPolicy({ name, budget: { count: BUDGET } }, { maxNewTokens: STEPS });
      const { difference, evicted } = await differencesOf(device, "llama", "default", policy);
      expect(evicted).toBe(2 * 2 * (PROMPT + STEPS - BUDGET));
      expect(difference).toBeLessThan(TOLERANCE);
    });

    test.each(
      Object.keys(cases.models)
        .filter((model) => model !== "llama")
        .map((model): [string, string] => [model, "default"])
        .concat([["llama", "mistral"]]),
    )("%s %s, keyformer", async (model, name) => {
      const policy = keyformer({ budget: { count: BUDGET }, horizon: STEPS });
      expect((await differencesOf(device, model, name, policy)).difference).toBeLessThan(TOLERANCE);
    });
  });

  test.each([
    ["gpt2", "default"],
    ["mpt", "default"],
    ["gptj", "default"],
    ["llama", "default"],
    ["llama", "yarn"],
  ])("%s %s, streaming: entries numbered anew", async (model, name) => {
    const policy = streaming({ budget: { count: BUDGET } });
    expect(policy.positions).toBe("new");
    expect((await differencesOf(device, model, name, policy)).difference).toBeLessThan(TOLERANCE);
  });

  test.each(Object.keys(cases.models))("%s: a budget of the whole text changes no bit", async (model) => {
    const prompts = [30, 7, 18].map((length, i) => TEXT.slice(5 * i, 5 * i + length));
    const runner = await openCase(model, "default", prompts.length, device);
    try {
      const run = async (policy: KvPolicy, texts: number) => {
        const chosen = prompts.slice(0, texts).map((tokens, sequence) => ({ sequence, tokens }));
        for (const { sequence } of chosen)
          runner.begin(sequence, { policies: () => policy, maxNewTokens: 10, seed: 3 });
        const all = [...(await runner.prefill(chosen))];
        for (let step = 0; step < 10; step++)
          all.push(
            ...(await runner.decode(
              chosen.map(({ sequence }) => ({ sequence, token: TEXT[step + sequence]! })),
            )),
          );
        return all;
      };
      for (const texts of [1, 3]) {
        const wanted = await run(full(), texts);
        for (const noise of ["gumbel", "none"] as const)
          expect(await run(keyformer({ budget: { count: 40 }, noise, horizon: 10 }), texts)).toEqual(wanted);
      }
    } finally {
      await runner.dispose();
    }
  });
});
