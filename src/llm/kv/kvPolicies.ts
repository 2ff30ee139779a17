/** @file The policies of the KV cache that ship, by name: what `--kv` and a request of the engine choose from. */
import type { ChoiceRequest } from "../../run/policies/choose.ts";
import { PolicyRegistry } from "../../run/policies/registry.ts";
import { fullDefinition } from "./policies/full.ts";
import { h2oDefinition } from "./policies/h2o.ts";
import { keyformerDefinition } from "./policies/keyformer.ts";
import { knormDefinition, randomDefinition } from "./policies/ranked.ts";
import { snapkvDefinition } from "./policies/snapkv.ts";
import { streamingDefinition } from "./policies/streaming.ts";
import { tovaDefinition } from "./policies/tova.ts";
import { windowDefinition } from "./policies/window.ts";
import type { KvPolicy, KvPolicyContext } from "./policy.ts";

/** The policies that ship, in the order that help shows them. */
export const kvPolicies = new PolicyRegistry<KvPolicy, KvPolicyContext>("kv.evict", [
  fullDefinition,
  windowDefinition,
  streamingDefinition,
  h2oDefinition,
  keyformerDefinition,
  tovaDefinition,
  snapkvDefinition,
  knormDefinition,
  randomDefinition,
]);

/**
 * A policy as a user writes it, for every layer of a sequence.
 * @param request `keyformer:budget=50%,noise=none`, or an object with the name and options
 * @throws ParetoError POLICY_TEXT, POLICY_UNKNOWN, POLICY_OPTION, KV_BUDGET, KV_RECENT and what else the policy refuses
 */
export function kvPolicy(request: ChoiceRequest, context: KvPolicyContext): KvPolicy {
  return kvPolicies.parse(request, "KV policy").create(context);
}
