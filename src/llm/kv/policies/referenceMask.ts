/**
 * @file The choices of the authors' published masks (d-matrix-ai/keyformer-llm, f327831), for comparison.
 *
 * Their mask has one slot more than the scores: "the last w" are counted with the coming token, the key tokens without
 * it, so the token at distance w from the end is in neither set. It goes at once, and the key tokens stay those
 * chosen after the prompt. Between steps a head so holds one entry less than the budget.
 */
import type { EvictionRule } from "../policy.ts";

/**
 * After the prompt the last `recent − 1` tokens stay and the best of all but the last `recent`; in decode the token at
 * distance `recent` from the end goes.
 */
export function gapRule(recent: number): EvictionRule {
  return { sinks: 0, recent: recent - 1, keep: "score", evict: "score", evictFrom: 0, hasGap: true };
}
