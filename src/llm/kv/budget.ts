/**
 * @file How many entries a cache keeps, and how many of them are the newest, from shares or counts.
 */
import { ParetoError } from "../../base/errors.ts";

/** Entries that a KV head keeps: a share of the prompt's tokens (the paper's form), or a count. */
export type Budget = { ratioOfPrompt: number } | { tokens: number };

/** Newest entries that are always kept: a share of the budget, or a count. */
export type Recent = { ratioOfBudget: number } | { tokens: number };

/** Fewest entries that a share of a prompt comes to, so that a token sees another one. */
const FEWEST_TOKENS = 2;

/** `n · ratio` rounded down, where 0.29 · 100 is 29 although its float64 product is a little less. */
function portion(n: number, ratio: number): number {
  return Math.floor(n * ratio + 1e-9);
}

/**
 * Entries a head keeps for a prompt: rounded down, at least 2.
 * @throws ParetoError KV_BUDGET for a share outside (0, 1] or a count that is not a whole number of at least 2
 */
export function budgetTokens(budget: Budget, promptTokens: number): number {
  checkBudget(budget);
  if ("tokens" in budget) return budget.tokens;
  return Math.max(portion(promptTokens, budget.ratioOfPrompt), FEWEST_TOKENS);
}

/** @throws ParetoError KV_BUDGET */
export function checkBudget(budget: Budget): void {
  if ("tokens" in budget) {
    if (Number.isInteger(budget.tokens) && budget.tokens >= FEWEST_TOKENS) return;
    throw budgetError(
      `a budget in tokens is a whole number of at least ${FEWEST_TOKENS}, got ${budget.tokens}`,
    );
  }
  if (budget.ratioOfPrompt > 0 && budget.ratioOfPrompt <= 1) return;
  throw budgetError(`a budget's share of the prompt is above 0 and at most 1, got ${budget.ratioOfPrompt}`);
}

/** @throws ParetoError KV_RECENT for a share outside [0, 1] or a count that is not a whole number of at least 0 */
export function checkRecent(recent: Recent): void {
  if ("tokens" in recent) {
    if (Number.isInteger(recent.tokens) && recent.tokens >= 0) return;
    throw recentError(`recent tokens are a whole number of at least 0, got ${recent.tokens}`);
  }
  if (recent.ratioOfBudget >= 0 && recent.ratioOfBudget <= 1) return;
  throw recentError(
    `the recent share of the budget is at least 0 and at most 1, got ${recent.ratioOfBudget}`,
  );
}

/** Newest entries asked for of a budget of `tokens`, before any least or most: rounded down. */
export function recentShare(recent: Recent, tokens: number): number {
  return "tokens" in recent ? recent.tokens : portion(tokens, recent.ratioOfBudget);
}

/** Newest entries that are always kept: at least the newest one, at most the whole budget. */
export function recentTokens(recent: Recent, tokens: number): number {
  return Math.min(Math.max(recentShare(recent, tokens), 1), tokens);
}

/**
 * Reads `50%` (of the prompt) or `1024` (tokens).
 * @throws ParetoError KV_BUDGET for any other text or a value out of range
 */
export function parseBudget(text: string): Budget {
  const value = parseShare(text);
  if (value === null) throw budgetError(`a budget is a percentage or a whole number, got "${text}"`);
  const budget: Budget = value.percent ? { ratioOfPrompt: value.number / 100 } : { tokens: value.number };
  checkBudget(budget);
  return budget;
}

/**
 * Reads `30%` (of the budget) or `64` (tokens).
 * @throws ParetoError KV_RECENT for any other text or a value out of range
 */
export function parseRecent(text: string): Recent {
  const value = parseShare(text);
  if (value === null) throw recentError(`recent is a percentage or a whole number, got "${text}"`);
  const recent: Recent = value.percent ? { ratioOfBudget: value.number / 100 } : { tokens: value.number };
  checkRecent(recent);
  return recent;
}

function parseShare(text: string): { number: number; percent: boolean } | null {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.trim());
  return match === null ? null : { number: Number(match[1]), percent: match[2] === "%" };
}

function budgetError(message: string): ParetoError {
  return new ParetoError({
    code: "KV_BUDGET",
    where: "KV budget",
    message,
    fix: "give a share of the prompt such as 50%, or a number of tokens such as 1024",
  });
}

function recentError(message: string): ParetoError {
  return new ParetoError({
    code: "KV_RECENT",
    where: "recent tokens",
    message,
    fix: "give a share of the budget such as 30%, or a number of tokens such as 64",
  });
}
