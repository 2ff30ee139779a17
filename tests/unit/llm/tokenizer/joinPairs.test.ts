import * as fc from "fast-check";
import { expect, test } from "vitest";
import { joinPairs, type Joins } from "../../../../src/llm/tokenizer/joinPairs.ts";

/** Token 10·a + b of tokens a and b below 10, with few orders, so that many are equal. */
function joinsOf(orders: readonly number[]): Joins {
  return {
    find: (left, right) =>
      left < 10 && right < 10 && orders[10 * left + right]! > 0 ? 10 * left + right : -1,
    order: (join) => orders[join]!,
    token: (join) => 10 + (join % 7),
  };
}

/** One join after the other, each found by looking at all pairs. */
function slowly(tokens: readonly number[], joins: Joins): number[] {
  const left = [...tokens];
  for (;;) {
    let best = -1;
    for (let i = 0; i + 1 < left.length; i++) {
      const join = joins.find(left[i]!, left[i + 1]!);
      if (join < 0) continue;
      if (best < 0 || joins.order(join) < joins.order(joins.find(left[best]!, left[best + 1]!))) best = i;
    }
    if (best < 0) return left;
    left.splice(best, 2, joins.token(joins.find(left[best]!, left[best + 1]!)));
  }
}

test("joins the first pair in the order, of equal ones the leftmost", () => {
  const orders = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 100, maxLength: 100 });
  const tokens = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 });
  fc.assert(
    fc.property(orders, tokens, (order, all) => {
      const joins = joinsOf(order);
      expect(joinPairs(all, joins)).toEqual(slowly(all, joins));
    }),
    { seed: 11, numRuns: 500 },
  );
});

test("joins what joins have made", () => {
  // Powers of two: two equal tokens make the next one.
  const joins: Joins = {
    find: (left, right) => (left === right && left < 20 ? left : -1),
    order: (join) => join,
    token: (join) => join + 1,
  };
  expect(
    joinPairs(
      Array.from({ length: 2 ** 17 }, () => 0),
      joins,
    ),
  ).toEqual([17]);
  expect(
    joinPairs(
      Array.from({ length: 7 }, () => 0),
      joins,
    ),
  ).toEqual([2, 1, 0]);
});
