/** @file The shuffle scheduler: rounds, rates (D12), syncs (D11), exactly-once epochs and resumption. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { predictRun, predictedSpeedup } from "../../../../../src/recsys/strategies/fae/costModel.ts";
import type { Segment, SchedulerOptions } from "../../../../../src/recsys/strategies/fae/scheduler.ts";
import { ShuffleScheduler, syncCount } from "../../../../../src/recsys/strategies/fae/scheduler.ts";
import { fixedRate, shuffleRatePolicies } from "../../../../../src/recsys/strategies/fae/shuffleRate.ts";
import type { RunEvent } from "../../../../../src/run/events.ts";

/** Runs an epoch to its end; `loss` is asked after each round. */
function epoch(scheduler: ShuffleScheduler, loss?: () => number): Segment[] {
  const segments: Segment[] = [];
  for (const segment of scheduler.segments()) {
    segments.push(segment);
    scheduler.completed(segment.count);
    if (segment.endsRound && loss !== undefined) scheduler.afterRound(loss());
  }
  return segments;
}

const fixed = (shuffleRate: number, more: Partial<SchedulerOptions> = {}) =>
  new ShuffleScheduler({ coldBatches: 1200, hotBatches: 1100, rate: fixedRate(shuffleRate), ...more });

/** The adaptive policy that starts at a rate. */
const adaptive = (start = 50) => shuffleRatePolicies.parse({ name: "adaptive", start }, "test").create();

/** The rate after each of some losses. */
function rates(losses: number[], shuffleRate = 50): number[] {
  const scheduler = new ShuffleScheduler({ coldBatches: 1e6, hotBatches: 1e6, rate: adaptive(shuffleRate) });
  return losses.map((loss) => {
    scheduler.afterRound(loss);
    return scheduler.shuffleRate;
  });
}

/** Trains batch by batch, with the loss a function of progress; saves and restores before batch `stop`. */
function run(stop: number | null) {
  const options = { coldBatches: 37, hotBatches: 23, rate: adaptive(30) };
  let scheduler = new ShuffleScheduler(options);
  const trained: string[] = [];
  for (let e = 0; e < 2; e++) {
    if (e > 0) scheduler.startEpoch();
    for (let segment = scheduler.next(); segment !== null; segment = scheduler.next()) {
      if (trained.length === stop) {
        scheduler = new ShuffleScheduler(options, JSON.parse(JSON.stringify(scheduler.state)));
        expect(scheduler.next()).toEqual(segment);
      }
      trained.push(`${e} ${segment.kind} ${segment.firstBatch}`);
      scheduler.completed();
      if (scheduler.awaitsLoss) scheduler.afterRound(Math.sin(trained.length));
    }
  }
  return { trained, trace: scheduler.trace };
}

describe("rounds", () => {
  test("take the rate's share of each class, rounded up, the rest in the last", () => {
    const scheduler = fixed(40, { coldBatches: 11, hotBatches: 6 });
    const brief = epoch(scheduler).map(({ kind, firstBatch, count, round, endsRound }) => [
      kind,
      firstBatch,
      count,
      round,
      endsRound,
    ]);
    expect(brief).toEqual([
      ["cold", 0, 5, 0, false],
      ["hot", 0, 3, 0, true],
      ["cold", 5, 5, 1, false],
      ["hot", 3, 3, 1, true],
      ["cold", 10, 1, 2, true],
    ]);
  });

  test("start with hot batches on request, and skip a class that has none", () => {
    expect(epoch(fixed(100, { order: "hot-first" })).map(({ kind }) => kind)).toEqual(["hot", "cold"]);
    expect(epoch(fixed(50, { coldBatches: 0 })).map(({ kind }) => kind)).toEqual(["hot", "hot"]);
    expect(epoch(fixed(50, { coldBatches: 0, hotBatches: 0 }))).toEqual([]);
  });

  test("train every batch exactly once an epoch, in order, at any rate (I3)", () => {
    const losses = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 });
    const settings = fc.record({
      coldBatches: fc.nat(300),
      hotBatches: fc.nat(300),
      rate: fc
        .tuple(fc.double({ min: 1, max: 100, noNaN: true }), fc.boolean())
        .map(([rate, isAdaptive]) => (isAdaptive ? adaptive(rate) : fixedRate(rate))),
      order: fc.constantFrom("cold-first" as const, "hot-first" as const),
    });
    fc.assert(
      fc.property(settings, losses, (options, losses) => {
        const scheduler = new ShuffleScheduler(options);
        let told = 0;
        for (let e = 0; e < 2; e++) {
          if (e > 0) scheduler.startEpoch();
          const next = { cold: 0, hot: 0 };
          for (const { kind, firstBatch, count, epoch: at } of epoch(
            scheduler,
            () => losses[told++ % losses.length]!,
          )) {
            expect(at).toBe(e);
            expect(firstBatch).toBe(next[kind]);
            expect(count).toBeGreaterThan(0);
            next[kind] += count;
          }
          expect(next).toEqual({ cold: options.coldBatches, hot: options.hotBatches });
        }
      }),
    );
  });

  test.each([0, 0.5, 101, Number.NaN])("refuse a rate of %d", (rate) => {
    for (const text of [`fixed:rate=${rate}`, `adaptive:start=${rate}`])
      expect(() => shuffleRatePolicies.parse(text, "test")).toThrowError(`got "${rate}"`);
  });
});

describe("synchronisations (D11)", () => {
  test.each([
    [100, 2],
    [50, 4],
    [10, 20],
    [1, 200],
  ])("R(%i) needs %i an epoch", (rate, syncs) => {
    // Whole batches at every rate, so that R(1) has its 100 rounds.
    expect(syncCount(epoch(fixed(rate, { hotBatches: 1200 })))).toBe(syncs);
  });

  test("odd numbers of batches leave no stub round: R(50) still needs 4", () => {
    for (let batches = 3; batches < 60; batches += 2) {
      expect(syncCount(epoch(fixed(50, { coldBatches: batches, hotBatches: batches + 4 })))).toBe(4);
    }
  });

  test("hot segments that follow one another need none in between", () => {
    expect(syncCount([{ kind: "hot" }, { kind: "hot" }, { kind: "cold" }, { kind: "hot" }])).toBe(4);
    expect(syncCount([{ kind: "cold" }])).toBe(0);
  });
});

describe("adaptive rate (D12)", () => {
  test("halves on a rise, doubles on the fourth fall in a row", () => {
    expect(rates([5, 4, 3, 2, 1, 1.5, 1.4, 1.3, 1.2, 1.1])).toEqual([
      50, 50, 50, 50, 100, 50, 50, 50, 50, 100,
    ]);
  });

  test("stays within 1 and 100", () => {
    expect(rates([1, 2, 3, 4, 5, 6, 7, 8, 9])).toEqual([50, 25, 12.5, 6.25, 3.125, 1.5625, 1, 1, 1]);
    expect(rates([9, 8, 7, 6, 5, 4, 3, 2, 1], 60)).toEqual([60, 60, 60, 60, 100, 100, 100, 100, 100]);
  });

  test("neither rises nor falls on an equal loss, which ends a run of falls", () => {
    expect(rates([5, 4, 3, 2, 2, 1, 0.9, 0.8, 0.7])).toEqual([50, 50, 50, 50, 50, 50, 50, 50, 100]);
  });

  test.each([Number.NaN, Infinity])(
    "takes a loss of %d as risen, and compares with the last finite one",
    (loss) => {
      expect(rates([5, loss, 4])).toEqual([50, 25, 25]);
      const scheduler = new ShuffleScheduler({ coldBatches: 4, hotBatches: 4, rate: adaptive() });
      scheduler.afterRound(loss);
      expect(JSON.parse(JSON.stringify(scheduler.state))).toEqual(scheduler.state);
    },
  );

  test("does not move in fixed mode, but is traced all the same", () => {
    const events: RunEvent[] = [];
    const scheduler = fixed(50, { onEvent: (event) => events.push(event) });
    let loss = 0;
    epoch(scheduler, () => ++loss);
    expect(scheduler.trace).toEqual([
      { epoch: 0, round: 0, shuffleRate: 50, loss: 1, action: "hold" },
      { epoch: 0, round: 1, shuffleRate: 50, loss: 2, action: "hold" },
    ]);
    expect(
      events.map((event) => event.event === "decision" && [event.kind, event.policy, event.step]),
    ).toEqual([
      ["recsys.rate", "fixed", 1150],
      ["recsys.rate", "fixed", 2300],
    ]);
  });

  test("acts on the round after, and remembers across epochs", () => {
    const scheduler = new ShuffleScheduler({ coldBatches: 100, hotBatches: 100, rate: adaptive(25) });
    const losses = [1, 2, 3];
    const cold = epoch(scheduler, () => losses.shift() ?? 3).filter(({ kind }) => kind === "cold");
    // 25 % twice, since the first loss has none to compare with; then 12.5 % and 6.25 %, rounded up.
    expect(cold.map(({ count }) => count)).toEqual([25, 25, 13, 7, 7, 7, 7, 7, 2]);
    scheduler.startEpoch();
    expect(scheduler.next()).toMatchObject({ kind: "cold", count: 7, epoch: 1, round: 0 });
    expect(scheduler.trace.slice(0, 4).map(({ shuffleRate, action }) => [shuffleRate, action])).toEqual([
      [25, "hold"],
      [12.5, "halve"],
      [6.25, "halve"],
      [6.25, "hold"],
    ]);
  });
});

describe("resumption", () => {
  test("from any batch, the middle of a segment too, gives the same batches and rates", () => {
    const whole = run(null);
    expect(whole.trained.length).toBe(120);
    expect(whole.trace.some(({ action }) => action === "halve")).toBe(true);
    for (let stop = 0; stop < 120; stop++) expect(run(stop)).toEqual(whole);
  });

  test("between a round and its evaluation says that the loss is wanted", () => {
    const scheduler = fixed(50, { coldBatches: 2, hotBatches: 2 });
    scheduler.next();
    scheduler.completed();
    expect(scheduler.awaitsLoss).toBe(false);
    scheduler.next();
    scheduler.completed();
    const options = { coldBatches: 2, hotBatches: 2, rate: fixedRate(50) };
    const restored = new ShuffleScheduler(options, scheduler.state);
    expect(restored.awaitsLoss).toBe(true);
    restored.afterRound(0.5);
    expect(restored.awaitsLoss).toBe(false);
    expect(restored.trace.at(-1)).toMatchObject({ epoch: 0, round: 0, loss: 0.5 });
  });

  test("more batches than the segment has, or an early new epoch, are defects", () => {
    const scheduler = fixed(50, { coldBatches: 4, hotBatches: 4 });
    expect(() => scheduler.startEpoch()).toThrowError(/epoch/);
    expect(() => scheduler.completed(3)).toThrowError(/segment of 2/);
  });
});

describe("cost model", () => {
  test("is 1 / ((1 − h) + h·ρ + s)", () => {
    expect(predictedSpeedup(0, 0.3, 0)).toBe(1);
    // With negligible sync, 1.52 times means h·(1 − ρ) = 0.342.
    expect(predictedSpeedup(0.684, 0.5, 0)).toBeCloseTo(1.52, 2);
    expect(predictedSpeedup(0.5, 0.5, 0.25)).toBe(1);
  });

  test("counts the syncs of the scheduler and their bytes", () => {
    const cold = { gather: 2e-3, copyIn: 1e-3, dense: 4e-3, copyOut: 1e-3, scatter: 2e-3 };
    const hot = { gather: 0.5e-3, copyIn: 0, dense: 4e-3, copyOut: 0, scatter: 0.5e-3 };
    const run = { inputs: 100_000, batchSize: 100, shuffleRate: 10, hotInputShare: 0.6, hotBytes: 1e6 };
    const prediction = predictRun(run, { cold, hot, syncBytesPerSecond: 1e8 });
    expect(prediction).toEqual({
      hotInputShare: 0.6,
      hotToCold: expect.closeTo(0.5, 12),
      syncsPerEpoch: 20,
      syncBytesPerEpoch: 2e7,
      // 0.2 s of 1000 batches of 10 ms.
      syncShare: expect.closeTo(0.02, 12),
      speedup: expect.closeTo(1 / 0.72, 12),
    });
  });
});
