/**
 * @file H2O (Zhang et al., NeurIPS 2023, arXiv 2306.14048): the newest tokens and the older ones with the largest sum
 * of attention. It is Keyformer with no noise and a temperature of 1.
 */
import { z } from "zod";
import { definePolicy } from "../../../run/policies/policy.ts";
import type { Budget, Recent } from "../budget.ts";
import type { GroupReduce, KvPolicy, KvPolicyContext } from "../policy.ts";
import { budgetOption, groupReduceOption, recentOption } from "../policyOptions.ts";
import { accumulated } from "./keyformer.ts";

/** Of the budget, where a user leaves it out. */
const RECENT_SHARE = 0.5;

/** What {@link h2o} takes. */
export interface H2oOptions {
  budget: Budget;
  /** Newest entries that stay, part of the budget; half of it when left out, as the paper has it. */
  recent?: Recent;
  /** `mean` when left out. */
  groupReduce?: GroupReduce;
}

/**
 * Keeps heavy hitters and the newest tokens.
 * @throws ParetoError KV_BUDGET, KV_RECENT
 */
export function h2o(options: H2oOptions): KvPolicy {
  const recent = options.recent ?? { share: RECENT_SHARE };
  return accumulated("h2o", { ...options, recent, noise: "none", tauInit: 1, tauEnd: 1 });
}

/** `h2o` by name. */
export const h2oDefinition = definePolicy({
  kind: "kv.evict",
  name: "h2o",
  summary: "Keeps the newest tokens and the older ones with the largest sum of attention.",
  source: "Zhang et al., NeurIPS 2023, arXiv 2306.14048",
  options: z.object({
    budget: budgetOption,
    recent: recentOption(RECENT_SHARE),
    groupReduce: groupReduceOption,
  }),
  create: (options, _: KvPolicyContext) => h2o(options),
});
