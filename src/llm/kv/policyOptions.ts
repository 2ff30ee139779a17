/** @file Options that several policies of the KV cache have, for their definitions. */
import { choice, shareOrCount, wholeNumber } from "../../base/optionSchemas.ts";

/** `budget` of a policy that evicts. */
export const budgetOption = shareOrCount()
  .default({ share: 0.5 })
  .describe("Tokens that each KV head keeps: a share of the prompt, or a count of at least 2.");

/** `recent` of a policy. @param share of the budget, where it is left out */
export function recentOption(share: number) {
  return shareOrCount()
    .default({ share })
    .describe("The newest tokens, which always stay and count in the budget: a share of it, or a count.");
}

/** `sinks` of a policy. @param count where it is left out */
export function sinksOption(count: number) {
  return wholeNumber({ min: 0 })
    .default(count)
    .describe("The first tokens, which always stay and count in the budget.");
}

/** `positions` of a policy. */
export function positionsOption(positions: "original" | "new") {
  return choice(["original", "new"])
    .default(positions)
    .describe("Whether kept tokens have their original positions, or new ones by their rank in the cache.");
}

/** `groupReduce` of a policy that scores by attention. */
export const groupReduceOption = choice(["mean", "sum", "max"])
  .default("mean")
  .describe("How the scores of the query heads that share a KV head become one.");
