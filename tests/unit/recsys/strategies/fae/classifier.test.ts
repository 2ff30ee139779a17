/** @file The input classifier and the partition: laws over random multi-hot data (D9, I3, I4). */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Lookups } from "../../../../../src/recsys/data/batches/clickBatch.ts";
import type { EncodedDataset } from "../../../../../src/recsys/data/encode/encodedDataset.ts";
import { classifyInputs, hotIndices } from "../../../../../src/recsys/strategies/fae/classifier.ts";
import { HotSet } from "../../../../../src/recsys/strategies/fae/hotSet.ts";
import { partitionInputs } from "../../../../../src/recsys/strategies/fae/partition.ts";
import { mapLookups } from "../../../../../src/recsys/data/batches/mapLookups.ts";
import { rowSpace, tableOf, type RowSpace } from "../../../../../src/recsys/strategies/fae/rowSpace.ts";
import type { Bags } from "../../../../support/recsys/bags.ts";
import { bagLog, bagsOf, lookupsOf, randomBags } from "../../../../support/recsys/bags.ts";

/** Tables, bags over them and a hot set, all random; a quarter of the hot sets take most rows. */
const scenario = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 }).chain((sizes) => {
  const rows = sizes.reduce((sum, size) => sum + size, 0);
  const input = fc.tuple(
    ...sizes.map((size) => fc.array(fc.integer({ min: 0, max: size - 1 }), { maxLength: 3 })),
  );
  return fc.record({
    sizes: fc.constant(sizes),
    bags: fc.array(input, { maxLength: 40 }),
    hotRows: fc.oneof(
      { weight: 3, arbitrary: fc.uniqueArray(fc.integer({ min: 0, max: rows - 1 })) },
      {
        weight: 1,
        arbitrary: fc.uniqueArray(fc.integer({ min: 0, max: rows - 1 }), { minLength: rows - 1 }),
      },
    ),
  });
});

function hotSetOf(sizes: number[], rows: number[]): HotSet {
  return new HotSet(rowSpace(sizes), Uint32Array.from(rows), { budgetBytes: 2 ** 20, rowBytes: 32 }, null);
}

/** Rows of tables from the hot indices of hot inputs: the inverse of `hotIndices`. */
function decodeHot(lookups: Lookups, rows: Uint32Array, space: RowSpace): Lookups {
  const all = Uint32Array.from({ length: lookups.size }, (_, b) => b);
  return mapLookups(lookups, all, (table, hotIndex) => {
    const row = rows[hotIndex]!;
    expect(tableOf(space, row)).toBe(table);
    return row - space.offsets[table]!;
  });
}

describe("laws of the partition (D9)", () => {
  test("disjoint, complete, and hot exactly when every row is hot", () => {
    fc.assert(
      fc.property(scenario, ({ sizes, bags, hotRows }) => {
        const hotSet = hotSetOf(sizes, hotRows);
        const { hot, cold } = classifyInputs(lookupsOf(bags, sizes.length), hotSet);
        const global = new Set(hotRows);
        const expected = bags.map((input) =>
          input.every((bag, table) => bag.every((row) => global.has(hotSet.space.offsets[table]! + row))),
        );
        expect([...hot]).toEqual([...bags.keys()].filter((b) => expected[b]));
        expect([...cold]).toEqual([...bags.keys()].filter((b) => !expected[b]));
      }),
    );
  });

  test("hot indices are in [0, K), and decoding them gives the input back (I4)", () => {
    fc.assert(
      fc.property(scenario, ({ sizes, bags, hotRows }) => {
        const hotSet = hotSetOf(sizes, hotRows);
        const lookups = lookupsOf(bags, sizes.length);
        const { hot } = classifyInputs(lookups, hotSet);
        const encoded = mapLookups(lookups, hot, hotIndices(hotSet));
        for (const hotIndex of encoded.ids) expect(hotIndex >= 0 && hotIndex < hotSet.size).toBe(true);
        const decoded = decodeHot(encoded, hotSet.rows, hotSet.space);
        expect(bagsOf(decoded)).toEqual([...hot].map((b) => bags[b]));
      }),
    );
  });

  test("ranges of a batch are classified as the whole is, wherever it is cut", () => {
    const cuts = fc.array(fc.nat(), { maxLength: 8 });
    fc.assert(
      fc.property(scenario, cuts, ({ sizes, bags, hotRows }, cut) => {
        const hotSet = hotSetOf(sizes, hotRows);
        const lookups = lookupsOf(bags, sizes.length);
        const whole = classifyInputs(lookups, hotSet);
        const ends = [...cut.map((n) => n % (bags.length + 1)), bags.length].sort((a, b) => a - b);
        const parts = ends.map((end, i) => classifyInputs(lookups, hotSet, ends[i - 1] ?? 0, end));
        expect(parts.flatMap(({ hot }) => [...hot])).toEqual([...whole.hot]);
        expect(parts.flatMap(({ cold }) => [...cold])).toEqual([...whole.cold]);
      }),
    );
  });

  test("one-hot batches without offsets are classified and encoded alike", () => {
    const sizes = [5, 9];
    const bags = randomBags(200, sizes, 3, true);
    const hotSet = hotSetOf(sizes, [0, 1, 5, 6, 7]);
    const { hot } = classifyInputs(lookupsOf(bags, 2, true), hotSet);
    expect(hot).toEqual(classifyInputs(lookupsOf(bags, 2), hotSet).hot);
    const encoded = mapLookups(lookupsOf(bags, 2, true), hot, hotIndices(hotSet));
    expect(encoded.offsets).toBeNull();
    expect(bagsOf(decodeHot(encoded, hotSet.rows, hotSet.space))).toEqual([...hot].map((b) => bags[b]));
  });

  test("an input of empty bags is hot, even with no hot rows", () => {
    const bags: Bags = [
      [[], []],
      [[0], []],
    ];
    expect([...classifyInputs(lookupsOf(bags, 2), hotSetOf([1, 1], [])).hot]).toEqual([0]);
  });
});

describe("hot set", () => {
  test("refuses more rows than the budget holds, and a row twice (I5)", () => {
    const space = rowSpace([4]);
    const budget = { budgetBytes: 64, rowBytes: 32 };
    expect(new HotSet(space, Uint32Array.of(1, 3), budget, null).bytes).toBe(64);
    expect(() => new HotSet(space, Uint32Array.of(1, 2, 3), budget, null)).toThrowError(/96 bytes/);
    expect(() => new HotSet(space, Uint32Array.of(1, 1), budget, null)).toThrowError(/row 1/);
  });
});

describe("partition on disk", () => {
  const sizes = [30, 7, 50];

  test.each([true, false])(
    "keeps every input once, in order, with its label (multi-hot %s)",
    async (multiHot) => {
      const directory = await mkdtemp(join(tmpdir(), "pareto-partition-"));
      try {
        const log = bagLog(randomBags(20_000, sizes, 4, !multiHot), sizes, multiHot);
        const hotSet = hotSetOf(sizes, [0, 1, 2, 3, 4, 30, 31, 37, 38, 39, 40, 41, 42]);
        const directories = { hot: join(directory, "hot"), cold: join(directory, "cold") };
        const { hot, cold, accessShare } = await partitionInputs(log, log.layout, hotSet, directories);
        expect(hot.rows).toBeGreaterThan(500);
        expect(cold.rows).toBeGreaterThan(500);
        expect(hot.layout.cardinalities).toEqual([13, 13, 13]);

        const found = new Map<number, number[][]>();
        const read = async (part: EncodedDataset, decode: boolean) => {
          let previous = -1;
          for await (const batch of part.batches({ batchSize: 777 })) {
            const lookups = decode ? decodeHot(batch.lookups, hotSet.rows, hotSet.space) : batch.lookups;
            for (const [b, bags] of bagsOf(lookups).entries()) {
              const row = batch.rows[b]!;
              expect(row).toBeGreaterThan(previous);
              previous = row;
              expect(found.has(row)).toBe(false);
              found.set(row, bags);
              expect(batch.labels[b]).toBe(row % 2);
              expect(batch.dense[b]).toBe(row + 0.5);
            }
          }
        };
        await read(hot, true);
        await read(cold, false);
        expect(hot.rows + cold.rows).toBe(log.rows);
        const lookups = log.bags.flatMap((bags) =>
          bags.flatMap((bag, t) => bag.map((row) => hotSet.space.offsets[t]! + row)),
        );
        const hits = lookups.filter((row) => hotSet.rows.includes(row)).length;
        expect(accessShare).toBe(hits / lookups.length);
        for (const [row, bags] of log.bags.entries()) expect(found.get(row)).toEqual(bags);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
  );
});
