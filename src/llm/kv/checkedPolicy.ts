/**
 * @file A policy's answers, checked, since users write policies too.
 */
import { ParetoError } from "../../base/errors.ts";
import type { HeadView, KvPolicy } from "./policy.ts";

/**
 * The slots that a policy keeps of a prompt.
 * @throws ParetoError KV_POLICY when they are not distinct live slots within the budget, in order of position
 */
export function checkedKeep(policy: KvPolicy, head: HeadView): number[] {
  const slots = policy.keep(head);
  if (slots.length > head.budget) {
    throw policyError(
      policy,
      head,
      `must keep at most its budget of ${head.budget}, got ${slots.length} slots`,
    );
  }
  let previous = -1;
  for (const slot of slots) {
    const position = isLive(slot, head) ? head.positions[slot]! : -1;
    if (position <= previous) {
      throw policyError(policy, head, `must keep live slots by position, got ${String(slots)}`);
    }
    previous = position;
  }
  return slots;
}

/**
 * The slot that a policy drops in decode.
 * @throws ParetoError KV_POLICY when it is no live slot
 */
export function checkedEvict(policy: KvPolicy, head: HeadView): number {
  const slot = policy.evict(head);
  if (isLive(slot, head)) return slot;
  throw policyError(policy, head, `must evict one of its ${head.length} slots, got ${slot}`);
}

function isLive(slot: number, head: HeadView): boolean {
  return Number.isInteger(slot) && slot >= 0 && slot < head.length;
}

function policyError(policy: KvPolicy, head: HeadView, what: string): ParetoError {
  return new ParetoError({
    code: "KV_POLICY",
    where: `KV policy ${policy.name}, layer ${head.layer}, KV head ${head.kvHead}`,
    message: `the policy ${what}`,
    fix: "Return distinct slots below head.length, ascending by head.positions, at most head.budget of them.",
  });
}
