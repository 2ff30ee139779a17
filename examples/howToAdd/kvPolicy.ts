/** @file A KV policy that thins old tokens evenly. In `src/llm/kv/policies/`, with a line in `kvPolicies.ts`. */
import { z } from "zod";
import { budgetTokens, checkBudget } from "../../src/llm/kv/budget.ts";
import type { HeadView, KvPolicy, KvPolicyContext } from "../../src/llm/kv/policy.ts";
import { budgetOption } from "../../src/llm/kv/policyOptions.ts";
import { definePolicy } from "../../src/run/policies/policy.ts";

/** Slots by the position of their tokens, the oldest first. */
const byPosition = ({ length, positions }: HeadView): number[] =>
  Array.from({ length }, (_, slot) => slot).sort((a, b) => positions[a]! - positions[b]!);

export const evenly = definePolicy({
  kind: "kv.evict",
  name: "evenly",
  summary: "Keeps tokens at even distances, and lets the one go that lies nearest to its neighbour.",
  source: "ours",
  options: z.object({ budget: budgetOption }),
  create({ budget }, _: KvPolicyContext): KvPolicy {
    checkBudget(budget);
    return {
      name: "evenly",
      // No scores: nothing has to be measured.
      scoring: { from: "nothing" },
      positions: "original",
      scope: "layer",
      evictEvery: 1,
      budget: (promptTokens) => budgetTokens(budget, promptTokens),
      keep(head) {
        const slots = byPosition(head);
        const step = (slots.length - 1) / Math.max(1, head.budget - 1);
        return Array.from({ length: head.budget }, (_, i) => slots[Math.round(i * step)]!);
      },
      evict(head) {
        const slots = byPosition(head);
        const gap = (i: number) => head.positions[slots[i]!]! - head.positions[slots[i - 1]!]!;
        let nearest = 1;
        // The newest token stays.
        for (let i = 2; i < slots.length - 1; i++) if (gap(i) < gap(nearest)) nearest = i;
        return slots[nearest]!;
      },
    };
  },
});
