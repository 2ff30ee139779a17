/**
 * @file Choices that rules are made of: which entries of a head stay and which one goes, by position and score.
 *
 * A higher score stays; of equal scores the older token stays.
 */
import type { HeadView } from "./policy.ts";

/** Live slots in order of position. */
export function slotsByPosition(head: HeadView): number[] {
  const slots = Array.from({ length: head.length }, (_, slot) => slot);
  return slots.sort((a, b) => head.positions[a]! - head.positions[b]!);
}

/** The `count` best slots of those given, in order of position. @param slots in order of position */
export function bestSlots(head: HeadView, slots: readonly number[], count: number): number[] {
  const { scores } = head;
  if (count <= 0) return [];
  if (count >= slots.length) return [...slots];
  // The lowest score that stays: numbers alone sort much faster than slots by a rule.
  const sorted = Float32Array.from(slots, (slot) => scores[slot]!).sort();
  const lowest = sorted[sorted.length - count]!;
  let above = 0;
  for (let at = sorted.length - 1; sorted[at]! > lowest; at--) above++;
  let equal = count - above;
  return slots.filter((slot) => scores[slot]! > lowest || (scores[slot] === lowest && equal-- > 0));
}

/** The worst live slot whose position is in [from, to), or −1 where there is none. */
export function worstSlot(head: HeadView, from: number, to: number): number {
  const { positions, scores } = head;
  let worst = -1;
  for (let slot = 0; slot < head.length; slot++) {
    const position = positions[slot]!;
    if (position < from || position >= to) continue;
    if (worst >= 0) {
      const by = scores[slot]! - scores[worst]!;
      if (by > 0 || (by === 0 && position < positions[worst]!)) continue;
    }
    worst = slot;
  }
  return worst;
}

/** The oldest live slot whose position is in [from, to), or −1 where there is none. */
export function oldestSlot(head: HeadView, from: number, to: number): number {
  let oldest = -1;
  for (let slot = 0; slot < head.length; slot++) {
    const position = head.positions[slot]!;
    if (position >= from && position < to && (oldest < 0 || position < head.positions[oldest]!))
      oldest = slot;
  }
  return oldest;
}
