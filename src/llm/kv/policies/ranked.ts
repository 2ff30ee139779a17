/** @file Policies that rank a token once, when it comes: by its key's norm, or at random. */
import { type Budget, type Recent, budgetTokens, checkBudget, checkRecent, recentTokens } from "../budget.ts";
import type { KvPolicy, Scoring } from "../policy.ts";
import { ruled } from "../evictionRule.ts";

/** What {@link knorm} and {@link random} take. */
export interface RankedOptions {
  budget: Budget;
  /** Newest entries that stay, part of the budget; 30 % of it when left out, as Keyformer here (our choice). */
  recent?: Recent;
}

/**
 * Keeps the newest tokens and the older ones whose keys have the smallest L2 norm (Devoto et al., arXiv 2406.11430).
 * @throws ParetoError KV_BUDGET, KV_RECENT
 */
export function knorm(options: RankedOptions): KvPolicy {
  return ranked("knorm", { from: "keyNorm" }, options);
}

/**
 * Keeps the newest tokens and a uniform sample of the older ones, each KV head its own: the floor for any score.
 * @throws ParetoError KV_BUDGET, KV_RECENT
 */
export function random(options: RankedOptions): KvPolicy {
  return ranked("random", { from: "random" }, options);
}

function ranked(name: string, scoring: Scoring, options: RankedOptions): KvPolicy {
  const recent = options.recent ?? { ratioOfBudget: 0.3 };
  checkBudget(options.budget);
  checkRecent(recent);
  return {
    name,
    scoring,
    positions: "original",
    scope: "layer",
    evictEvery: 1,
    budget: (promptTokens) => budgetTokens(options.budget, promptTokens),
    ...ruled((budget) => ({
      sinks: 0,
      recent: recentTokens(recent, budget),
      keep: "score",
      evict: "score",
      evictFrom: 0,
      hasGap: false,
    })),
  };
}
