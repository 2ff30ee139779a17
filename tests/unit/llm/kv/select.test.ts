import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { HeadView } from "../../../../src/llm/kv/policy.ts";
import { bestSlots, slotsByPosition } from "../../../../src/llm/kv/select.ts";

/** A head whose slots are in no order. */
const heads = fc.uniqueArray(fc.nat(1000), { maxLength: 60 }).chain((positions) =>
  fc
    .array(fc.constantFrom(0, 0.25, 0.5, 0.75, 1), {
      minLength: positions.length,
      maxLength: positions.length,
    })
    .map((scores): HeadView => {
      return {
        layer: 0,
        kvHead: 0,
        length: positions.length,
        positions: Int32Array.from(positions),
        scores: Float32Array.from(scores),
        promptTokens: 1001,
        tokensSeen: 1001,
        step: 0,
        budget: 10,
      };
    }),
);

test("the best slots are the first ones by score, then by age, in order of position", () => {
  fc.assert(
    fc.property(heads, fc.nat(70), (head, count) => {
      const { positions, scores } = head;
      const slots = slotsByPosition(head);
      const wanted = slots
        .toSorted((a, b) => scores[b]! - scores[a]! || positions[a]! - positions[b]!)
        .slice(0, count)
        .sort((a, b) => positions[a]! - positions[b]!);
      expect(bestSlots(head, slots, count)).toEqual(wanted);
    }),
    { numRuns: 500 },
  );
});
