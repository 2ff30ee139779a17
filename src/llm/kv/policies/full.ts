/** @file The policy that keeps everything: the reference that the others are measured against. */
import type { KvPolicy } from "../policy.ts";
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
