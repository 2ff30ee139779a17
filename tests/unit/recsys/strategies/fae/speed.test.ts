/** @file FAE's speed: the cost model against an epoch walked segment by segment, on a simulated link (spec D14). */
import { expect, test } from "vitest";
import {
  predictRun,
  type MeasuredCost,
  type StepTimes,
} from "../../../../../src/recsys/strategies/fae/costModel.ts";
import { fixedRate } from "../../../../../src/recsys/strategies/fae/shuffleRate.ts";
import { ShuffleScheduler } from "../../../../../src/recsys/strategies/fae/scheduler.ts";

const BATCH = 2048;
const INPUTS = 4_000_000;
const HOT_BYTES = 256 * 2 ** 20;
const ROW_BYTES = 26 * 16 * 4;

/** Simulated: a host that gathers rows at 60 ns each, a bus of 12 GB/s and a device that needs 3 ms a step. */
function simulatedCost(): MeasuredCost {
  const copy = (BATCH * ROW_BYTES) / 12e9;
  const rows = BATCH * 26 * 60e-9;
  return {
    cold: { gather: rows, copyIn: copy, dense: 3e-3, copyOut: copy, scatter: rows },
    hot: { gather: 0.3e-3, copyIn: 0, dense: 3e-3, copyOut: 0, scatter: 0.3e-3 },
    syncBytesPerSecond: 12e9,
  };
}

const seconds = (times: StepTimes) => Object.values(times).reduce((sum, time) => sum + time, 0);

/** Walks one epoch of the real scheduler and adds up what each segment and each switch costs. */
function walkedEpoch(hotShare: number, shuffleRate: number, cost: MeasuredCost): number {
  const hotInputs = Math.round(INPUTS * hotShare);
  const scheduler = new ShuffleScheduler({
    coldBatches: Math.ceil((INPUTS - hotInputs) / BATCH),
    hotBatches: Math.ceil(hotInputs / BATCH),
    rate: fixedRate(shuffleRate),
  });
  let total = 0;
  for (const { kind, count, endsRound } of scheduler.segments()) {
    total += count * seconds(cost[kind]);
    if (kind === "hot") total += (2 * HOT_BYTES) / cost.syncBytesPerSecond;
    scheduler.completed(count);
    if (endsRound) scheduler.afterRound(Number.NaN);
  }
  return total;
}

test.each([
  [0.2, 100],
  [0.5, 50],
  [0.75, 50],
  [0.75, 10],
])(
  "hot share %f at R(%d): the predicted speed-up is that of the walked epoch within 10 %%",
  (share, rate) => {
    const cost = simulatedCost();
    const all = Math.ceil(INPUTS / BATCH) * seconds(cost.cold);
    const walked = all / walkedEpoch(share, rate, cost);
    const run = {
      inputs: INPUTS,
      batchSize: BATCH,
      shuffleRate: rate,
      hotInputShare: share,
      hotBytes: HOT_BYTES,
    };
    const { speedup } = predictRun(run, cost);
    expect(Math.abs(speedup / walked - 1)).toBeLessThan(0.1);
  },
);

test("on the simulated link the Kaggle shape gains 1.3 to 1.8 times at a hot share of 0.6", () => {
  const cost = simulatedCost();
  const all = Math.ceil(INPUTS / BATCH) * seconds(cost.cold);
  const speedup = all / walkedEpoch(0.6, 50, cost);
  expect(speedup).toBeGreaterThan(1.3);
  expect(speedup).toBeLessThan(1.8);
});
