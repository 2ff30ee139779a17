/** @file The newest tokens only: a sliding window. */
import { type Budget, budgetTokens, checkBudget } from "../budget.ts";
import type { KvPolicy } from "../policy.ts";
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
