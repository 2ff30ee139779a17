import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ParetoError } from "../../../../src/base/errors.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { ThreadPool } from "../../../../src/engine/targets/cpu/index.ts";
import { EmbeddingTables } from "../../../../src/recsys/embedding/embeddingTables.ts";
import type { SparseOptimizer } from "../../../../src/recsys/embedding/sparseOptimizer.ts";
import {
  initialElement,
  OPTIMIZERS,
  randomGradients,
  randomLookups,
  ReferenceTables,
} from "../../../support/recsys/referenceTables.ts";
import { leastGrowth } from "../../../support/memoryGrowth.ts";

let pool: ThreadPool;
beforeAll(async () => {
  pool = await ThreadPool.create(2);
});
afterAll(() => pool.dispose());

const CARDINALITIES = [7, 1, 300, 40];

/** Batches with thousands of distinct rows, so that tables take several tasks. */
const LARGE = { dim: 10, maxBatch: 1500, cardinalities: [3, 5000, 900, 5000, 40, 7, 2000] };

interface Setting {
  dim?: number;
  optimizer?: SparseOptimizer;
  cardinalities?: number[];
  stagingBuffers?: number;
  maxBatch?: number;
  arenaBytes?: number;
  seed?: number;
  pool?: ThreadPool;
}

function create(setting: Setting = {}): Promise<EmbeddingTables> {
  const { maxBatch = 16, cardinalities = CARDINALITIES } = setting;
  return EmbeddingTables.create({
    dim: 4,
    optimizer: { kind: "sgd" },
    seed: 5,
    stagingBuffers: 1,
    pool,
    ...setting,
    cardinalities,
    maxBatch,
    maxLookups: maxBatch * cardinalities.length * 6,
  });
}

/** All rows and state of all tables, flat. */
function everything(tables: EmbeddingTables): Float32Array[] {
  return tables.cardinalities.flatMap((rows, t) => {
    const { weights, state } = tables.readRows(t, 0, rows);
    return [weights, ...Object.values(state)];
  });
}

/** Trains on a fixed random stream and returns what was gathered last, and all rows and state. */
async function train(setting: Setting, steps = 6): Promise<Float32Array[]> {
  const tables = await create(setting);
  const rng = new Rng(11);
  let last = new Float32Array(0);
  for (let step = 1; step <= steps; step++) {
    const size = 1 + rng.integer(setting.maxBatch ?? 16);
    await tables.stage(0, randomLookups(rng, tables.cardinalities, size, step % 2 === 0));
    last = tables.rows(0).slice();
    randomGradients(rng, tables.gradients(0));
    await tables.update(0, 0.1, step);
  }
  const result = [last, ...everything(tables)];
  await tables.dispose();
  return result;
}

describe("EmbeddingTables", () => {
  test("start from U(-√(1/n), √(1/n)) as a pure function of seed, table, row and element", async () => {
    for (const [dim, seed] of [
      [1, 0],
      [10, 2 ** 40 + 3],
      [64, 9],
    ] as const) {
      const tables = await create({ dim, seed });
      for (const [t, rows] of CARDINALITIES.entries()) {
        const { weights } = tables.readRows(t, 0, rows);
        const wanted = Float32Array.from(weights, (_, i) =>
          initialElement(seed, t, Math.floor(i / dim), i % dim, rows),
        );
        expect(weights).toEqual(wanted);
      }
      await tables.dispose();
    }
  });

  test("gather and update like the plain reference, for any dimension, optimizer and bags", async () => {
    const widths = [1, 2, 4, 10, 16, 64, 65];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...widths),
        fc.constantFrom(...OPTIMIZERS),
        fc.boolean(),
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 0, max: 1e6 }),
        async (dim, optimizer, isMultiHot, size, seed) => {
          const tables = await create({ dim, optimizer, seed });
          const reference = new ReferenceTables(CARDINALITIES, dim, optimizer, seed);
          const rng = new Rng(seed);
          const exact = optimizer.kind === "sgd";
          for (let step = 1; step <= 3; step++) {
            const lookups = randomLookups(rng, CARDINALITIES, size, isMultiHot);
            await tables.stage(0, lookups);
            expectClose(tables.rows(0), reference.gather(lookups), exact);
            randomGradients(rng, tables.gradients(0));
            reference.update(lookups, tables.gradients(0), 0.1, step);
            await tables.update(0, 0.1, step);
          }
          for (const [t, weights] of reference.weights.entries()) {
            expectClose(tables.readRows(t, 0, CARDINALITIES[t]!).weights, weights, exact);
          }
          await tables.dispose();
        },
      ),
      { numRuns: 60, seed: 1, examples: widths.flatMap((d) => OPTIMIZERS.map((o) => ex(d, o))) },
    );
  });

  test("pool an empty bag to zeros, and a duplicate twice", async () => {
    const tables = await create({ dim: 5, cardinalities: [3, 3] });
    const ids = Int32Array.of(2, 1, 1);
    const offsets = Int32Array.of(0, 1, 1, 3, 3);
    await tables.stage(0, { size: 2, tables: 2, ids, offsets });
    const row = [...tables.readRows(0, 2, 1).weights];
    const twice = tables.readRows(1, 1, 1).weights.map((x) => x + x);
    expect([...tables.rows(0)]).toEqual([...row, ...twice, ...Array.from({ length: 10 }, () => 0)]);
    await tables.dispose();
  });

  test("rowwise Adagrad: three hits of a row are one update with the summed gradient (D3)", async () => {
    const tables = await create({
      dim: 2,
      cardinalities: [4],
      optimizer: { kind: "rwsadagrad", epsilon: 1e-10 },
    });
    const before = tables.readRows(0, 0, 4);
    const lookups = { size: 4, tables: 1, ids: Int32Array.of(1, 1, 3, 1), offsets: null };
    await tables.stage(0, lookups);
    tables.gradients(0).set([1, 2, 3, -1, 9, 9, 0.5, 0.5]);
    await tables.update(0, 0.1, 1);
    // Σg = (4.5, 1.5): m = (20.25 + 2.25) / 2 = 11.25.
    const one = tables.readRows(0, 0, 4);
    expect(one.state["sum"]![1]).toBeCloseTo(11.25, 6);
    expect(one.weights[2]).toBeCloseTo(before.weights[2]! - (0.1 * 4.5) / Math.sqrt(11.25), 6);
    expect(one.weights[3]).toBeCloseTo(before.weights[3]! - (0.1 * 1.5) / Math.sqrt(11.25), 6);
    await tables.stage(0, { ...lookups, ids: Int32Array.of(1, 3, 3, 3) });
    tables.gradients(0).set([1, -3, 0, 0, 0, 0, 0, 0]);
    await tables.update(0, 0.1, 2);
    // m = 11.25 + (1 + 9) / 2 = 16.25.
    const two = tables.readRows(0, 0, 4);
    expect(two.state["sum"]![1]).toBeCloseTo(16.25, 6);
    expect(two.weights[2]).toBeCloseTo(one.weights[2]! - 0.1 / Math.sqrt(16.25), 6);
    expect(two.weights[3]).toBeCloseTo(one.weights[3]! + 0.3 / Math.sqrt(16.25), 6);
    for (const row of [0, 2]) {
      expect(tables.readRows(0, row, 1).weights).toEqual(before.weights.slice(2 * row, 2 * row + 2));
      expect(two.state["sum"]![row]).toBe(0);
    }
    await tables.dispose();
  });

  test.each(OPTIMIZERS)("give the same bits on 1, 2 and 4 threads ($kind)", async (optimizer) => {
    const setting = { ...LARGE, optimizer };
    const wanted = await train(setting);
    for (const threads of [1, 4]) {
      const other = await ThreadPool.create(threads);
      expect(await train({ ...setting, pool: other })).toEqual(wanted);
      await other.dispose();
    }
  });

  test.each(OPTIMIZERS)("give the same bits when spread over many memories ($kind)", async (optimizer) => {
    for (const dim of [4, 10]) {
      const wanted = await train({ optimizer, dim });
      // Large tables split by rows, all far; then small tables near and large ones far.
      for (const arenaBytes of [2000, 5000, 140_000]) {
        expect(await train({ optimizer, dim, arenaBytes })).toEqual(wanted);
      }
    }
    const wanted = await train({ ...LARGE, optimizer }, 2);
    expect(await train({ ...LARGE, optimizer, arenaBytes: 100_000 }, 2)).toEqual(wanted);
  });

  test("split over memories as asked", async () => {
    const tables = await create({ arenaBytes: 2000 });
    const parts = tables.partsOf(2);
    expect(parts.length).toBeGreaterThan(2);
    expect(new Set(parts.map((part) => part.arena)).size).toBeGreaterThan(2);
    expect(parts.reduce((sum, part) => sum + part.rows, 0)).toBe(300);
    await tables.dispose();
  });

  test.each([undefined, 2000])(
    "staging ahead and refreshing equals serial execution (arena %s)",
    async (arenaBytes) => {
      const setting = {
        dim: 6,
        optimizer: OPTIMIZERS[2]!,
        ...(arenaBytes === undefined ? {} : { arenaBytes }),
      };
      const serial = await create(setting);
      const ahead = await create({ ...setting, stagingBuffers: 3 });
      const rng = new Rng(3);
      const shared = randomLookups(rng, CARDINALITIES, 16, false);
      const batches = Array.from({ length: 40 }, (_, i) =>
        // Runs of batches that read exactly what the one before writes, one-hot and multi-hot, then others.
        i % 4 < 2 ? shared : randomLookups(rng, CARDINALITIES, 1 + rng.integer(16), i % 4 === 3),
      );
      await ahead.stage(0, batches[0]!);
      for (const [i, batch] of batches.entries()) {
        const gradientRng = new Rng(100 + i);
        await serial.stage(0, batch);
        const buffer = i % 3;
        expect(ahead.rows(buffer)).toEqual(serial.rows(0));
        randomGradients(gradientRng, serial.gradients(0));
        ahead.gradients(buffer).set(serial.gradients(0));
        await serial.update(0, 0.3, i + 1);
        const next = (i + 1) % 3;
        const following = batches[i + 1];
        // Staged before, during or after the update: the refresh must make them equal.
        const staging = following === undefined ? undefined : ahead.stage(next, following);
        if (i % 2 === 0) await staging;
        const updating = ahead.update(buffer, 0.3, i + 1);
        await Promise.all([staging, updating]);
        if (following !== undefined) await ahead.refresh(next, buffer);
      }
      expect(everything(ahead)).toEqual(everything(serial));
      await serial.dispose();
      await ahead.dispose();
    },
  );

  test("without the refresh, staged rows are stale", async () => {
    const tables = await create({ stagingBuffers: 2 });
    const lookups = randomLookups(new Rng(1), CARDINALITIES, 8, false);
    await tables.stage(0, lookups);
    await tables.stage(1, lookups);
    tables.gradients(0).fill(1);
    await tables.update(0, 1, 1);
    const stale = tables.rows(1).slice();
    await tables.refresh(1, 0);
    expect(tables.rows(1)).not.toEqual(stale);
    await tables.dispose();
  });

  test("rows and state survive a read and a write under another placement", async () => {
    const setting = { dim: 10, optimizer: OPTIMIZERS[3]! };
    const source = await create(setting);
    const target = await create({ ...setting, seed: 99, arenaBytes: 5000 });
    await source.stage(0, randomLookups(new Rng(1), CARDINALITIES, 16, true));
    randomGradients(new Rng(2), source.gradients(0));
    await source.update(0, 0.1, 1);
    for (const [t, rows] of CARDINALITIES.entries()) {
      for (let first = 0; first < rows; first += 33) {
        target.writeRows(t, first, source.readRows(t, first, Math.min(33, rows - first)));
      }
    }
    expect(everything(target)).toEqual(everything(source));
    expect(Object.keys(source.readRows(0, 0, 1).state)).toEqual(["m", "v"]);
    await source.dispose();
    await target.dispose();
  });

  test("take no more memory over 10,000 steps", async () => {
    const tables = await create({ stagingBuffers: 2, optimizer: OPTIMIZERS[1]! });
    const lookups = randomLookups(new Rng(1), CARDINALITIES, 4, false);
    let step = 0;
    const steps = async () => {
      for (const end = step + 2_000; step < end;) {
        step++;
        await tables.stage(step % 2, lookups);
        await tables.update(step % 2, 0.01, step);
      }
    };
    await steps();
    expect(await leastGrowth(steps)).toBeLessThan(12 * 2 ** 20);
    await tables.dispose();
  });
});

describe("EmbeddingTables refuse", () => {
  const good = { size: 1, tables: 2, ids: Int32Array.of(0, 0), offsets: null };
  const refused: [string, object][] = [
    ["LOOKUP_OUT_OF_RANGE", { ids: Int32Array.of(0, 3) }],
    ["LOOKUP_OUT_OF_RANGE", { ids: Int32Array.of(-1, 0) }],
    ["LOOKUP_OUT_OF_RANGE", { ids: Int32Array.of(0, 3), offsets: Int32Array.of(0, 1, 2) }],
    ["LOOKUPS_SHAPE", { tables: 1 }],
    ["LOOKUPS_SHAPE", { size: 0 }],
    ["LOOKUPS_SHAPE", { size: 17 }],
    ["LOOKUPS_SHAPE", { ids: Int32Array.of(0) }],
    ["LOOKUPS_SHAPE", { offsets: Int32Array.of(0, 1) }],
    ["LOOKUPS_SHAPE", { offsets: Int32Array.of(0, 3, 2) }],
    ["LOOKUPS_SHAPE", { offsets: Int32Array.of(0, 1, 3) }],
    ["LOOKUPS_TOO_MANY", { ids: new Int32Array(500), offsets: Int32Array.of(0, 1, 500) }],
    ["LOOKUPS_OFFSETS", { size: 2, ids: new Int32Array(4), offsets: Int32Array.of(0, 2, 1, 3, 4) }],
  ];
  test.each(refused)("%s %#", async (code, change) => {
    const tables = await create({ cardinalities: [3, 3] });
    const attempt = tables.stage(0, { ...good, ...change });
    await expect(attempt).rejects.toThrow(ParetoError);
    await expect(attempt).rejects.toMatchObject({ code });
    await tables.stage(0, good);
    expect(tables.rows(0)).toHaveLength(8);
    await tables.dispose();
  });

  test("an id out of range by name of table, lookup and value", async () => {
    const tables = await create({ cardinalities: [3, 9] });
    const ids = Int32Array.of(0, 0, 1, 77);
    const attempt = tables.stage(0, { size: 2, tables: 2, ids, offsets: null });
    await expect(attempt).rejects.toMatchObject({ where: "table 1, lookup 1" });
    await expect(attempt).rejects.toThrow(/one of 9 rows, got 77$/);
    await tables.dispose();
  });

  test("use before staging, unknown buffers and rows, and use after disposal", async () => {
    const tables = await create();
    expect(() => tables.rows(0)).toThrow(expect.objectContaining({ code: "STAGING_BUFFER_EMPTY" }));
    expect(() => tables.rows(3)).toThrow(expect.objectContaining({ code: "STAGING_BUFFER_INVALID" }));
    expect(() => tables.readRows(0, 5, 3)).toThrow(expect.objectContaining({ code: "ROWS_RANGE" }));
    const short = { weights: new Float32Array(8), state: { sum: new Float32Array(1) } };
    const adagrad = await create({ optimizer: OPTIMIZERS[1]! });
    expect(() => adagrad.writeRows(0, 0, short)).toThrow(expect.objectContaining({ code: "ROWS_LENGTH" }));
    await adagrad.dispose();
    await tables.dispose();
    await tables.dispose();
    expect(() => tables.rows(0)).toThrow(expect.objectContaining({ code: "STORE_DISPOSED" }));
    expect(() => tables.readRows(0, 0, 1)).toThrow(expect.objectContaining({ code: "STORE_DISPOSED" }));
    const lookups = randomLookups(new Rng(1), CARDINALITIES, 1, false);
    await expect(tables.stage(0, lookups)).rejects.toMatchObject({ code: "STORE_DISPOSED" });
    await expect(tables.update(0, 0.1, 1)).rejects.toMatchObject({ code: "STORE_DISPOSED" });
  });

  test("a learning rate that is not finite, and Adam's step 0", async () => {
    const tables = await create({ optimizer: OPTIMIZERS[3]! });
    await tables.stage(0, randomLookups(new Rng(1), CARDINALITIES, 1, false));
    await expect(tables.update(0, NaN, 1)).rejects.toMatchObject({ code: "LEARNING_RATE" });
    await expect(tables.update(0, 0.1, 0)).rejects.toMatchObject({ code: "OPTIMIZER_STEP" });
    await tables.dispose();
  });

  test.each([{ dim: 0 }, { dim: 1.5 }, { stagingBuffers: 0 }, { maxBatch: -1 }, { cardinalities: [3, 0] }])(
    "options %o",
    async (setting) => {
      await expect(create(setting)).rejects.toMatchObject({ code: "ROWS_OPTIONS" });
    },
  );
});

function ex(dim: number, optimizer: SparseOptimizer): [number, SparseOptimizer, boolean, number, number] {
  return [dim, optimizer, dim % 2 === 0, dim === 4 ? 1 : 9, dim];
}

function expectClose(actual: Float32Array, wanted: Float32Array, exact: boolean): void {
  if (exact) {
    expect(actual).toEqual(wanted);
    return;
  }
  expect(actual.length).toBe(wanted.length);
  let worst = 0;
  for (const [i, value] of wanted.entries()) {
    worst = Math.max(worst, Math.abs(actual[i]! - value) / Math.max(1, Math.abs(value)));
  }
  expect(worst).toBeLessThanOrEqual(2e-6);
}
