/** @file How many entries a KV head has room for, and how many are live while tokens are decoded. */

/** A sequence and how it is cached. */
export interface SequenceLength {
  /** Entries that stay after the prompt and between evictions; `Infinity` for all. */
  budget: number;
  /** Tokens decoded between evictions. */
  evictEvery: number;
  promptTokens: number;
  /** Tokens that are decoded. */
  newTokens: number;
}

/** Entries that a KV head's slab has room for: the budget and what comes before the next eviction, or the whole sequence. */
export function budgetCapacity({ budget, evictEvery, promptTokens, newTokens }: SequenceLength): number {
  return Math.min(budget + evictEvery, promptTokens + Math.max(1, newTokens));
}

/**
 * Entries that a decode step attends to, its own included: the mean over the new tokens.
 * @param window tokens that a query sees at most
 */
export function meanAttended(text: SequenceLength, window: number): number {
  const { budget, evictEvery, promptTokens } = text;
  const steps = Math.max(1, text.newTokens);
  // Until the budget and one round of evictions are full, the cache grows by a token a step.
  const limit = Math.min(budget + evictEvery, window);
  const start = Math.min(promptTokens, budget, window - 1);
  const growing = Math.min(steps, Math.max(0, limit - start));
  let sum = growing * start + (growing * (growing + 1)) / 2;
  const rest = steps - growing;
  if (rest > 0) {
    if (limit === window) sum += rest * window;
    else {
      // Rounds of 1 … evictEvery entries above the budget.
      const rounds = Math.floor(rest / evictEvery);
      const left = rest % evictEvery;
      sum += rest * budget + (rounds * evictEvery * (evictEvery + 1)) / 2 + (left * (left + 1)) / 2;
    }
  }
  return sum / steps;
}
