/** @file The input sampler and the access log. */
import { describe, expect, test } from "vitest";
import { Rng } from "../../../../../src/base/rng.ts";
import { AccessLog } from "../../../../../src/recsys/strategies/fae/accessLog.ts";
import { rankRows, topRows } from "../../../../../src/recsys/strategies/fae/rowRanking.ts";
import { rowSpace } from "../../../../../src/recsys/strategies/fae/rowSpace.ts";
import {
  SelectionSampler,
  sampleInputs,
  sampleSize,
} from "../../../../../src/recsys/strategies/fae/sampler.ts";
import { bagLog, lookupsOf, randomBags } from "../../../../support/recsys/bags.ts";

describe("sample size", () => {
  test("is the rate of the inputs, 20 000 at least, all at most", () => {
    expect(sampleSize(600_000, 0.05)).toBe(30_000);
    expect(sampleSize(100_000, 0.05)).toBe(20_000);
    expect(sampleSize(5_000, 0.05)).toBe(5_000);
    expect(sampleSize(1_000, 0.0104, 1)).toBe(10);
  });

  test.each([0, -1, 1.5, Number.NaN])("refuses a rate of %d", (rate) => {
    expect(() => sampleSize(100, rate)).toThrowError(`got ${rate}`);
  });
});

describe("sampled inputs", () => {
  const log = bagLog(randomBags(1000, [7, 9], 1), [7, 9]);
  const sampleRows = async (seed: number, batchSize: number) => {
    const rows: number[] = [];
    for await (const { batch, selection } of sampleInputs(log, {
      sampleRate: 0.13,
      minimum: 1,
      seed,
      batchSize,
    })) {
      for (const b of selection) rows.push(batch.rows[b]!);
    }
    return rows;
  };

  test("are exactly as many as wanted, each once, whatever the batch size", async () => {
    const rows = await sampleRows(1, 64);
    expect(rows.length).toBe(130);
    expect(new Set(rows).size).toBe(130);
    expect(await sampleRows(1, 999)).toEqual(rows);
    expect(await sampleRows(2, 64)).not.toEqual(rows);
  });

  test("are uniform over positions", () => {
    const taken = new Float64Array(20);
    for (let seed = 0; seed < 4000; seed++) {
      const sampler = new SelectionSampler(5, 20, new Rng(seed));
      for (let i = 0; i < 20; i++) if (sampler.take()) taken[i]!++;
    }
    expect(taken.reduce((sum, n) => sum + n, 0)).toBe(20_000);
    // Binomial(4000, 1/4): deviation 27.
    for (const n of taken) expect(Math.abs(n - 1000)).toBeLessThan(5 * 27);
  });
});

describe("access log", () => {
  test("counts every id of a bag, of the selected inputs only", () => {
    const log = new AccessLog(rowSpace([3, 2]));
    const bags = [
      [[0, 2, 2], []],
      [[1], [1]],
      [[2], [0, 1]],
    ];
    log.add(lookupsOf(bags, 2), Uint32Array.of(0, 2));
    expect([...log.counts]).toEqual([1, 0, 3, 1, 1]);
    expect([...log.lookups]).toEqual([4, 2]);
    expect(log.inputs).toBe(2);
    expect(log.totalLookups).toBe(6);
  });

  test("counts one-hot batches without offsets", () => {
    const log = new AccessLog(rowSpace([3, 2]));
    log.add(
      lookupsOf(
        [
          [[0], [1]],
          [[2], [1]],
        ],
        2,
        true,
      ),
    );
    expect([...log.counts]).toEqual([1, 0, 1, 0, 2]);
  });

  test.each([-1, 3])("refuses row %i of a table of 3", (row) => {
    const log = new AccessLog(rowSpace([3]));
    expect(() => log.add(lookupsOf([[[row]]], 1))).toThrowError(`got ${row}`);
  });
});

describe("row ranking", () => {
  test("equals a full sort by falling count, then rising row", () => {
    const rng = new Rng(5);
    const counts = Uint32Array.from({ length: 3000 }, () =>
      rng.integer(10) === 0 ? 65_530 + rng.integer(12) : rng.integer(30),
    );
    const all = Uint32Array.from(counts.keys());
    const sorted = Uint32Array.from(all).sort((a, b) => counts[b]! - counts[a]! || a - b);
    expect(rankRows(all, counts)).toEqual(sorted);
    const seen = sorted.filter((row) => counts[row]! > 0);
    for (const wanted of [0, 1, 10, 299, 300, 301, 2000, 3000]) {
      expect(topRows(counts, wanted)).toEqual(seen.slice(0, wanted));
    }
    const excluded = Uint8Array.from(all, (row) => row % 2);
    expect(topRows(counts, 50, excluded)).toEqual(seen.filter((row) => row % 2 === 0).slice(0, 50));
  });

  test("refuses tables that one array cannot number", () => {
    expect(() => rowSpace([2 ** 31, 2 ** 31])).toThrowError(/got 2147483648/);
    expect(() => rowSpace([1.5])).toThrowError(/got 1.5/);
  });
});
