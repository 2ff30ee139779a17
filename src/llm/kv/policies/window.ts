/** @file The newest tokens only: a sliding window. */
import { type Budget, budgetTokens, checkBudget } from "../budget.ts";
import type { KvPolicy } from "../policy.ts";
import { oldestSlot, slotsByPosition } from "../select.ts";

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
    keep: (head) => slotsByPosition(head).slice(-head.budget),
    victim: (head) => oldestSlot(head, 0),
  };
}
