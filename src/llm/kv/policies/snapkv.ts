/**
 * @file SnapKV (Li et al., arXiv 2404.14469): the prompt's last queries vote for the tokens before them; the best stay
 * with that window. The method ends with the prompt; in decode the window slides and the chosen tokens stay.
 */
import { z } from "zod";
import { ParetoError } from "../../../base/errors.ts";
import { shareOrCount, wholeNumber } from "../../../base/optionSchemas.ts";
import { definePolicy } from "../../../run/policies/policy.ts";
import { type Budget, type Recent, budgetTokens, checkBudget, checkRecent, recentTokens } from "../budget.ts";
import type { KvPolicy, KvPolicyContext } from "../policy.ts";
import { budgetOption } from "../policyOptions.ts";
import { ruled } from "../evictionRule.ts";
import { constantTemperature } from "../temperature.ts";

/** Most queries that vote when `recent` is left out; the paper has 16 to 64. */
const MOST_VOTERS = 32;

/** Width of the average over votes, where a user leaves it out. */
const POOL = 5;

/** What {@link snapkv} takes. */
export interface SnapkvOptions {
  budget: Budget;
  /** Voting queries, which stay; 32 when left out, but at most half of the budget (our choice). */
  recent?: Recent;
  /** Odd width of the average over neighbouring votes; 5 when left out (5 to 7 are usual); 1 takes none. */
  pool?: number;
}

/**
 * Keeps what the prompt's last queries attend to, and a window.
 * @throws ParetoError KV_BUDGET, KV_RECENT, KV_POOL
 */
export function snapkv(options: SnapkvOptions): KvPolicy {
  const { recent } = options;
  const pool = options.pool ?? POOL;
  checkBudget(options.budget);
  if (recent !== undefined) checkRecent(recent);
  checkPool(pool);
  const budget = (promptTokens: number) => budgetTokens(options.budget, promptTokens);
  const windowOf = (tokens: number) =>
    recent === undefined ? Math.min(MOST_VOTERS, tokens >> 1) : recentTokens(recent, tokens);
  return {
    name: "snapkv",
    scoring: {
      from: "attention",
      rows: "window",
      window: (promptTokens) => Math.min(windowOf(budget(promptTokens)), promptTokens),
      pool,
      temperature: constantTemperature(1),
      noise: "none",
      noiseReuse: "fresh",
      groupReduce: "mean",
      heads: "each",
    },
    positions: "original",
    scope: "layer",
    evictEvery: 1,
    budget,
    ...ruled((tokens, promptTokens) => ({
      sinks: 0,
      recent: windowOf(tokens),
      keep: "score",
      evict: "age",
      evictFrom: Math.max(0, promptTokens - windowOf(tokens)),
      hasGap: false,
    })),
  };
}

function checkPool(pool: number): void {
  if (Number.isInteger(pool) && pool >= 1 && pool % 2 === 1) return;
  throw new ParetoError({
    code: "KV_POOL",
    where: "KV policy snapkv",
    message: `the width of the average over votes is an odd whole number, got ${pool}`,
    fix: "Use 5 or 7, or 1 for no average.",
  });
}

/** `snapkv` by name. */
export const snapkvDefinition = definePolicy({
  kind: "kv.evict",
  name: "snapkv",
  summary: "Keeps what the prompt's last queries attend to, and a window of the newest tokens.",
  source: "Li et al. 2024, arXiv 2404.14469",
  options: z.object({
    budget: budgetOption,
    recent: shareOrCount()
      .optional()
      .describe(
        "The prompt's last queries, which vote and stay: a share of the budget, or a count. Left out, 32, but at most half of the budget.",
      ),
    pool: wholeNumber({ min: 1 })
      .default(POOL)
      .describe("Odd width of the average over neighbouring votes; 1 takes none."),
  }),
  create: ({ budget, recent, pool }, _: KvPolicyContext) =>
    snapkv({ budget, pool, ...(recent !== undefined && { recent }) }),
});
