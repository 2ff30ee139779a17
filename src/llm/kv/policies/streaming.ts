/**
 * @file StreamingLLM (Xiao et al., arXiv 2309.17453): the first tokens, which draw attention as sinks, and the newest.
 * Entries are numbered anew by their rank in the cache.
 */
import { z } from "zod";
import { definePolicy } from "../../../run/policies/policy.ts";
import { type Budget, budgetTokens, checkBudget } from "../budget.ts";
import type { KvPolicy, KvPolicyContext } from "../policy.ts";
import { budgetOption, positionsOption, sinksOption } from "../policyOptions.ts";
import { ruled } from "../evictionRule.ts";
import { checkSinks } from "../sinks.ts";

/** Sinks of the paper. */
const SINKS = 4;

/** What {@link streaming} takes. */
export interface StreamingOptions {
  budget: Budget;
  /** First tokens that stay, part of the budget; 4 when left out, as the paper has it. */
  sinks?: number;
  /** `new` when left out, as the paper has it. */
  positions?: "original" | "new";
}

/**
 * Keeps the first tokens and the newest ones. Of a budget below `sinks + 1` the newest token has its place.
 * @throws ParetoError KV_BUDGET, KV_SINKS
 */
export function streaming(options: StreamingOptions): KvPolicy {
  checkBudget(options.budget);
  const sinks = options.sinks ?? SINKS;
  checkSinks(sinks);
  return {
    name: "streaming",
    scoring: { from: "nothing" },
    positions: options.positions ?? "new",
    scope: "layer",
    evictEvery: 1,
    budget: (promptTokens) => budgetTokens(options.budget, promptTokens),
    ...ruled((budget) => {
      const first = Math.min(sinks, budget - 1);
      return {
        sinks: first,
        recent: budget - first,
        keep: "age",
        evict: "age",
        evictFrom: first,
        hasGap: false,
      };
    }),
  };
}

/** `streaming` by name. */
export const streamingDefinition = definePolicy({
  kind: "kv.evict",
  name: "streaming",
  summary: "Keeps the first tokens, which draw attention as sinks, and the newest.",
  source: "StreamingLLM, Xiao et al. 2023, arXiv 2309.17453",
  options: z.object({ budget: budgetOption, sinks: sinksOption(SINKS), positions: positionsOption("new") }),
  create: (options, _: KvPolicyContext) => streaming(options),
});
