/**
 * @file A policy by its name, for a command line or a configuration file.
 */
import { ParetoError } from "../../base/errors.ts";
import { full } from "./policies/full.ts";
import { h2o } from "./policies/h2o.ts";
import { keyformer, type KeyformerOptions } from "./policies/keyformer.ts";
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

/** What a policy is tuned by: any of Keyformer's options; other policies have some of them. */
type Tuning = Omit<KeyformerOptions, "horizon">;

/** What {@link choosePolicy} takes: the budget is half of the prompt when left out, the rest the policy's own default. */
export interface PolicyChoice extends Partial<Tuning> {
  name: string;
  /** Tokens to generate: the horizon of Keyformer's temperature. */
  maxNewTokens: number;
}

/** What a policy by name is made from, and the options that it has. */
interface PolicyEntry {
  takes: readonly (keyof Tuning)[];
  make(options: KeyformerOptions): KvPolicy;
}

/** How messages call the options. */
const TUNING: Record<keyof Tuning, string> = {
  budget: "budget",
  recent: "recent share",
  noise: "noise",
  noiseReuse: "reuse of noise",
  tauInit: "first temperature",
  tauEnd: "last temperature",
  tauDelta: "change of temperature",
  scope: "scope",
  positions: "choice of positions",
  damping: "damping",
  groupReduce: "choice of how grouped heads are reduced",
  sinks: "sinks",
  evictEvery: "interval of evictions",
  mode: "mode",
};
const NAMES = Object.keys(TUNING) as (keyof Tuning)[];

const POLICIES: Record<PolicyName, PolicyEntry> = {
  full: { takes: [], make: full },
  window: { takes: ["budget"], make: window },
  streaming: { takes: ["budget", "sinks", "positions"], make: streaming },
  h2o: { takes: ["budget", "recent", "groupReduce"], make: h2o },
  keyformer: { takes: NAMES, make: keyformer },
  tova: { takes: ["budget"], make: tova },
  snapkv: { takes: ["budget", "recent"], make: snapkv },
  knorm: { takes: ["budget", "recent"], make: knorm },
  random: { takes: ["budget", "recent"], make: random },
};

/**
 * The policy of a name with the options that a user set.
 * @throws ParetoError KV_POLICY_UNKNOWN for a name that does not ship, KV_OPTION for an option that the policy has
 *   not, KV_BUDGET, KV_RECENT and what else the policy refuses
 */
export function choosePolicy({ name, maxNewTokens, ...tuning }: PolicyChoice): KvPolicy {
  if (!isPolicyName(name)) {
    throw new ParetoError({
      code: "KV_POLICY_UNKNOWN",
      where: "KV policy",
      message: `no KV policy has this name, got "${name}"`,
      fix: `use one of ${POLICY_NAMES.join(", ")}`,
    });
  }
  const { takes, make } = POLICIES[name];
  const unused = NAMES.find((option) => tuning[option] !== undefined && !takes.includes(option));
  if (unused !== undefined) throw unusedOption(name, TUNING[unused]);
  // A single token has no later step, but the schedule wants one.
  return make({ budget: { ratioOfPrompt: 0.5 }, ...tuning, horizon: Math.max(1, maxNewTokens) });
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
