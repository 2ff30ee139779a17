/** @file How a request's sequence is cached, as the runner takes it. */
import { kvDecisionEvent } from "../kv/decisionEvent.ts";
import { kvPolicy } from "../kv/kvPolicies.ts";
import { full } from "../kv/policies/full.ts";
import type { LayerPolicies } from "../kv/policy.ts";
import type { SequenceOptions } from "../runner/runner.ts";
import type { CacheRequest } from "./request.ts";

/**
 * How the runner caches a sequence.
 * @param id subject of its decisions
 * @param maxNewTokens horizon of the policy's temperature
 * @param cachedNewTokens new tokens that the cache makes room for
 * @throws ParetoError what the policy's text and the policy refuse
 */
export function sequenceOptions(
  { kv, noise = {}, onDecision }: CacheRequest,
  id: string,
  maxNewTokens: number,
  cachedNewTokens: number,
): SequenceOptions {
  const policies = policiesOf(kv, maxNewTokens);
  return {
    policies,
    maxNewTokens: cachedNewTokens,
    seed: noise.seed ?? 0,
    stream: noise.stream ?? 0,
    ...(onDecision && {
      onDecision: (decision) => onDecision(kvDecisionEvent(decision, policies, id)),
    }),
  };
}

function policiesOf(kv: CacheRequest["kv"], maxNewTokens: number): LayerPolicies {
  if (typeof kv === "function") return kv;
  const policy = kv === undefined ? full() : kvPolicy(kv, { maxNewTokens });
  return () => policy;
}
