/** @file Policies that rank a token once, when it comes: by its key's norm, or at random. */
import { z } from "zod";
import { definePolicy } from "../../../run/policies/policy.ts";
import { type Budget, type Recent, budgetTokens, checkBudget, checkRecent, recentTokens } from "../budget.ts";
import type { KvPolicy, KvPolicyContext, Scoring } from "../policy.ts";
import { budgetOption, recentOption } from "../policyOptions.ts";
import { ruled } from "../evictionRule.ts";

/** Of the budget, where a user leaves it out. */
const RECENT_SHARE = 0.3;

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
  const recent = options.recent ?? { share: RECENT_SHARE };
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

const options = z.object({ budget: budgetOption, recent: recentOption(RECENT_SHARE) });

/** `knorm` by name. */
export const knormDefinition = definePolicy({
  kind: "kv.evict",
  name: "knorm",
  summary: "Keeps the newest tokens and the older ones whose keys have the smallest norm.",
  source: "Devoto et al. 2024, arXiv 2406.11430",
  options,
  create: (chosen, _: KvPolicyContext) => knorm(chosen),
});

/** `random` by name. */
export const randomDefinition = definePolicy({
  kind: "kv.evict",
  name: "random",
  summary: "Keeps the newest tokens and a uniform sample of the older ones: the floor for any score.",
  source: "ours, a baseline",
  options,
  create: (chosen, _: KvPolicyContext) => random(chosen),
});
