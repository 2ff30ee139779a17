/** @file Lookups of keys give the ids that were added, and 0 for all others, as a Map would. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Rng } from "../../../../../src/base/rng.ts";
import { addKeys, createTable, lookUp, tableBytes } from "../../../../../src/recsys/data/encode/keyTable.ts";

/** Words of keys, of which many agree in one half. */
function randomKeys(rng: Rng, count: number, range: number): bigint[] {
  const keys = new Set<bigint>();
  while (keys.size < count) {
    const [low, high] = [rng.uniform(), rng.uniform()].map((u) => BigInt(Math.floor(u * range)));
    // Both ends of the range of a half, so that searches go around the end of the table.
    const far = rng.uniform() < 0.5 ? 2n ** 32n - BigInt(range) : 0n;
    keys.add(low! | ((far + high!) << 32n));
  }
  return [...keys];
}

const wordsOf = (keys: readonly bigint[]) => new Int32Array(BigUint64Array.from(keys).buffer);

test("a table gives the ids that a Map gives", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(300), fc.constantFrom(20, 1000, 2 ** 31), (seed, count, range) => {
      const rng = new Rng(seed, 1);
      const all = randomKeys(rng, Math.min(count + 50, range), range);
      const known = all.slice(0, Math.min(count, all.length));
      const table = createTable(known.length);
      expect(table.byteLength).toBe(tableBytes(known.length));
      const half = known.length >> 1;
      const ids = Int32Array.from(known, (_, i) => i + 1);
      addKeys(table, wordsOf(known.slice(0, half)), ids.subarray(0, half));
      addKeys(table, wordsOf(known.slice(half)), ids.subarray(half));
      const map = new Map(known.map((key, i) => [key, i + 1]));
      const found = new Int32Array(all.length + 2).fill(-1);
      lookUp(table, wordsOf(all), all.length, found, 1);
      expect([...found]).toEqual([-1, ...all.map((key) => map.get(key) ?? 0), -1]);
    }),
    { numRuns: 200 },
  );
});

test("a key that comes twice is refused", () => {
  const keys = wordsOf([7n, 9n, 7n]);
  expect(() => addKeys(createTable(3), keys, Int32Array.of(1, 2, 3))).toThrow("differ");
});
