/** @file The hot-size estimator: coverage and tightness of its bound over 200 seeds, and what it reads (D8). */
import { describe, expect, test } from "vitest";
import { Rng } from "../../../../../src/base/rng.ts";
import { AccessLog } from "../../../../../src/recsys/strategies/fae/accessLog.ts";
import { logSample } from "../../../../../src/recsys/strategies/fae/calibrate.ts";
import { poissonUpperLimit, studentQuantile } from "../../../../../src/base/quantiles.ts";
import { rowPermutation } from "../../../../../src/recsys/strategies/fae/rowPermutation.ts";
import { rowSpace } from "../../../../../src/recsys/strategies/fae/rowSpace.ts";
import type { SizeEstimatorOptions } from "../../../../../src/recsys/strategies/fae/hotSizeEstimator.ts";
import { HotSizeEstimator, hotCutoff } from "../../../../../src/recsys/strategies/fae/hotSizeEstimator.ts";
import { SYN_Z_TABLES, synZ } from "../../../../support/recsys/synZ.ts";

const SEEDS = 200;
const THRESHOLDS = [1e-3, 1e-4, 5e-5, 2e-5];
const TABLES = [...SYN_Z_TABLES.keys()];
/** Kaggle's tables, of which eight take more than 1 MiB at 16 floats a row. */
const KAGGLE = [
  1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10,
  5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572,
];

async function synZLog(permuted: boolean): Promise<AccessLog> {
  const data = synZ({ rows: 600_000, seed: 3, permuted, idsOnly: true });
  return logSample(data, rowSpace(SYN_Z_TABLES), { sampleRate: 1, seed: 1 });
}

function trueRows(log: AccessLog, threshold: number): number {
  let rows = 0;
  for (const table of TABLES) {
    const cutoff = hotCutoff(threshold, log.lookups[table]!);
    const counts = log.counts.subarray(log.space.offsets[table]!, log.space.offsets[table + 1]!);
    for (const count of counts) if (count >= cutoff) rows++;
  }
  return rows;
}

/** For each threshold: how often the bound holds, and the means of bound and estimate over the truth. */
function coverage(log: AccessLog, order?: SizeEstimatorOptions["order"]) {
  const truth = THRESHOLDS.map((threshold) => trueRows(log, threshold));
  const held = THRESHOLDS.map(() => 0);
  const ratio = THRESHOLDS.map(() => 0);
  const centre = THRESHOLDS.map(() => 0);
  for (let seed = 0; seed < SEEDS; seed++) {
    const estimator = new HotSizeEstimator(log, TABLES, { seed, ...(order ? { order } : {}) });
    for (const [i, threshold] of THRESHOLDS.entries()) {
      const { rows, upper } = estimator.estimate(threshold);
      if (upper >= truth[i]!) held[i]! += 1 / SEEDS;
      ratio[i]! += upper / truth[i]! / SEEDS;
      centre[i]! += rows / truth[i]! / SEEDS;
    }
  }
  return { held, ratio, centre };
}

describe("upper bound over 200 seeds (D8)", async () => {
  const sorted = await synZLog(false);

  test.each([
    { ids: "by popularity", log: sorted },
    { ids: "at random", log: await synZLog(true) },
  ])("holds and is tight with ids numbered $ids", ({ log }) => {
    const { held, ratio, centre } = coverage(log);
    for (const share of held) expect(share).toBeGreaterThanOrEqual(0.99);
    expect(ratio[0]).toBeLessThanOrEqual(1.15);
    for (const mean of ratio.slice(1)) expect(mean).toBeLessThanOrEqual(1.06);
    for (const mean of centre) expect(Math.abs(mean - 1)).toBeLessThan(0.01);
  });

  test("fails both on chunks of the rows as numbered: the permutation is what makes it work", () => {
    const { held, ratio } = coverage(sorted, () => (position) => position);
    expect(Math.min(...held)).toBeLessThan(0.95);
    expect(ratio[0]).toBeGreaterThan(1.5);
    expect(ratio[1]).toBeGreaterThan(1.3);
  });
});

test("reads at most n·m rows of each large table, a fifth of a full scan or less at Kaggle's sizes", () => {
  const log = new AccessLog(rowSpace(KAGGLE));
  const large = [...KAGGLE.keys()].filter((table) => KAGGLE[table]! * 64 > 2 ** 20);
  const estimator = new HotSizeEstimator(log, large, { seed: 1 });
  expect(large.length).toBe(8);
  expect(estimator.exactRows).toBe(0);
  expect(estimator.sampledRows).toBe(35 * 1024 * 8);
  expect(log.space.rows).toBe(33_762_577);
  expect(log.space.rows / estimator.sampledRows).toBeGreaterThan(5);
});

test("a few hot rows in millions, which no chunk may meet, are still bounded", () => {
  const log = new AccessLog(rowSpace([4_000_000]));
  for (let row = 0; row < 40; row++) log.counts[row * 99_991] = 1000;
  log.lookups[0] = 1_000_000;
  for (let seed = 0; seed < 50; seed++) {
    const { rows, upper } = new HotSizeEstimator(log, [0], { seed }).estimate(1e-3);
    expect(upper).toBeGreaterThanOrEqual(40);
    // No more than 1/t rows can take a share t each.
    expect(upper).toBeLessThanOrEqual(1000);
    expect(rows).toBeLessThanOrEqual(upper);
  }
});

describe("row permutation", () => {
  test.each([1, 2, 3, 5, 16, 17, 1000, 4097])("is a bijection on [0, %i)", (n) => {
    for (let seed = 0; seed < 5; seed++) {
      const at = rowPermutation(n, new Rng(seed));
      const images = new Set(Array.from({ length: n }, (_, position) => at(position)));
      expect(images.size).toBe(n);
      for (const image of images) expect(image >= 0 && image < n).toBe(true);
    }
  });

  test("stays in range near 2^32 and depends on the seed", () => {
    const n = 2 ** 32 - 5;
    const [a, b] = [rowPermutation(n, new Rng(1)), rowPermutation(n, new Rng(2))];
    const images = Array.from({ length: 1000 }, (_, i) => a(i * 4_000_000));
    expect(new Set(images).size).toBe(1000);
    for (const image of images) expect(Number.isInteger(image) && image >= 0 && image < n).toBe(true);
    expect(images).not.toEqual(Array.from({ length: 1000 }, (_, i) => b(i * 4_000_000)));
  });

  test("spreads neighbours evenly over the range", () => {
    const n = 1_000_000;
    const at = rowPermutation(n, new Rng(3));
    const bins = new Float64Array(10);
    for (let i = 0; i < 10_000; i++) bins[Math.floor((at(i) / n) * 10)]!++;
    // Hypergeometric: deviation about 30 a bin.
    for (const count of bins) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe("quantiles", () => {
  test.each([
    // From the tables of Student's distribution.
    [0.9995, 34, 3.6007],
    [0.999, 34, 3.3479],
    [0.975, 1, 12.7062],
    [0.975, 10, 2.2281],
    [0.995, 120, 2.6174],
  ])("Student %d with %i degrees is %d", (probability, degrees, value) => {
    expect(studentQuantile(probability, degrees)).toBeCloseTo(value, 4);
  });

  test.each([
    // Garwood's limits: half of the chi-squared quantile with 2(count + 1) degrees.
    [0, 0.025, 3.6889],
    [3, 0.025, 8.7673],
    [10, 0.05, 16.9622],
  ])("the Poisson limit of %i at %d is %d", (count, tail, value) => {
    expect(poissonUpperLimit(count, tail)).toBeCloseTo(value, 4);
  });
});
