/** @file FAE's calibration on syn-Z: budgets (D6), sampling fidelity (D7) and the rules of the policies. */
import { describe, expect, test } from "vitest";
import type { RunEvent } from "../../../../../src/run/events.ts";
import type { AccessLog } from "../../../../../src/recsys/strategies/fae/accessLog.ts";
import { calibrate, logSample } from "../../../../../src/recsys/strategies/fae/calibrate.ts";
import { classifyInputs } from "../../../../../src/recsys/strategies/fae/classifier.ts";
import type { HotSet } from "../../../../../src/recsys/strategies/fae/hotSet.ts";
import { hotCapacity } from "../../../../../src/recsys/strategies/fae/hotSet.ts";
import { bytesPerRow } from "../../../../../src/recsys/strategies/fae/rowBytes.ts";
import { rowSpace, tableOf } from "../../../../../src/recsys/strategies/fae/rowSpace.ts";
import { ThresholdPolicy } from "../../../../../src/recsys/strategies/fae/threshold.ts";
import { TopKPolicy } from "../../../../../src/recsys/strategies/fae/topK.ts";
import { bagLog } from "../../../../support/recsys/bags.ts";
import { SYN_Z_TABLES, synZ } from "../../../../support/recsys/synZ.ts";

const MIB = 2 ** 20;
const rowBytes = bytesPerRow({ kind: "sgd" }, 8);
const space = rowSpace(SYN_Z_TABLES);
const data = synZ({ rows: 600_000, seed: 3, idsOnly: true });
const full = await logSample(data, space, { sampleRate: 1, seed: 1 });
const sampled = await logSample(data, space, { sampleRate: 0.05, seed: 1 });

async function inputShare(hotSet: HotSet): Promise<number> {
  let hot = 0;
  for await (const batch of data.batches({ batchSize: 8192 })) {
    hot += classifyInputs(batch.lookups, hotSet).hot.length;
  }
  return hot / data.rows;
}

function jaccard(a: HotSet, b: HotSet): number {
  let both = 0;
  for (const row of a.rows) if (b.hotIndexOf[row]! >= 0) both++;
  return both / (a.size + b.size - both);
}

/** Rows with at least a share `threshold` of their table's lookups, with no small-table rule and no budget. */
function atThreshold(log: AccessLog, threshold: number, events: RunEvent[] = []): HotSet {
  const policy = new ThresholdPolicy({ seed: 1, threshold, smallTableBytes: 0 });
  const selection = policy.select(log, { budgetBytes: 1024 * MIB, rowBytes });
  events.push(...selection.events);
  return selection.hotSet;
}

describe("budget (D6)", () => {
  test.each(["threshold", "topk"] as const)("%s keeps to it and gains hot inputs with it", async (name) => {
    const policy = name === "topk" ? new TopKPolicy() : new ThresholdPolicy({ seed: 1 });
    let previous = 0;
    for (const mib of [1, 2, 4, 8]) {
      const { hotSet } = policy.select(sampled, { budgetBytes: mib * MIB, rowBytes });
      expect(hotSet.size * rowBytes).toBeLessThanOrEqual(mib * MIB);
      const share = await inputShare(hotSet);
      expect(share).toBeGreaterThanOrEqual(previous);
      previous = share;
    }
    // A 5 % sample sees about a seventh of the rows, enough for a third of the inputs.
    expect(previous).toBeGreaterThan(0.3);
  });

  test("holds 4 194 304 rows of 16 floats in 256 MiB, fewer with optimizer state", () => {
    const capacity = (optimizer: Parameters<typeof bytesPerRow>[0]) =>
      hotCapacity({ budgetBytes: 256 * MIB, rowBytes: bytesPerRow(optimizer, 16) });
    expect(capacity({ kind: "sgd" })).toBe(4_194_304);
    expect(capacity({ kind: "rwsadagrad", epsilon: 1e-10 })).toBe(Math.floor((256 * MIB) / 68));
    expect(capacity({ kind: "adagrad", epsilon: 1e-10 })).toBe(2_097_152);
    expect(capacity({ kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 })).toBe(1_398_101);
  });

  test.each([0, 31, 32, 1000])(
    "of %i bytes is never passed, whatever reaches the threshold",
    (budgetBytes) => {
      const { hotSet, events } = new ThresholdPolicy({ seed: 1, threshold: 1e-4 }).select(sampled, {
        budgetBytes,
        rowBytes,
      });
      expect(hotSet.bytes).toBeLessThanOrEqual(budgetBytes);
      expect(hotSet.size).toBe(Math.floor(budgetBytes / rowBytes));
      expect(events).toContainEqual(expect.objectContaining({ code: "FAE_HOT_ROWS_CUT" }));
    },
  );

  test("that is not a number of bytes is refused", () => {
    const budget = { budgetBytes: Number.NaN, rowBytes };
    expect(() => new TopKPolicy().select(sampled, budget)).toThrowError(/got NaN/);
  });
});

describe("sampling fidelity (D7)", () => {
  test.each([
    // Measured 0.97 and 0.87 on the numpy prototype; few rows reach 1e-2, so a single one weighs much.
    { threshold: 1e-2, least: 0.93 },
    { threshold: 1e-3, least: 0.85 },
  ])("a 5 % sample finds the hot rows of the whole at $threshold", async ({ threshold, least }) => {
    const whole = atThreshold(full, threshold);
    const part = atThreshold(sampled, threshold);
    expect(jaccard(whole, part)).toBeGreaterThanOrEqual(least);
    expect(Math.abs((await inputShare(whole)) - (await inputShare(part)))).toBeLessThan(0.01);
  });

  test("below one sampled input the set stays the same, with a warning", () => {
    const events: RunEvent[] = [];
    const sets = [2e-5, 1e-5, 5e-6].map((threshold) => atThreshold(sampled, threshold, events));
    expect(sets[0]!.size).toBeGreaterThan(40_000);
    expect(sets[1]!.rows).toEqual(sets[0]!.rows);
    expect(sets[2]!.rows).toEqual(sets[0]!.rows);
    const warnings = events.filter((event) => event.event === "notice" && event.level === "warning");
    expect(warnings.map((event) => "code" in event && event.code)).toEqual(
      Array.from({ length: 3 }, () => "FAE_THRESHOLD_FLOOR"),
    );
    // The whole data set can tell these thresholds apart, and needs no warning.
    const none: RunEvent[] = [];
    expect(atThreshold(full, 1e-5, none).size).toBeLessThan(atThreshold(full, 5e-6, none).size);
    expect(none.some((event) => event.event === "notice")).toBe(false);
  });
});

describe("threshold policy", () => {
  test("searches half decades, then halves in log t, and takes the smallest that fits", () => {
    const budget = { budgetBytes: MIB, rowBytes };
    const { hotSet, events } = new ThresholdPolicy({ seed: 1 }).select(full, budget);
    const tried = events.flatMap((event) =>
      event.event === "decision" && event.kind === "recsys.hot" && event.subject === "candidate"
        ? [{ ...event.saw, ...event.chose } as Record<string, unknown>]
        : [],
    );
    const grid = tried.slice(0, -6);
    expect(grid.map(({ threshold }) => Math.log10(Number(threshold)))).toEqual(
      [-1, -1.5, -2, -2.5, -3, -3.5, -4, -4.5, -5, -5.5, Math.log10(1 / 600_000)].map((exponent) =>
        expect.closeTo(exponent, 9),
      ),
    );
    const fitting = tried.filter(({ fits }) => fits).map(({ threshold }) => Number(threshold));
    const failing = tried.filter(({ fits }) => !fits).map(({ threshold }) => Number(threshold));
    expect(hotSet.threshold).toBe(Math.min(...fitting));
    // Six halvings of half a decade.
    expect(Math.max(...failing) / hotSet.threshold!).toBeGreaterThan(10 ** -(0.5 / 64 + 1e-9));
    expect(hotSet.bytes).toBeGreaterThan(0.9 * MIB);
  });

  test("makes small tables entirely hot when they take no more than half of the budget", () => {
    const smallRows = SYN_Z_TABLES.slice(0, 8).reduce((sum, rows) => sum + rows, 0);
    const select = (budgetBytes: number) =>
      new ThresholdPolicy({ seed: 1 }).select(sampled, { budgetBytes, rowBytes }).hotSet.rowsByTable();
    expect([...select(2 * smallRows * rowBytes)].slice(0, 8)).toEqual(SYN_Z_TABLES.slice(0, 8));
    expect(select(2 * smallRows * rowBytes - 1)[7]).toBeLessThan(SYN_Z_TABLES[7]!);
  });

  test("fills the budget with rows that were seen, never with others", () => {
    const budget = { budgetBytes: MIB, rowBytes };
    const { hotSet: plain } = new ThresholdPolicy({ seed: 1, threshold: 1e-3 }).select(sampled, budget);
    const { hotSet: filled } = new ThresholdPolicy({ seed: 1, threshold: 1e-3, fill: true }).select(
      sampled,
      budget,
    );
    expect(filled.size).toBe(MIB / rowBytes);
    for (const row of plain.rows) expect(filled.hotIndexOf[row]).toBeGreaterThanOrEqual(0);
    const huge = { budgetBytes: 64 * MIB, rowBytes };
    const seen = sampled.counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
    const options = { seed: 1, fill: true, smallTableBytes: 0 };
    expect(new ThresholdPolicy(options).select(sampled, huge).hotSet.size).toBe(seen);
    expect(new TopKPolicy().select(sampled, huge).hotSet.size).toBe(seen);
  });

  test("is relative to each table, where top-K ranks all tables together", async () => {
    // Table 0 is looked up three times an input, table 1 once: equal shares, unequal counts.
    const bags = Array.from({ length: 60 }, (_, i) => [[i % 6, i % 6, i % 6], [i % 6]]);
    const log = await logSample(bagLog(bags, [6, 6]), rowSpace([6, 6]), { sampleRate: 1, seed: 1 });
    const budget = { budgetBytes: 6 * rowBytes, rowBytes };
    const { hotSet: topK } = new TopKPolicy().select(log, budget);
    expect([...topK.rows]).toEqual([0, 1, 2, 3, 4, 5]);
    const { hotSet: equal } = new ThresholdPolicy({ seed: 1, threshold: 0.1, smallTableBytes: 0 }).select(
      log,
      {
        budgetBytes: 12 * rowBytes,
        rowBytes,
      },
    );
    expect([...equal.rowsByTable()]).toEqual([6, 6]);
  });

  test("refuses a threshold that is no share", () => {
    expect(() => new ThresholdPolicy({ seed: 1, threshold: 0 })).toThrowError(/got 0/);
  });
});

test("hot indices follow falling counts, ties by table and row", () => {
  const { rows } = new TopKPolicy().select(sampled, { budgetBytes: MIB, rowBytes }).hotSet;
  for (let k = 1; k < rows.length; k++) {
    const [a, b] = [rows[k - 1]!, rows[k]!];
    const fall = sampled.counts[a]! - sampled.counts[b]!;
    expect(fall > 0 || (fall === 0 && a < b)).toBe(true);
  }
});

test("calibration is a function of data, config and seed", async () => {
  const config = { hot: "threshold", budgetBytes: MIB, rowBytes, sampleRate: 0.05, seed: 7 } as const;
  const [first, second] = [await calibrate(data, space, config), await calibrate(data, space, config)];
  expect(first.hotSet.rows).toEqual(second.hotSet.rows);
  expect(first.sampledInputs).toBe(30_000);
  const other = await calibrate(data, space, { ...config, seed: 8 });
  expect(other.hotSet.rows).not.toEqual(first.hotSet.rows);
});

test("the table of a global row", () => {
  expect(tableOf(space, 0)).toBe(0);
  expect(tableOf(space, 3)).toBe(0);
  expect(tableOf(space, 4)).toBe(1);
  expect(tableOf(space, space.rows - 1)).toBe(11);
  // An empty table between others owns no row.
  expect(tableOf(rowSpace([2, 0, 3]), 2)).toBe(2);
});
