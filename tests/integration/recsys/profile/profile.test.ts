/** @file The profile: skew, hot-input share against budget, memory plan, and their join on syn-Z. */
import { describe, expect, test } from "vitest";
import { curveBudgets } from "../../../../src/recsys/profile/inputShare.ts";
import { memoryPlan } from "../../../../src/recsys/profile/memoryPlan.ts";
import { profileDataset } from "../../../../src/recsys/profile/profile.ts";
import type { ProfileRequest } from "../../../../src/recsys/profile/profile.ts";
import { accessSkew, skewCurve } from "../../../../src/recsys/profile/skew.ts";
import type { FaeConfig } from "../../../../src/recsys/strategies/fae/calibrate.ts";
import { AccessLog } from "../../../../src/recsys/strategies/fae/accessLog.ts";
import { calibrate, logSample } from "../../../../src/recsys/strategies/fae/calibrate.ts";
import { classifyInputs } from "../../../../src/recsys/strategies/fae/classifier.ts";
import { rowSpace } from "../../../../src/recsys/strategies/fae/rowSpace.ts";
import { bagLog, randomBags } from "../../../support/recsys/bags.ts";
import { SYN_Z_TABLES, synZ } from "../../../support/recsys/synZ.ts";

const MIB = 2 ** 20;

describe("skew", () => {
  test("is the share of lookups of the most used rows, a part of a row in part", () => {
    // 200 rows: two with 100 000 and 70 000 lookups, eight with 10 000, the rest never seen.
    const counts = new Uint32Array(200);
    counts[7] = 100_000;
    counts[150] = 70_000;
    counts.fill(10_000, 20, 28);
    expect(accessSkew(counts, 1)).toEqual({
      rows: 200,
      rowsSeen: 10,
      lookups: 250_000,
      top1: 170_000 / 250_000,
      top6p8: 1,
      top10: 1,
    });
    counts.fill(1000, 50, 150);
    // 6.8 % are 13.6 rows: the ten, and 3.6 of those with 1000.
    expect(accessSkew(counts, 1).top6p8).toBeCloseTo((250_000 + 3600) / 350_000, 12);
  });

  test("of rows never seen is zero, and of none empty", () => {
    expect(accessSkew(new Uint32Array(5), 0.1)).toMatchObject({ rowsSeen: 0, lookups: 0, top10: 0 });
    expect(skewCurve(new Uint32Array(0), 1)).toEqual([]);
  });

  test("curve rises from one row to all of the lookups", () => {
    const curve = skewCurve(
      Uint32Array.from({ length: 1000 }, (_, i) => 1000 - i),
      1,
      20,
    );
    expect(curve.length).toBe(20);
    expect(curve[0]!.rowShare).toBeCloseTo(1e-3, 12);
    expect(curve[0]!.accessShare).toBeCloseTo(1000 / 500_500, 12);
    expect(curve.at(-1)).toEqual({ rowShare: 1, accessShare: 1 });
    for (let i = 1; i < curve.length; i++) {
      expect(curve[i]!.accessShare).toBeGreaterThan(curve[i - 1]!.accessShare);
    }
  });
});

describe("memory plan", () => {
  const request = {
    tableSizes: [100, 200],
    dim: 8,
    optimizer: { kind: "sgd" },
    hotRows: 10,
    batchSize: 4,
    stagingBuffers: 2,
    idsPerInput: 2,
    denseInputs: 3,
    denseParameters: 50,
  } as const;

  test("adds up what training holds", () => {
    expect(memoryPlan(request)).toEqual({
      tableBytes: 300 * 32,
      optimizerStateBytes: 0,
      hotBytes: 10 * 32,
      // Rows and gradients 2·2·8·4, ids 8, offsets 12, dense inputs 12, label and position 12.
      stagingBytes: 2 * 4 * (128 + 8 + 12 + 12 + 12),
      denseParameterBytes: 200,
      denseStateBytes: 200,
      trainingBytes: 9600 + 320 + 1376 + 400,
      calibrationBytes: 300 * 8 + 80,
      peakBytes: 9600 + 320 + 1376 + 400,
    });
  });

  test("counts the optimizer's state in tables, hot rows and dense layers", () => {
    const plan = memoryPlan({
      ...request,
      optimizer: { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    });
    expect(plan).toMatchObject({ optimizerStateBytes: 300 * 64, hotBytes: 10 * 96, denseStateBytes: 600 });
    const rowwise = memoryPlan({ ...request, optimizer: { kind: "rwsadagrad", epsilon: 1e-10 } });
    expect(rowwise).toMatchObject({ optimizerStateBytes: 1200, hotBytes: 360, denseStateBytes: 400 });
  });

  test("without hot rows needs no calibration", () => {
    expect(memoryPlan({ ...request, hotRows: 0 })).toMatchObject({ hotBytes: 0, calibrationBytes: 0 });
  });
});

test("budgets of the curve double from 1 MiB to where all rows fit", () => {
  expect(curveBudgets(5 * MIB, 3 * MIB)).toEqual([MIB, 2 * MIB, 3 * MIB, 4 * MIB, 8 * MIB]);
  expect(curveBudgets(10)).toEqual([MIB]);
});

describe("profile of syn-Z", async () => {
  const data = synZ({ rows: 300_000, seed: 4, idsOnly: true });
  const budgets = [MIB / 4, MIB / 2, MIB, 2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB];
  const config: FaeConfig = { hot: "threshold", budgetBytes: MIB, rowBytes: 32, sampleRate: 0.1, seed: 5 };
  const step = { gather: 2e-3, copyIn: 1e-3, dense: 4e-3, copyOut: 1e-3, scatter: 2e-3 };
  const request: ProfileRequest = {
    source: data,
    tableNames: SYN_Z_TABLES.map((_, table) => `c${table}`),
    config,
    budgets,
    training: {
      tableSizes: SYN_Z_TABLES,
      dim: 8,
      optimizer: { kind: "sgd" },
      batchSize: 256,
      stagingBuffers: 2,
      denseInputs: 4,
      denseParameters: 1000,
    },
    cost: { cold: step, hot: { ...step, copyIn: 0, copyOut: 0 }, syncBytesPerSecond: 1e9 },
  };
  const profile = await profileDataset(request);

  /** The true shares of hot inputs and lookups of the set that calibration would choose. */
  async function trueShares(changes: Partial<FaeConfig>) {
    const { hotSet } = await calibrate(data, rowSpace(SYN_Z_TABLES), { ...config, ...changes });
    let hot = 0;
    let lookups = 0;
    for await (const batch of data.batches({ batchSize: 8192 })) {
      hot += classifyInputs(batch.lookups, hotSet).hot.length;
      for (const [k, id] of batch.lookups.ids.entries()) {
        const row = hotSet.space.offsets[Math.floor(k / batch.size)]! + id;
        if (hotSet.hotIndexOf[row]! >= 0) lookups++;
      }
    }
    return { inputs: hot / data.rows, lookups: lookups / data.rows / SYN_Z_TABLES.length };
  }

  test("predicts the hot-input share of every budget within a point, never falling", async () => {
    let previous = 0;
    for (const { budgetBytes, inputShare, accessShare } of profile.inputShare) {
      expect(inputShare).toBeGreaterThanOrEqual(previous);
      previous = inputShare;
      const truth = await trueShares({ budgetBytes });
      expect(Math.abs(inputShare - truth.inputs)).toBeLessThan(0.01);
      expect(Math.abs(accessShare - truth.lookups)).toBeLessThan(0.005);
    }
    expect(profile.inputShare.map(({ budgetBytes }) => budgetBytes)).toEqual(budgets);
    expect(previous).toBeGreaterThan(0.4);
  });

  test("predicts it for the top-K policy too", async () => {
    const { inputShare } = await profileDataset({ ...request, config: { ...config, hot: "topk" } });
    for (const point of inputShare) {
      const truth = await trueShares({ hot: "topk", budgetBytes: point.budgetBytes });
      expect(Math.abs(point.inputShare - truth.inputs)).toBeLessThan(0.01);
    }
  });

  test("measures the skew that the generator has", async () => {
    // What the rows ranked by all of the data take of it.
    const log = new AccessLog(rowSpace(SYN_Z_TABLES));
    for await (const batch of data.batches({ batchSize: 8192 })) log.add(batch.lookups);
    const truth = accessSkew(log.counts, 1);
    expect(truth.top1).toBeCloseTo(0.795, 2);
    for (const key of ["top1", "top6p8", "top10"] as const) {
      // The sample ranks the rows a little worse than the whole does; its own lookups alone would overstate.
      expect(profile.skew[key]).toBeLessThan(truth[key] + 0.002);
      expect(profile.skew[key]).toBeGreaterThan(truth[key] - 0.03);
    }
    const naive = await logSample(data, rowSpace(SYN_Z_TABLES), config);
    expect(accessSkew(naive.counts, 1).top10).toBeGreaterThan(truth.top10 + 0.02);
    expect(profile.skew.rows).toBe(314_424);
    expect(profile.skew.curve.at(-1)).toEqual({ rowShare: 1, accessShare: 1 });
  });

  test("describes each table, the hot set, the memory and the prediction as plain data", () => {
    expect(profile.inputs).toBe(300_000);
    expect(profile.sampledInputs).toBe(30_000);
    expect(profile.tables.length).toBe(12);
    expect(profile.tables[0]).toMatchObject({
      name: "c0",
      rows: 4,
      rowsSeen: 4,
      lookups: 30_000,
      idsPerInput: 1,
    });
    expect(profile.tables.reduce((sum, table) => sum + table.hotRows, 0)).toBe(profile.hot.rows);
    expect(profile.hot.bytes).toBe(profile.hot.rows * 32);
    expect(profile.hot.bytes).toBeLessThanOrEqual(MIB);
    expect(profile.hot.accessShare).toBeGreaterThan(0.8);
    expect(profile.memory.hotBytes).toBe(profile.hot.bytes);
    const h = profile.hot.inputShare;
    expect(profile.prediction).toMatchObject({ hotInputShare: h, hotToCold: 0.8, syncsPerEpoch: 4 });
    expect(profile.prediction!.speedup).toBeCloseTo(1 / (1 - 0.2 * h + profile.prediction!.syncShare), 12);
    expect(JSON.parse(JSON.stringify(profile))).toEqual(profile);
  });
});

test("a multi-hot log with repeated ids and a tiny budget is profiled", async () => {
  const sizes = [300, 40];
  const log = bagLog(randomBags(4000, sizes, 6), sizes);
  const config: FaeConfig = { hot: "threshold", budgetBytes: 640, rowBytes: 32, sampleRate: 1, seed: 1 };
  const profile = await profileDataset({
    source: log,
    tableNames: ["a", "b"],
    config,
    training: {
      tableSizes: sizes,
      dim: 8,
      optimizer: { kind: "sgd" },
      batchSize: 64,
      stagingBuffers: 2,
      denseInputs: 1,
      denseParameters: 10,
    },
  });
  expect(profile.prediction).toBeNull();
  expect(profile.hot.rows).toBe(20);
  // Everything fits 1 MiB: all inputs are hot; in 640 bytes few are, yet those of empty bags always.
  expect(profile.inputShare.at(-1)!.inputShare).toBe(1);
  const { hotSet } = await calibrate(log, rowSpace(sizes), config);
  let hot = 0;
  for await (const batch of log.batches({ batchSize: 500 })) {
    hot += classifyInputs(batch.lookups, hotSet).hot.length;
  }
  expect(Math.abs(profile.hot.inputShare - hot / 4000)).toBeLessThan(0.02);
  expect(profile.hot.inputShare).toBeGreaterThan(1 / 16 - 0.02);
});
