/** @file The policy that keeps everything: the reference that the others are measured against. */
import { z } from "zod";
import { definePolicy } from "../../../run/policies/policy.ts";
import type { KvPolicy, KvPolicyContext } from "../policy.ts";
import { ruled } from "../evictionRule.ts";

/** Keeps every token. */
export function full(): KvPolicy {
  return {
    name: "full",
    scoring: { from: "nothing" },
    positions: "original",
    scope: "layer",
    evictEvery: 1,
    budget: () => Infinity,
    ...ruled((recent) => ({ sinks: 0, recent, keep: "age", evict: "age", evictFrom: 0, hasGap: false })),
  };
}

/** `full` by name. */
export const fullDefinition = definePolicy({
  kind: "kv.evict",
  name: "full",
  summary: "Keeps every token.",
  source: "the reference that the others are measured against",
  options: z.object({}),
  create: (_: object, _context: KvPolicyContext) => full(),
});
