/**
 * @file How many entries a cache keeps, and how many of them are the newest, from shares or counts.
 */
import { ParetoError } from "../../base/errors.ts";
import type { ShareOrCount } from "../../base/optionSchemas.ts";

/** Entries that a KV head keeps: a share of the prompt's tokens (the paper's form), above 0, or a count of at least 2. */
export type Budget = ShareOrCount;

/** Newest entries that are always kept: a share of the budget, or a count. */
export type Recent = ShareOrCount;

/** Fewest entries that a share of a prompt comes to, so that a token sees another one. */
const FEWEST_TOKENS = 2;

/** `n · share` rounded down, where 0.29 · 100 is 29 although its float64 product is a little less. */
function portion(n: number, share: number): number {
  return Math.floor(n * share + 1e-9);
}

/**
 * Entries a head keeps for a prompt: rounded down, at least 2.
 * @throws ParetoError KV_BUDGET for a share outside (0, 1] or a count that is not a whole number of at least 2
 */
export function budgetTokens(budget: Budget, promptTokens: number): number {
  checkBudget(budget);
  if ("count" in budget) return budget.count;
  return Math.max(portion(promptTokens, budget.share), FEWEST_TOKENS);
}

/** @throws ParetoError KV_BUDGET */
export function checkBudget(budget: Budget): void {
  if ("count" in budget) {
    if (Number.isInteger(budget.count) && budget.count >= FEWEST_TOKENS) return;
    throw budgetError(
      `a budget in tokens is a whole number of at least ${FEWEST_TOKENS}, got ${budget.count}`,
    );
  }
  if (budget.share > 0 && budget.share <= 1) return;
  throw budgetError(`a budget's share of the prompt is above 0 and at most 1, got ${budget.share}`);
}

/** @throws ParetoError KV_RECENT for a share outside [0, 1] or a count that is not a whole number of at least 0 */
export function checkRecent(recent: Recent): void {
  if ("count" in recent) {
    if (Number.isInteger(recent.count) && recent.count >= 0) return;
    throw recentError(`recent tokens are a whole number of at least 0, got ${recent.count}`);
  }
  if (recent.share >= 0 && recent.share <= 1) return;
  throw recentError(`the recent share of the budget is at least 0 and at most 1, got ${recent.share}`);
}

/** Newest entries asked for of a budget of `tokens`, before any least or most: rounded down. */
export function recentShare(recent: Recent, tokens: number): number {
  return "count" in recent ? recent.count : portion(tokens, recent.share);
}

/** Newest entries that are always kept: at least the newest one, at most the whole budget. */
export function recentTokens(recent: Recent, tokens: number): number {
  return Math.min(Math.max(recentShare(recent, tokens), 1), tokens);
}

function budgetError(message: string): ParetoError {
  return new ParetoError({
    code: "KV_BUDGET",
    where: "KV budget",
    message,
    fix: "Give a share of the prompt such as 50%, or a number of tokens such as 1024.",
  });
}

function recentError(message: string): ParetoError {
  return new ParetoError({
    code: "KV_RECENT",
    where: "recent tokens",
    message,
    fix: "Give a share of the budget such as 30%, or a number of tokens such as 64.",
  });
}
