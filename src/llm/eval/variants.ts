/** @file The ways of caching that an evaluation compares: policies, each at several budgets, and the full cache. */
import { choosePolicy, type PolicyName } from "../kv/choosePolicy.ts";
import type { KvPolicy } from "../kv/policy.ts";

/** One way of caching. */
export interface Variant {
  /** As tables show it. */
  policy: string;
  /** Share of the prompt that stays; null for everything. */
  budget: number | null;
  /** The policy of every layer for a text of which so many tokens are decoded. */
  make: (decodedTokens: number) => KvPolicy;
}

/** The variant that all others are measured against. */
export const fullVariant: Variant = {
  policy: "full",
  budget: null,
  make: (maxNewTokens) => choosePolicy({ name: "full", maxNewTokens }),
};

/** Makes a policy of a name, with a share of the prompt as its budget. */
type MakePolicy = (name: PolicyName, ratioOfPrompt: number, decodedTokens: number) => KvPolicy;

const plain: MakePolicy = (name, ratioOfPrompt, maxNewTokens) =>
  choosePolicy({ name, maxNewTokens, budget: { ratioOfPrompt } });

/**
 * Policies by name at every budget, besides `full`.
 * @param budgets shares of the prompt, above 0 and at most 1
 * @param make policies with their own options; plain ones when left out
 * @throws ParetoError KV_POLICY_UNKNOWN, KV_BUDGET and what else `make` refuses, before any model is loaded
 */
export function namedVariants(
  names: readonly PolicyName[],
  budgets: readonly number[],
  make = plain,
): Variant[] {
  return names
    .filter((name) => name !== "full")
    .flatMap((name) =>
      budgets.map((budget): Variant => {
        make(name, budget, 1);
        return { policy: name, budget, make: (decodedTokens) => make(name, budget, decodedTokens) };
      }),
    );
}

/** Whether what a policy keeps depends on drawn numbers, so that one seed says little. */
export function isNoisy({ scoring }: KvPolicy): boolean {
  if (scoring.from === "random") return true;
  return scoring.from === "attention" && (scoring.noise === "gumbel" || scoring.noise === "gaussian");
}
