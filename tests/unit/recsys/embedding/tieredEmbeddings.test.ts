/** @file Rows in two tiers give the weights of one memory, whatever is popular and however long moves take (D15–D17). */
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { type KernelTask, ThreadPool } from "../../../../src/engine/targets/cpu/index.ts";
import type { Lookups } from "../../../../src/recsys/data/batches/clickBatch.ts";
import type { SparseOptimizer } from "../../../../src/recsys/embedding/sparseOptimizer.ts";
import { OPTIMIZERS, randomLookups } from "../../../support/recsys/referenceTables.ts";
import {
  BATCH,
  CARDINALITIES,
  createTables,
  createTiers,
  disposeTiers,
  everything,
  pipelined,
  popularParts,
  randomRows,
  realGradients,
  ROWS,
  serially,
  slowPool,
  type Step,
  type TiersSetting,
} from "../../../support/recsys/tieredRuns.ts";

let pool: ThreadPool;
beforeAll(async () => {
  pool = await ThreadPool.create(2);
});
afterAll(() => pool.dispose());

/** Steps of random batches; every other one reads the rows of the one before again. */
function randomSteps(count: number, seed: number, popular: Uint32Array, isMultiHot = true): Step[] {
  const rng = new Rng(seed);
  let last: Lookups | null = null;
  return Array.from({ length: count }, () => {
    const size = 1 + rng.integer(BATCH);
    const lookups: Lookups =
      last && rng.integer(2) === 0 ? last : randomLookups(rng, CARDINALITIES, size, isMultiHot);
    last = lookups;
    return popularParts(lookups, popular);
  });
}

/** Batches that read exactly the rows that the one before has written, in another order. */
function adversarialSteps(count: number, seed: number, popular: Uint32Array): Step[] {
  const rng = new Rng(seed);
  const ids = CARDINALITIES.flatMap((rows) =>
    Array.from({ length: BATCH }, () => Math.floor(rng.uniform() ** 2 * rows)),
  );
  return Array.from({ length: count }, (_, i) => {
    const turned = ids.map((__, l) => ids[l - (l % BATCH) + ((l + i) % BATCH)]!);
    const lookups = { size: BATCH, tables: 3, ids: Int32Array.from(turned), offsets: null };
    return popularParts(lookups, popular);
  });
}

/** All rows and state after the steps, in one memory. */
async function inTables(
  steps: readonly Step[],
  setting: TiersSetting,
  options: Parameters<typeof serially>[2] = {},
): Promise<Float32Array[]> {
  const tables = await createTables(pool, setting);
  await serially(tables, steps, options);
  const rows = everything(tables);
  await tables.dispose();
  return rows;
}

/** The same in two tiers. */
async function inTiers(
  steps: readonly Step[],
  setting: TiersSetting,
  options: Parameters<typeof pipelined>[2] & { threads?: ThreadPool } = {},
): Promise<Float32Array[]> {
  const tiers = await createTiers(options.threads ?? pool, setting);
  await pipelined(tiers.tiered, steps, options);
  await tiers.tiered.flush();
  const rows = everything(tiers.tables);
  await disposeTiers(tiers);
  return rows;
}

describe("TieredEmbeddings", () => {
  test("give the weights and state of one memory, bit for bit, for any popular rows", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          optimizer: fc.constantFrom(...OPTIMIZERS),
          dim: fc.constantFrom(1, 3, 4, 6, 16, 21),
          // Nothing, everything, or some.
          popularRows: fc.constantFrom(0, 1, 20, 117, 230, ROWS),
          earlyGather: fc.boolean(),
          poison: fc.boolean(),
          stagingBuffers: fc.integer({ min: 1, max: 4 }),
          // Tables in one memory, or spread over several.
          arenaBytes: fc.constantFrom(undefined, 3000),
          isMultiHot: fc.boolean(),
          seed: fc.integer({ min: 0, max: 1e6 }),
        }),
        async ({ popularRows, arenaBytes, isMultiHot, seed, ...rest }) => {
          const popular = randomRows(new Rng(seed, 1), popularRows);
          const setting = { ...rest, popular, ...(arenaBytes !== undefined && { arenaBytes }) };
          const steps = randomSteps(8, seed, popular, isMultiHot);
          const wanted = await inTables(steps, setting);
          expect(await inTiers(steps, setting)).toEqual(wanted);
        },
      ),
      { numRuns: 150, seed: 1 },
    );
  });

  test.each(OPTIMIZERS)(
    "give those of whole batches to rounding, with any gradients ($kind)",
    async (optimizer) => {
      const popular = randomRows(new Rng(3), 60);
      const whole: Step[] = Array.from({ length: 20 }, (_, i) => [
        randomLookups(new Rng(i), CARDINALITIES, BATCH, true),
      ]);
      const setting: TiersSetting = { optimizer, popular };
      // The gradient of an input is a function of its rows, wherever in the batch it is.
      const options = { learningRate: 0.05, gradients: rowGradients };
      const wanted = await inTables(whole, setting, options);
      const parts = whole.map(([lookups]) => popularParts(lookups!, popular));
      const got = await inTiers(parts, setting, options);
      for (const [i, values] of wanted.entries()) {
        for (const [k, value] of values.entries()) {
          const error = Math.abs(value - got[i]![k]!);
          expect(error).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(value)));
        }
      }
    },
  );

  test("see every update of the batch before, when batches read exactly what it wrote", async () => {
    for (const optimizer of OPTIMIZERS) {
      for (const popularRows of [0, 40]) {
        const popular = randomRows(new Rng(5), popularRows);
        const steps = adversarialSteps(25, 2, popular);
        const wanted = await inTables(steps, { optimizer });
        for (const earlyGather of [true, false]) {
          for (const poison of [true, false]) {
            const setting = { optimizer, popular, earlyGather, poison };
            expect(await inTiers(steps, setting)).toEqual(wanted);
          }
        }
      }
    }
  });

  test("are the same on 1, 2 and 4 threads", async () => {
    const popular = randomRows(new Rng(8), 50);
    const steps = randomSteps(20, 4, popular);
    const optimizer = OPTIMIZERS[1]!;
    const wanted = await inTables(steps, { optimizer }, { gradients: realGradients, learningRate: 0.1 });
    for (const count of [1, 2, 4]) {
      const threads = await ThreadPool.create(count);
      const options = { gradients: realGradients, learningRate: 0.1, threads };
      expect(await inTiers(steps, { optimizer, popular }, options)).toEqual(wanted);
      await threads.dispose();
    }
  });
});

/** Steps in which each batch reads what the one before has written, and the weights that they should give. */
async function adversarial(optimizer: SparseOptimizer, popularRows: number) {
  const popular = randomRows(new Rng(5), popularRows);
  const steps = adversarialSteps(6, 2, popular);
  return { setting: { optimizer, popular }, steps, wanted: await inTables(steps, { optimizer }) };
}

test("1,000 random interleavings and delays give identical weights", async () => {
  const cases = await Promise.all(
    [0, 60, 200].map((popularRows, i) => adversarial(OPTIMIZERS[i]!, popularRows)),
  );
  for (let run = 0; run < 1000; run++) {
    const { setting, steps, wanted } = cases[run % cases.length]!;
    const rng = new Rng(run, 9);
    const tiers: TiersSetting = {
      ...setting,
      earlyGather: rng.integer(2) === 0,
      poison: rng.integer(2) === 0,
      stagingBuffers: 2 + rng.integer(2),
    };
    const got = await inTiers(steps, tiers, { threads: slowPool(pool, rng), rng });
    expect(got, `run ${run}, early gather ${String(tiers.earlyGather)}`).toEqual(wanted);
  }
});

/**
 * What these tests would not see if they were blind: each of these faults gives other weights, or NaN. A window that is not
 * forwarded keeps the values from before the update (or NaN, where it has not loaded them); a popular part that is not
 * refreshed was gathered before it; and an update after the popular part alone applies the optimizer twice to rows that both
 * parts read, with gradients of two different weights.
 */
describe("a fault is caught:", () => {
  test.each([
    ["rows are not forwarded", "forwardRows"],
    ["popular parts are not gathered again", "refreshRows"],
    ["conflicting rows are loaded ahead of the update", "deferRows"],
  ] as const)("%s", async (_, kernel) => {
    const { setting, steps, wanted } = await adversarial({ kind: "adagrad", epsilon: 1e-10 }, 200);
    let dropped = 0;
    const drops = (task: KernelTask) => {
      if (task.kernel !== kernel) return false;
      dropped++;
      return true;
    };
    // Of two faults that hide each other, the second: what is loaded too early is not corrected by the forwarding either.
    const alsoDrops = (task: KernelTask) =>
      drops(task) || (kernel === "deferRows" && task.kernel === "forwardRows");
    const threads = slowPool(pool, null, alsoDrops);
    const got = await inTiers(steps, { ...setting, earlyGather: true }, { threads });
    expect(dropped).toBeGreaterThan(0);
    expect(got).not.toEqual(wanted);
  });

  test("an update after the popular part", async () => {
    const { setting, steps, wanted } = await adversarial({ kind: "rwsadagrad", epsilon: 1e-10 }, 200);
    const cut = steps.filter((parts) => parts.length > 1);
    expect(cut.length).toBeGreaterThan(0);
    const apart = steps.flatMap((parts) => parts.map((part): Step => [part]));
    expect(await inTiers(apart, setting)).not.toEqual(wanted);
    // The store itself refuses a second update of what is staged.
    const tiers = await createTiers(pool, setting);
    await tiers.tiered.stage(0, ...cut[0]!);
    await tiers.tiered.update(0, 1, 1);
    await expect(tiers.tiered.update(0, 1, 1)).rejects.toMatchObject({ code: "TIERED_UPDATED_TWICE" });
    await disposeTiers(tiers);
  });
});

/** Gradients that depend on an input's rows alone. */
function rowGradients(...args: Parameters<typeof realGradients>): void {
  const [store, buffer, part] = args;
  const rows = store.rows(buffer, part) as Float32Array;
  const gradients = store.gradients(buffer, part) as Float32Array;
  for (let i = 0; i < rows.length; i++) gradients[i] = Math.sin(3 * rows[i]! + (i % (3 * store.dim)));
}
