/**
 * @file TOVA (Oren et al., arXiv 2401.06104): the tokens that the newest query attends to most, by the mean over the
 * layer's heads. No token is kept for being new.
 */
import { z } from "zod";
import { definePolicy } from "../../../run/policies/policy.ts";
import { type Budget, budgetTokens, checkBudget } from "../budget.ts";
import type { KvPolicy, KvPolicyContext } from "../policy.ts";
import { budgetOption } from "../policyOptions.ts";
import { ruled } from "../evictionRule.ts";
import { constantTemperature } from "../temperature.ts";

/**
 * Keeps what the newest query attends to.
 * @throws ParetoError KV_BUDGET
 */
export function tova(options: { budget: Budget }): KvPolicy {
  checkBudget(options.budget);
  return {
    name: "tova",
    scoring: {
      from: "attention",
      rows: "last",
      temperature: constantTemperature(1),
      noise: "none",
      noiseReuse: "fresh",
      groupReduce: "mean",
      heads: "mean",
    },
    positions: "original",
    scope: "layer",
    evictEvery: 1,
    budget: (promptTokens) => budgetTokens(options.budget, promptTokens),
    ...ruled(() => ({ sinks: 0, recent: 0, keep: "score", evict: "score", evictFrom: 0, hasGap: false })),
  };
}

/** `tova` by name. */
export const tovaDefinition = definePolicy({
  kind: "kv.evict",
  name: "tova",
  summary: "Keeps the tokens that the newest query attends to, by the mean over a layer's heads.",
  source: "Oren et al. 2024, arXiv 2401.06104",
  options: z.object({ budget: budgetOption }),
  create: (options, _: KvPolicyContext) => tova(options),
});
