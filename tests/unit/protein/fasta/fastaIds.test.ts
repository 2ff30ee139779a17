/** @file Ids seen before: no more and no fewer than a set of them would find. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { SeenIds } from "../../../../src/protein/fasta/fastaIds.ts";

test("agrees with a set", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 3 }), { maxLength: 300 }), (ids) => {
      const seen = new SeenIds();
      const model = new Set<string>();
      for (const id of ids) {
        expect(seen.add(id)).toBe(model.has(id) ? "seen" : "new");
        model.add(id);
      }
    }),
  );
});

test("holds two million ids that differ little, and then says that it is full", () => {
  const seen = new SeenIds();
  let id = 0;
  while (seen.add(`A0A${id}_HUMAN/1-99`) === "new") id++;
  expect(id).toBe(2 ** 21);
  expect(seen.add("A0A0_HUMAN/1-99")).toBe("full");
});
