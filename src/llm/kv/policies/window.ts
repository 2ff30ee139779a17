/** @file The newest tokens only: a sliding window. */
import { z } from "zod";
import { definePolicy } from "../../../run/policies/policy.ts";
import { type Budget, budgetTokens, checkBudget } from "../budget.ts";
import type { KvPolicy, KvPolicyContext } from "../policy.ts";
import { budgetOption } from "../policyOptions.ts";
import { ruled } from "../evictionRule.ts";

/**
 * Keeps the newest tokens.
 * @throws ParetoError KV_BUDGET
 */
export function window(options: { budget: Budget }): KvPolicy {
  checkBudget(options.budget);
  return {
    name: "window",
    scoring: { from: "nothing" },
    positions: "original",
    scope: "layer",
    evictEvery: 1,
    budget: (promptTokens) => budgetTokens(options.budget, promptTokens),
    ...ruled((recent) => ({ sinks: 0, recent, keep: "age", evict: "age", evictFrom: 0, hasGap: false })),
  };
}

/** `window` by name. */
export const windowDefinition = definePolicy({
  kind: "kv.evict",
  name: "window",
  summary: "Keeps the newest tokens.",
  source: "sliding window attention; a baseline of every paper here",
  options: z.object({ budget: budgetOption }),
  create: (options, _: KvPolicyContext) => window(options),
});
