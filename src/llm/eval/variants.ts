/** @file The ways of caching that an evaluation compares: policies, each at several budgets, and the full cache. */
import { ParetoError } from "../../base/errors.ts";
import { readPolicyText, writePolicyText } from "../../run/policies/policyText.ts";
import type { ChoiceRequest } from "../../run/policies/choose.ts";
import { kvPolicies } from "../kv/kvPolicies.ts";
import { full } from "../kv/policies/full.ts";
import type { KvPolicy } from "../kv/policy.ts";

/** One way of caching. */
export interface Variant {
  /** As tables show it, e.g. `keyformer:noise=none`. */
  policy: string;
  /** Share of the prompt that stays; null for everything. */
  budget: number | null;
  /** The policy of every layer for a sequence of which so many tokens are decoded. */
  make: (decodedTokens: number) => KvPolicy;
}

/** The variant that all others are measured against: the full cache. */
export const fullVariant: Variant = { policy: "full", budget: null, make: full };

/**
 * Policies at every budget, besides `full`.
 * @param policies without a budget of their own
 * @param budgets shares of the prompt, above 0 and at most 1
 * @param where the option or argument at fault in errors
 * @throws ParetoError POLICY_TEXT, POLICY_UNKNOWN, POLICY_OPTION, KV_BUDGET and what else a policy refuses, before any
 *   model is loaded
 */
export function variantsOf(
  policies: readonly ChoiceRequest[],
  budgets: readonly number[],
  where = "policies",
): Variant[] {
  return policies.flatMap((request) => {
    const { name, options } =
      typeof request === "string" ? readPolicyText(request, where) : separate(request);
    if ("budget" in options) throw ownBudget(name, where);
    const policy = writePolicyText(name, options);
    if (name === fullVariant.policy) {
      kvPolicies.parse({ ...options, name }, where);
      return [];
    }
    return budgets.map((budget): Variant => {
      const choice = kvPolicies.parse({ ...options, name, budget: { share: budget } }, where);
      choice.create({ maxNewTokens: 1 });
      return { policy, budget, make: (maxNewTokens) => choice.create({ maxNewTokens }) };
    });
  });
}

function separate({ name, ...options }: Exclude<ChoiceRequest, string>) {
  return { name, options };
}

function ownBudget(name: string, where: string): ParetoError {
  return new ParetoError({
    code: "POLICY_OPTION",
    where,
    message: `an evaluation measures every policy at the same budgets, got a budget for ${name}`,
    fix: "Leave the policy's budget out, and give the evaluation's budgets.",
  });
}

/** Whether what a policy keeps depends on drawn numbers, so that one seed says little. */
export function isNoisy({ scoring }: KvPolicy): boolean {
  if (scoring.from === "random") return true;
  return scoring.from === "attention" && (scoring.noise === "gumbel" || scoring.noise === "gaussian");
}
