/**
 * @file The choices of the authors' published masks (d-matrix-ai/keyformer-llm, f327831), for comparison.
 *
 * Their mask has one slot more than the scores: "the last w" are counted with the coming token, the key tokens without
 * it, so the token at distance w from the end is in neither set. It goes at once, and the key tokens stay those
 * chosen after the prompt. Between steps a head so holds one entry less than the budget.
 */
import type { HeadView } from "../policy.ts";
import { bestSlots, slotsByPosition, worstSlot } from "../select.ts";

/** After the prompt: the best of all but the last `recent` tokens, and the last `recent − 1`. */
export function gapKeep(head: HeadView, recent: number): number[] {
  const slots = slotsByPosition(head);
  const older = slots.filter((slot) => head.positions[slot]! < head.tokensSeen - recent);
  const newest = slots.filter((slot) => head.positions[slot]! > head.tokensSeen - recent);
  return [...bestSlots(head, older, head.budget + 1 - recent), ...newest];
}

/** In decode: the token at distance `recent` from the end. */
export function gapVictim(head: HeadView, recent: number): number {
  const gap = head.tokensSeen - recent;
  const slot = worstSlot(head, gap, gap + 1);
  return slot >= 0 ? slot : worstSlot(head, 0, head.tokensSeen);
}
