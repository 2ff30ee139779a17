/**
 * @file A policy's decisions as data, so that every device makes them as the host does.
 *
 * Entries of a head stay or go by score or by age, but for the first tokens of the sequence and the newest ones, which are
 * out of question. A higher score stays; of equal scores the older token stays.
 */
import type { EvictionRule, HeadView, KvPolicy } from "./policy.ts";
import { bestSlots, oldestSlot, slotsByPosition, worstSlot } from "./select.ts";

/** A policy's `keep` and `evict` that follow its rule. */
export function ruled(
  rule: (budget: number, promptTokens: number) => EvictionRule,
): Pick<KvPolicy, "keep" | "evict"> & { rule: (budget: number, promptTokens: number) => EvictionRule } {
  return {
    rule,
    keep: (head) => keepByRule(rule(head.budget, head.promptTokens), head),
    evict: (head) => evictByRule(rule(head.budget, head.promptTokens), head),
  };
}

/** The slots that stay, in order of position. */
function keepByRule({ sinks, recent, keep, hasGap }: EvictionRule, head: HeadView): number[] {
  const { positions, tokensSeen, budget } = head;
  const recentFrom = tokensSeen - recent;
  const kept: number[] = [];
  const rest: number[] = [];
  for (const slot of slotsByPosition(head)) {
    const position = positions[slot]!;
    if (hasGap && position === recentFrom - 1) continue;
    (position < sinks || position >= recentFrom ? kept : rest).push(slot);
  }
  const count = Math.max(0, budget - kept.length);
  const chosen =
    keep === "score" ? bestSlots(head, rest, count) : rest.slice(rest.length - Math.min(count, rest.length));
  return [...kept, ...chosen].sort((a, b) => positions[a]! - positions[b]!);
}

/** The slot that goes: the worst of those in question, or of all where none is. */
function evictByRule({ recent, evict, evictFrom, hasGap }: EvictionRule, head: HeadView): number {
  const choose = evict === "score" ? worstSlot : oldestSlot;
  const to = head.tokensSeen - recent;
  const slot = choose(head, hasGap ? to - 1 : evictFrom, to);
  return slot >= 0 ? slot : choose(head, 0, head.tokensSeen);
}
