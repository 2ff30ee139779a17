/** @file Which rows are in the fast memory, and what moves when that changes. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { ThreadPool } from "../../../../src/engine/targets/cpu/index.ts";
import type { Lookups } from "../../../../src/recsys/data/batches/clickBatch.ts";
import { TieredEmbeddings } from "../../../../src/recsys/embedding/tiered/tieredEmbeddings.ts";
import { OPTIMIZERS, randomLookups } from "../../../support/recsys/referenceTables.ts";
import {
  BATCH,
  CARDINALITIES,
  createTables,
  createTiers,
  disposeTiers,
  everything,
  FIRST_ROWS,
  MAX_LOOKUPS,
  pipelined,
  popularParts,
  randomRows,
  ROWS,
  serially,
  slowPool,
  type Step,
  type Tiers,
  type TiersSetting,
} from "../../../support/recsys/tieredRuns.ts";

let pool: ThreadPool;
beforeAll(async () => {
  pool = await ThreadPool.create(2);
});
afterAll(() => pool.dispose());

const SGD = { kind: "sgd" } as const;

function wholeSteps(count: number, seed: number): Step[] {
  return Array.from({ length: count }, (_, i) => [
    randomLookups(new Rng(seed, i), CARDINALITIES, BATCH, true),
  ]);
}

const partsOf = (steps: readonly Step[], popular: Uint32Array): Step[] =>
  steps.map(([lookups]) => popularParts(lookups!, popular));

/** One input with a lookup in each table. */
function oneInput(...ids: number[]): Lookups {
  return { size: 1, tables: CARDINALITIES.length, ids: Int32Array.from(ids), offsets: null };
}

describe("a change of the popular rows", () => {
  test("in the middle of a run changes no result, whatever it swaps", async () => {
    const sets = [randomRows(new Rng(1), 60), new Uint32Array(0), randomRows(new Rng(2), ROWS)];
    const swapped = Uint32Array.from({ length: ROWS }, (_, row) => row).filter(
      (row) => !sets[0]!.includes(row),
    );
    for (const optimizer of OPTIMIZERS) {
      for (const poison of [false, true]) {
        const tiers = await createTiers(pool, { optimizer, poison, earlyGather: true });
        const tables = await createTables(pool, { optimizer });
        const order = [sets[0]!, swapped, sets[0]!, sets[1]!, sets[2]!, swapped.slice(0, 30)];
        for (const [i, popular] of order.entries()) {
          const steps = partsOf(wholeSteps(5, i), popular);
          await tiers.tiered.setPopular(popular);
          expect(tiers.tiered.size).toBe(popular.length);
          await pipelined(tiers.tiered, steps, { firstStep: 5 * i + 1 });
          await serially(tables, steps, { firstStep: 5 * i + 1 });
          // Evaluations and checkpoints in between, or none.
          if (i % 2 === 1) {
            await tiers.tiered.flush();
            expect(everything(tiers.tables)).toEqual(everything(tables));
          }
        }
        await tiers.tiered.flush();
        expect(everything(tiers.tables)).toEqual(everything(tables));
        await disposeTiers(tiers);
        await tables.dispose();
      }
    }
  });

  test("loses no row: at rate 0 every weight and state stays, over swaps of the whole set", async () => {
    const half = randomRows(new Rng(4), 117);
    const others = Uint32Array.from({ length: ROWS }, (_, row) => row).filter((row) => !half.includes(row));
    const optimizer = { kind: "adam", beta1: 0.9, beta2: 0.99, epsilon: 1e-8 } as const;
    for (const poison of [true, false]) {
      const tiers = await createTiers(slowPool(pool, new Rng(6)), { optimizer, poison, capacity: 120 });
      const tables = await createTables(pool, { optimizer });
      const before = everything(tiers.tables)[0]!;
      for (const [i, popular] of [half, others, half, others.slice(0, 20), half].entries()) {
        const change = await tiers.tiered.setPopular(popular);
        if (i === 1) {
          expect(change).toMatchObject({ evicted: 117, inserted: 118 });
          expect(change.toFastBytes).toBe(118 * tiers.tables.format.rowBytes);
        }
        const steps = partsOf(wholeSteps(4, 20 + i), popular);
        await pipelined(tiers.tiered, steps, { learningRate: 0, firstStep: 4 * i + 1 });
        await serially(tables, steps, { learningRate: 0, firstStep: 4 * i + 1 });
      }
      await tiers.tiered.flush();
      const after = everything(tiers.tables);
      expect(after[0]).toEqual(before);
      // Moments moved, the same as in one memory.
      expect(after).toEqual(everything(tables));
      await disposeTiers(tiers);
      await tables.dispose();
    }
  });

  test("moves only rows that come or go, and of those that go only what has changed", async () => {
    const tiers = await createTiers(pool, { optimizer: SGD });
    const { tiered } = tiers;
    const { rowBytes } = tiers.tables.format;
    await tiered.setPopular(Uint32Array.of(0, 30, 35, 36, 37));
    expect(tiered.traffic.toFastBytes).toBe(0);
    await serially(tiered, [[oneInput(0, 0, 1)]]);
    // The popular rows came in, and none of the window's.
    expect(tiered.traffic).toMatchObject({ toFastBytes: 5 * rowBytes, toTablesBytes: 0 });
    // 0 and 36 have changed, 35 and 37 have not; 30 stays.
    const change = await tiered.setPopular(Uint32Array.of(30, 40, 0));
    expect(change).toMatchObject({
      evicted: 3,
      inserted: 1,
      toTablesBytes: rowBytes,
      toFastBytes: rowBytes,
    });
    expect(await tiered.setPopular(Uint32Array.of(0, 30, 40))).toMatchObject({ evicted: 0, inserted: 0 });
    await disposeTiers(tiers);
  });

  test("needs what is staged to be staged again", async () => {
    const tiers = await createTiers(pool, { optimizer: SGD });
    const { tiered } = tiers;
    for (const barrier of [() => tiered.setPopular(Uint32Array.of(1)), () => tiered.flush()]) {
      await tiered.stage(0, oneInput(1, 1, 1));
      await barrier();
      await expect(tiered.ready(0, 0)).rejects.toMatchObject({ code: "STAGING_BUFFER_EMPTY" });
      await expect(tiered.update(0, 1, 1)).rejects.toMatchObject({ code: "STAGING_BUFFER_EMPTY" });
    }
    await disposeTiers(tiers);
  });

  test("must fit the budget and name rows once; a refusal changes nothing", async () => {
    const tiers = await createTiers(pool, { optimizer: SGD, capacity: 3, popular: Uint32Array.of(4, 5) });
    const { tiered } = tiers;
    for (const [code, rows] of [
      ["TIERED_BUDGET", [1, 2, 3, 4]],
      ["HOT_ROW_DUPLICATE", [4, 6, 4]],
      ["HOT_ROW_OUT_OF_RANGE", [235]],
    ] as const) {
      await expect(tiered.setPopular(Uint32Array.from(rows))).rejects.toMatchObject({ code });
    }
    expect(tiered.size).toBe(2);
    await serially(tiered, [[oneInput(4, 1, 1)]]);
    expect(tiered.traffic.forwardedBytes).toBe(0);
    await disposeTiers(tiers);
  });
});

describe("the budget", () => {
  const create = async (budgetBytes: number): Promise<Tiers> => {
    const tables = await createTables(pool, {
      optimizer: { kind: "adam", beta1: 0.9, beta2: 0.9, epsilon: 1 },
    });
    const options = { tables, budgetBytes, stagingBuffers: 1, maxBatch: BATCH, maxLookups: MAX_LOOKUPS };
    return { tables, tiered: await TieredEmbeddings.create(options) };
  };

  test("must hold a row with its state", async () => {
    for (const budget of [71, 0, -1, Number.NaN]) {
      await expect(create(budget)).rejects.toMatchObject({
        code: "TIERED_BUDGET",
        message: `the budget must hold a row with its optimizer state, 72 bytes, got ${budget}`,
      });
    }
  });

  test("counts rows with their state, and no more rows than there are", async () => {
    for (const [budget, capacity] of [
      [72, 1],
      [143, 1],
      [144, 2],
      [1e12, ROWS],
    ] as const) {
      const tiers = await create(budget);
      expect(tiers.tiered.capacity).toBe(capacity);
      await disposeTiers(tiers);
    }
  });
});

describe("rows", () => {
  test("are in one place: every other copy is NaN under poison, and none after a flush", async () => {
    const popular = Uint32Array.of(2, 33, 40);
    const tiers = await createTiers(pool, { optimizer: SGD, popular, poison: true });
    const { tables, tiered } = tiers;
    const nanRows = () =>
      CARDINALITIES.flatMap((rows, t) => {
        const { weights } = tables.readRows(t, 0, rows);
        const isNaN = (row: number) => weights.subarray(row * 6, row * 6 + 6).every(Number.isNaN);
        return Array.from({ length: rows }, (_, row) => row)
          .filter(isNaN)
          .map((row) => FIRST_ROWS[t]! + row);
      });
    expect(nanRows()).toEqual([]);
    await serially(tiered, [[oneInput(2, 0, 9)]]);
    await tiered.readWeights(popular, new Float32Array(18));
    expect(nanRows()).toEqual([...popular]);
    const weights = new Float32Array(4 * 6);
    await tiered.readWeights(Uint32Array.of(40, 2, 44, 33), weights);
    expect(weights.every(Number.isFinite)).toBe(true);
    await tiered.flush();
    expect(nanRows()).toEqual([]);
    const flushed = new Float32Array(4 * 6);
    await tiered.readWeights(Uint32Array.of(40, 2, 44, 33), flushed);
    expect(flushed).toEqual(weights);
    expect([...flushed.subarray(6, 12)]).toEqual([...tables.readRows(0, 2, 1).weights]);
    await expect(tiered.readWeights(Uint32Array.of(235), new Float32Array(6))).rejects.toMatchObject({
      code: "ROWS_RANGE",
    });
    await expect(tiered.readWeights(Uint32Array.of(1), new Float32Array(5))).rejects.toMatchObject({
      code: "ROWS_LENGTH",
    });
    await disposeTiers(tiers);
  });

  test("that others change in the tables after a flush are read from there", async () => {
    const popular = Uint32Array.of(2, 3);
    for (const poison of [false, true]) {
      const tiers = await createTiers(pool, { optimizer: SGD, popular, poison });
      const { tables, tiered } = tiers;
      for (let round = 1; round <= 3; round++) {
        await serially(tiered, [[oneInput(2, 0, 9)]]);
        await tiered.flush();
        tables.writeRows(0, 2, { weights: new Float32Array(6).fill(round), state: {} });
        await tiered.stage(0, oneInput(2, 0, 9));
        await tiered.ready(0, 0);
        expect([...(tiered.rows(0) as Float32Array).subarray(0, 6)]).toEqual(Array(6).fill(round));
      }
      await disposeTiers(tiers);
    }
  });

  test("cross the bus once a step and only if they are not popular", async () => {
    const popular = Uint32Array.of(0, 1, 30);
    const tiers = await createTiers(pool, { optimizer: OPTIMIZERS[2]!, popular, earlyGather: true });
    const { tiered } = tiers;
    const { rowBytes } = tiers.tables.format;
    // Rows 5, 36 and 37 are not popular; 36 is read twice.
    const lookups: Lookups = {
      size: 2,
      tables: 3,
      ids: Int32Array.of(0, 5, 0, 0, 1, 1, 2),
      offsets: Int32Array.of(0, 1, 2, 3, 4, 6, 7),
    };
    await serially(tiered, [[lookups]]);
    await tiered.flush();
    // One popular row of each of tables 0 and 1 has changed.
    expect(tiered.traffic).toMatchObject({
      toFastBytes: (3 + 3) * rowBytes,
      toTablesBytes: (3 + 2) * rowBytes,
      forwardedBytes: 0,
    });
    await pipelined(tiered, [[lookups], [lookups]]);
    await tiered.flush();
    // No popular row came in, as the tables have changed none; the second batch has its rows from the first one's window.
    expect(tiered.traffic).toMatchObject({
      toFastBytes: (6 + 3) * rowBytes,
      toTablesBytes: (5 + 6 + 2) * rowBytes,
      forwardedBytes: 3 * rowBytes,
    });
    expect(tiered.traffic.gatherSeconds).toBeGreaterThan(0);
    await disposeTiers(tiers);
  });
});

describe("lookups", () => {
  test("of popular rows only are there once they are staged; others when they are ready", async () => {
    const setting: TiersSetting = { optimizer: SGD, popular: Uint32Array.of(0, 30, 35) };
    let isOpen = false;
    const held: (() => void)[] = [];
    const slow = slowPool(pool, null);
    const gated = {
      ...slow,
      async run(tasks: Parameters<ThreadPool["run"]>[0]) {
        if (tasks.some(({ kernel }) => kernel === "moveRows") && !isOpen) {
          await new Promise<void>((resolve) => held.push(resolve));
        }
        await slow.run(tasks);
      },
    } as unknown as ThreadPool;
    const tiers = await createTiers(gated, setting);
    const { tiered, tables } = tiers;
    isOpen = true;
    await tiered.stage(0, oneInput(0, 0, 0));
    isOpen = false;
    const wanted = tables.readRows(2, 1, 1).weights;
    await tiered.stage(1, oneInput(0, 0, 0), oneInput(0, 0, 1));
    await tiered.ready(1, 0);
    expect((tiered.rows(1, 0) as Float32Array).subarray(12)).toEqual(tables.readRows(2, 0, 1).weights);
    let isReady = false;
    const ready = tiered.ready(1, 1).then(() => (isReady = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isReady).toBe(false);
    isOpen = true;
    for (const open of held.splice(0)) open();
    await ready;
    expect((tiered.rows(1, 1) as Float32Array).subarray(12)).toEqual(wanted);
    expect(tiered.traffic.exposedSeconds).toBeGreaterThan(0.015);
    await disposeTiers(tiers);
  });

  test("that are wrong are refused as elsewhere, and the buffer can be staged again", async () => {
    const tiers = await createTiers(pool, { optimizer: SGD, popular: Uint32Array.of(0, 34, 100) });
    const { tiered, tables } = tiers;
    const lookups = randomLookups(new Rng(1), CARDINALITIES, 4, true);
    const wrong: [Lookups, string][] = [
      [oneInput(0, 5, 0), "LOOKUP_OUT_OF_RANGE"],
      [oneInput(-1, 0, 0), "LOOKUP_OUT_OF_RANGE"],
      [oneInput(0, 0, 200), "LOOKUP_OUT_OF_RANGE"],
      [{ ...lookups, tables: 2 }, "LOOKUPS_SHAPE"],
      [
        { ...lookups, offsets: lookups.offsets!.map((offset, i) => (i === 2 ? 30 : offset)) },
        "LOOKUPS_OFFSETS",
      ],
    ];
    await tiered.stage(1, oneInput(3, 0, 0));
    for (const [batch, code] of wrong) {
      const error = await tables.stage(0, batch).catch((thrown: unknown) => thrown as Error);
      await expect(tiered.stage(0, batch)).rejects.toMatchObject({ code, message: (error as Error).message });
      await expect(tiered.ready(0, 0)).rejects.toMatchObject({ code: "STAGING_BUFFER_EMPTY" });
    }
    await expect(tiered.ready(1, 1)).rejects.toMatchObject({ code: "PART_INVALID" });
    await tiered.stage(0, oneInput(3, 0, 0));
    await tiered.update(1, 1, 1);
    await tiered.refresh(0, 1);
    await tiered.ready(0, 0);
    await expect(tiered.update(0, Number.NaN, 1)).rejects.toMatchObject({ code: "LEARNING_RATE" });
    await tiered.update(0, 1, 2);
    await tiered.dispose();
    await expect(tiered.stage(0, oneInput(0, 0, 0))).rejects.toMatchObject({ code: "STORE_DISPOSED" });
    await expect(tiered.flush()).rejects.toMatchObject({ code: "STORE_DISPOSED" });
    await tables.dispose();
  });

  test("held back for an update that never comes are loaded when they are asked for", async () => {
    for (const earlyGather of [true, false]) {
      const tiers = await createTiers(pool, { optimizer: SGD, earlyGather, poison: true });
      const { tiered, tables } = tiers;
      await tiered.stage(0, oneInput(3, 0, 0));
      await tiered.stage(1, oneInput(3, 1, 0));
      await tiered.ready(1, 0);
      expect([...(tiered.rows(1) as Float32Array).subarray(0, 6)]).toEqual([
        ...tables.readRows(0, 3, 1).weights,
      ]);
      // The other buffer is staged again without an update, while this one waits for it.
      await tiered.stage(1, oneInput(4, 1, 0));
      await tiered.stage(0, oneInput(4, 1, 2));
      await tiered.stage(1, oneInput(4, 1, 3));
      await tiered.update(0, 1, 1);
      await tiered.refresh(1, 0);
      await tiered.ready(1, 0);
      expect((tiered.rows(1) as Float32Array).every(Number.isFinite)).toBe(true);
      await disposeTiers(tiers);
    }
  });
});
