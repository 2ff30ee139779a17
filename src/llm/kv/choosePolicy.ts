/**
 * @file A policy by its name, for a command line or a configuration file.
 */
import { ParetoError } from "../../engine/errors.ts";
import type { Budget, Recent } from "./budget.ts";
import { full } from "./policies/full.ts";
import { h2o } from "./policies/h2o.ts";
import { keyformer } from "./policies/keyformer.ts";
import { knorm, random } from "./policies/ranked.ts";
import { snapkv } from "./policies/snapkv.ts";
import { streaming } from "./policies/streaming.ts";
import { tova } from "./policies/tova.ts";
import { window } from "./policies/window.ts";
import type { KvPolicy } from "./policy.ts";

/** The policies that ship, in the order that help shows them. */
export const POLICY_NAMES = [
  "full",
  "window",
  "streaming",
  "h2o",
  "keyformer",
  "tova",
  "snapkv",
  "knorm",
  "random",
] as const;

/** A policy that ships. */
export type PolicyName = (typeof POLICY_NAMES)[number];

/** What {@link choosePolicy} takes. */
export interface PolicyChoice {
  name: string;
  /** Half of the prompt when left out, for every policy but `full`. */
  budget?: Budget;
  /** The policy's own default when left out. */
  recent?: Recent;
  /** Tokens to generate: the horizon of Keyformer's temperature. */
  maxNewTokens: number;
}

/** What a policy by name is made from, and whether it has a share of newest tokens to set. */
interface PolicyEntry {
  takesRecent: boolean;
  make(options: { budget: Budget; recent?: Recent; horizon: number }): KvPolicy;
}

const POLICIES: Record<PolicyName, PolicyEntry> = {
  full: { takesRecent: false, make: full },
  window: { takesRecent: false, make: window },
  streaming: { takesRecent: false, make: streaming },
  h2o: { takesRecent: true, make: h2o },
  keyformer: { takesRecent: true, make: keyformer },
  tova: { takesRecent: false, make: tova },
  snapkv: { takesRecent: true, make: snapkv },
  knorm: { takesRecent: true, make: knorm },
  random: { takesRecent: true, make: random },
};

/**
 * The policy of a name with the options that a user set.
 * @throws ParetoError KV_POLICY_UNKNOWN for a name that does not ship, KV_OPTION for an option that the policy has
 *   not, KV_BUDGET, KV_RECENT
 */
export function choosePolicy(choice: PolicyChoice): KvPolicy {
  const { name, budget, recent } = choice;
  if (!isPolicyName(name)) {
    throw new ParetoError({
      code: "KV_POLICY_UNKNOWN",
      where: "KV policy",
      message: `no KV policy has this name, got "${name}"`,
      fix: `use one of ${POLICY_NAMES.join(", ")}`,
    });
  }
  if (name === "full" && budget !== undefined) throw unusedOption(name, "budget");
  if (!POLICIES[name].takesRecent && recent !== undefined) throw unusedOption(name, "recent share");
  return POLICIES[name].make({
    budget: budget ?? { ratioOfPrompt: 0.5 },
    ...(recent === undefined ? {} : { recent }),
    // A single token has no later step, but the schedule wants one.
    horizon: Math.max(1, choice.maxNewTokens),
  });
}

function isPolicyName(name: string): name is PolicyName {
  return (POLICY_NAMES as readonly string[]).includes(name);
}

function unusedOption(name: string, option: string): ParetoError {
  return new ParetoError({
    code: "KV_OPTION",
    where: `KV policy ${name}`,
    message: `this policy has no ${option}, got one for ${name}`,
    fix: `leave the ${option} out, or choose a policy that has one, such as keyformer`,
  });
}
