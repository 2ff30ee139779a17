/** @file A KV cache policy's decision as an event of a run, for `decisions.jsonl`. */
import type { DecisionEvent } from "../../run/policies/decision.ts";
import type { KvDecision, LayerPolicies } from "./policy.ts";

/** A decision of a KV cache policy. */
export type KvDecisionEvent = Extract<DecisionEvent, { kind: "kv.evict" }>;

/**
 * The event of a decision.
 * @param policies of the sequence
 * @param subject the sequence's id
 */
export function kvDecisionEvent(
  { kind, layer, kvHead, step, positions }: KvDecision,
  policies: LayerPolicies,
  subject: string,
): KvDecisionEvent {
  return {
    event: "decision",
    policy: policies(Math.max(0, layer)).name,
    kind: "kv.evict",
    step,
    subject,
    saw: { layer, kvHead },
    chose: kind === "keep" ? { keep: positions } : { evict: positions },
  };
}
