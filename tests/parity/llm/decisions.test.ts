/**
 * @file What policies decide is the same from run to run and on every device, and what happens at the edges: a prompt
 * of one token, one shorter than the budget, a text past its horizon.
 */
import { expect, test } from "vitest";
import { kvPolicies, kvPolicy } from "../../../src/llm/kv/kvPolicies.ts";
import type { KvDecision } from "../../../src/llm/kv/policy.ts";
import type { KvPolicy } from "../../../src/llm/kv/policy.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import { cases, openCase } from "./goldenModels.ts";
import { onEachDevice } from "./runnerDevices.ts";

const BUDGET = 16;
const PROMPT = 40;
const STEPS = 24;
/** Each token of the vocabulary at most once: keys of equal tokens have equal norms, but for rounding. */
const textOf = (length: number) => Array.from({ length }, (_, i) => (i * 37 + 5) % 64);

/** All that a policy decides over a prompt and forced tokens. */
async function decisionsOf(
  runner: LlmRunner,
  policy: KvPolicy,
  { prompt = PROMPT, steps = STEPS, seed = 11 } = {},
): Promise<KvDecision[]> {
  const decisions: KvDecision[] = [];
  runner.begin(0, {
    policies: () => policy,
    maxNewTokens: steps,
    seed,
    onDecision: (decision) => decisions.push(decision),
  });
  const text = textOf(prompt + steps);
  await runner.prefill([{ sequence: 0, tokens: text.slice(0, prompt) }]);
  for (const token of text.slice(prompt)) await runner.decode([{ sequence: 0, token }]);
  return decisions;
}

/** One after the other, whatever the order in which layers and heads were told of. */
const keyOf = ({ step, layer, kvHead, kind }: KvDecision) => `${step} ${layer} ${kvHead} ${kind}`;

/** The share of decisions that differ. */
function shareOfFlips(a: readonly KvDecision[], b: readonly KvDecision[]): number {
  const told = new Map(b.map((decision) => [keyOf(decision), decision.positions.join()]));
  expect(a.map(keyOf).sort()).toEqual(b.map(keyOf).sort());
  return a.filter((decision) => told.get(keyOf(decision)) !== decision.positions.join()).length / a.length;
}

const policyNamed = (name: string) =>
  // The horizon ends before the text does.
  kvPolicy({ name, budget: { count: BUDGET } }, { maxNewTokens: STEPS / 2 });

onEachDevice((device) => {
  test("the same seed decides the same, another seed otherwise", async () => {
    const runner = await openCase("llama", "default", 1, device);
    try {
      const policy = policyNamed("keyformer");
      const first = await decisionsOf(runner, policy, { seed: 1 });
      expect(await decisionsOf(runner, policy, { seed: 1 })).toEqual(first);
      expect(await decisionsOf(runner, policy, { seed: 2 })).not.toEqual(first);
    } finally {
      await runner.dispose();
    }
  });

  test.each([
    { prompt: 1, name: "one token" },
    { prompt: 9, name: "fewer tokens than the budget" },
    { prompt: BUDGET, name: "as many tokens as the budget" },
  ])("after a prompt of $name the cache grows to its budget and stays there", async ({ prompt }) => {
    const runner = await openCase("llama", "default", 1, device);
    try {
      const decisions = await decisionsOf(runner, policyNamed("keyformer"), { prompt });
      const { layers, kvHeads } = runner.config;
      const evictions = decisions.filter(({ kind }) => kind === "evict");
      expect(evictions).toHaveLength(layers * kvHeads * (prompt + STEPS - BUDGET));
      expect(Math.min(...evictions.map(({ step }) => step))).toBe(BUDGET - prompt + 1);
      expect(runner.memory(0)).toMatchObject({
        tokensSeen: prompt + STEPS,
        evictedTokens: prompt + STEPS - BUDGET,
      });
    } finally {
      await runner.dispose();
    }
  });

  if (device === "cpu") return;

  const evicting = kvPolicies.names.filter((name) => name !== "full");
  const models = Object.keys(cases.models).map((model): [string, string] => [model, "default"]);
  test.each([
    ...evicting.map((policy) => ["llama", "default", policy] as const),
    ...[...models.slice(1), ["llama", "mistral"] as const].flatMap(([model, name]) =>
      ["keyformer", "tova"].map((policy) => [model, name, policy] as const),
    ),
  ])("%s %s, %s: decides what the host does", async (model, name, policy) => {
    const [host, runner] = [await openCase(model, name), await openCase(model, name, 1, device)];
    try {
      const wanted = await decisionsOf(host, policyNamed(policy));
      const found = await decisionsOf(runner, policyNamed(policy));
      // Sums in another order may swap two entries of almost the same score.
      expect(shareOfFlips(found, wanted)).toBeLessThanOrEqual(0.001);
    } finally {
      await Promise.all([host.dispose(), runner.dispose()]);
    }
  });
});
