/** @file The policy that keeps everything: the reference that the others are measured against. */
import type { KvPolicy } from "../policy.ts";
import { slotsByPosition } from "../select.ts";

/** Keeps every token. */
export function full(): KvPolicy {
  return {
    name: "full",
    scoring: { from: "nothing" },
    positions: "original",
    scope: "layer",
    evictEvery: 1,
    budget: () => Infinity,
    keep: slotsByPosition,
    victim: () => -1,
  };
}
