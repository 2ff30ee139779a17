/** @file When windows are loaded, forwarded and written back: the order of moves that each take their time. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { WindowSchedule } from "../../../../src/recsys/embedding/tiered/windowSchedule.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Moves that note what they do; those that `fails` names throw. */
function noted(fails: (move: string) => boolean = () => false) {
  const log: string[] = [];
  const move = async (name: string): Promise<void> => {
    await turn();
    if (fails(name)) throw new Error(`${name} fails`);
    log.push(name);
  };
  const moves = {
    load: (buffer: number, rows: string) => move(`load ${rows} ${buffer}`),
    gather: (buffer: number) => move(`gather ${buffer}`),
    writeBack: (buffer: number) => move(`write back ${buffer}`),
  };
  const forward = (buffer: number, updated: number) => () => move(`forward ${updated} to ${buffer}`);
  return { log, moves, forward };
}

/** One step in buffer 0 and the next in buffer 1, which is staged before the update of the first. */
async function twoSteps(earlyGather: boolean): Promise<string[]> {
  const { log, moves, forward } = noted();
  const schedule = new WindowSchedule(moves, 2, earlyGather);
  schedule.staged(0, true, schedule.pending(0));
  await schedule.ready(0);
  schedule.staged(1, true, schedule.pending(1));
  for (let turns = 0; turns < 5; turns++) await turn();
  log.push("update 0");
  schedule.updated(0);
  await schedule.refreshed(1, 0, forward(1, 0));
  await schedule.ready(1);
  await schedule.free(0);
  return log;
}

describe("the schedule of windows", () => {
  test("loads what does not conflict ahead of the update under early gather, else all after it", async () => {
    const early = await twoSteps(true);
    expect(early.slice(0, 5)).toEqual(["load all 0", "gather 0", "load early 1", "update 0", early[4]]);
    expect(early.slice(4).toSorted()).toEqual(["forward 0 to 1", "gather 1", "write back 0"]);
    const late = await twoSteps(false);
    expect(late.slice(0, 3)).toEqual(["load all 0", "gather 0", "update 0"]);
    expect(late.slice(3).toSorted()).toEqual(["forward 0 to 1", "gather 1", "load late 1", "write back 0"]);
    expect(late.indexOf("load late 1")).toBeGreaterThan(late.indexOf("forward 0 to 1"));
  });

  test("reads every row with all updates before, whatever is staged ahead and however long moves take", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 1e6 }),
        async (buffers, earlyGather, seed) => {
          expect(await simulate(buffers, earlyGather, new Rng(seed))).toEqual([]);
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });

  test("a load that fails fails what waits for it, and not the next batch", async () => {
    let isBroken = true;
    const { moves } = noted((move) => isBroken && move.startsWith("load"));
    const schedule = new WindowSchedule(moves, 1, false);
    schedule.staged(0, true, []);
    await expect(schedule.ready(0)).rejects.toThrow("load all 0 fails");
    isBroken = false;
    await schedule.free(0);
    schedule.staged(0, true, []);
    await schedule.ready(0);
  });

  test("a write-back that fails has lost updates: nothing is staged after it", async () => {
    const { moves } = noted((move) => move === "write back 0");
    const schedule = new WindowSchedule(moves, 2, false);
    schedule.staged(0, true, []);
    await schedule.ready(0);
    schedule.updated(0);
    await expect(schedule.free(0)).rejects.toThrow("write back 0 fails");
    await expect(schedule.writtenBack()).rejects.toThrow("write back 0 fails");
    schedule.staged(1, true, schedule.pending(1));
    await expect(schedule.ready(1)).rejects.toThrow("write back 0 fails");
  });

  test("counts the seconds of moves, and those that somebody waited", async () => {
    const { moves } = noted();
    const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    const schedule = new WindowSchedule({ ...moves, load: () => sleep(60) }, 1, false);
    schedule.staged(0, true, []);
    await sleep(30);
    await schedule.ready(0);
    expect(schedule.gatherSeconds).toBeGreaterThan(0.055);
    expect(schedule.exposedSeconds).toBeGreaterThan(0.01);
    expect(schedule.exposedSeconds).toBeLessThan(schedule.gatherSeconds - 0.02);
    const { exposedSeconds } = schedule;
    // A batch of popular rows only waits for nothing.
    await schedule.free(0);
    schedule.staged(0, false, []);
    await schedule.ready(0);
    expect(schedule.exposedSeconds).toBe(exposedSeconds);
  });
});

/**
 * Steps over 6 rows that count their updates, in a table and in windows that only the schedule keeps in order.
 * @returns what was read too old
 */
async function simulate(buffers: number, earlyGather: boolean, rng: Rng): Promise<string[]> {
  const pause = async (): Promise<void> => {
    for (let turns = rng.integer(4); turns > 0; turns--) await turn();
  };
  const table = new Int32Array(6);
  const windows = Array.from({ length: buffers }, () => new Map<number, number>());
  const listed: number[][] = windows.map(() => []);
  const lists = windows.map(() => ({ all: [] as number[], early: [] as number[], late: [] as number[] }));
  const moves = {
    async load(buffer: number, rows: "all" | "early" | "late"): Promise<void> {
      for (const row of lists[buffer]![rows]) {
        await pause();
        windows[buffer]!.set(row, table[row]!);
      }
    },
    gather: () => pause(),
    async writeBack(buffer: number): Promise<void> {
      for (const row of listed[buffer]!) {
        await pause();
        table[row] = windows[buffer]!.get(row)!;
      }
    },
  };
  const schedule = new WindowSchedule(moves, buffers, earlyGather);
  const updates = new Int32Array(6);
  const wrong: string[] = [];
  const stage = async (buffer: number): Promise<void> => {
    await schedule.free(buffer);
    windows[buffer]!.clear();
    const rows = [...updates.keys()].filter(() => rng.integer(2) === 0);
    listed[buffer] = rows;
    const pending = schedule.pending(buffer);
    const conflicts = (row: number) => pending.some((other) => listed[other]!.includes(row));
    const late = earlyGather ? rows.filter(conflicts) : [...rows];
    lists[buffer] = { all: rows, early: rows.filter((row) => !late.includes(row)), late };
    schedule.staged(buffer, rows.length > 0, pending);
  };
  const ahead = buffers - 1;
  const steps = 8;
  for (let i = 0; i < ahead; i++) await stage(i);
  for (let i = 0; i < steps; i++) {
    if (i + ahead < steps) await stage((i + ahead) % buffers);
    const buffer = i % buffers;
    await schedule.ready(buffer);
    for (const row of listed[buffer]!) {
      const value = windows[buffer]!.get(row);
      if (value !== updates[row]) wrong.push(`step ${i}, row ${row}: ${value}, not ${updates[row]}`);
      windows[buffer]!.set(row, ++updates[row]!);
    }
    schedule.updated(buffer);
    for (let later = i + 1; later <= Math.min(i + ahead, steps - 1); later++) {
      const target = later % buffers;
      await schedule.refreshed(target, buffer, async () => {
        await pause();
        for (const row of listed[target]!) {
          if (!listed[buffer]!.includes(row)) continue;
          windows[target]!.set(row, windows[buffer]!.get(row)!);
          lists[target]!.late = lists[target]!.late.filter((other) => other !== row);
        }
      });
    }
  }
  await schedule.freeAll();
  for (const [row, count] of updates.entries()) {
    if (table[row] !== count) wrong.push(`row ${row} in the table: ${table[row]}, not ${count}`);
  }
  return wrong;
}
