/**
 * @file H2O (Zhang et al., NeurIPS 2023, arXiv 2306.14048): the newest tokens and the older ones with the largest sum
 * of attention. It is Keyformer with no noise and a temperature of 1.
 */
import type { Budget, Recent } from "../budget.ts";
import type { GroupReduce, KvPolicy } from "../policy.ts";
import { accumulated } from "./keyformer.ts";

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
  const recent = options.recent ?? { ratioOfBudget: 0.5 };
  return accumulated("h2o", { ...options, recent, noise: "none", tauInit: 1, tauEnd: 1 });
}
