import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Lookups } from "../../../../src/recsys/data/batches/clickBatch.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { ThreadPool } from "../../../../src/engine/targets/cpu/index.ts";
import { EmbeddingTables } from "../../../../src/recsys/embedding/embeddingTables.ts";
import { HotEmbeddings } from "../../../../src/recsys/embedding/hotEmbeddings.ts";
import type { SyncReport } from "../../../../src/recsys/embedding/hotEmbeddingStore.ts";
import type { SparseOptimizer } from "../../../../src/recsys/embedding/sparseOptimizer.ts";
import { OPTIMIZERS, randomGradients, randomLookups } from "../../../support/recsys/referenceTables.ts";

let pool: ThreadPool;
beforeAll(async () => {
  pool = await ThreadPool.create(2);
});
afterAll(() => pool.dispose());

const CARDINALITIES = [30, 5, 200];
const BATCH = 12;
/** Every third row of each table is hot; indices in falling order, so they follow neither table nor row order. */
const HOT = Uint32Array.from({ length: 79 }, (_, i) => 3 * (78 - i));
const HOT_INDEX_OF = new Map([...HOT].map((row, index) => [row, index]));
const FIRST = [0, 30, 35];

interface Setting {
  optimizer: SparseOptimizer;
  copy?: "changed" | "all";
  poison?: boolean;
  arenaBytes?: number;
  /** Called after each sync, to break things. */
  afterSync?: (tables: EmbeddingTables, direction: "in" | "out") => void;
}

/** Lookups of hot rows only (true) or of any rows, with empty bags and duplicates. */
function lookupsOf(rng: Rng, isHot: boolean): Lookups {
  const lookups = randomLookups(rng, CARDINALITIES, BATCH, true);
  if (isHot) {
    for (let t = 0; t < CARDINALITIES.length; t++) {
      for (let l = lookups.offsets![t * BATCH]!; l < lookups.offsets![(t + 1) * BATCH]!; l++) {
        // The nearest hot row at or below; the first hot row of table 2 is 1 (global 36).
        const row = FIRST[t]! + lookups.ids[l]!;
        lookups.ids[l] = Math.max(row - (row % 3), Math.ceil(FIRST[t]! / 3) * 3) - FIRST[t]!;
      }
    }
  }
  return lookups;
}

/** The same lookups by index. */
function toSlots(lookups: Lookups): Lookups {
  const ids = lookups.ids.slice();
  for (let t = 0; t < CARDINALITIES.length; t++) {
    for (let l = lookups.offsets![t * BATCH]!; l < lookups.offsets![(t + 1) * BATCH]!; l++) {
      ids[l] = HOT_INDEX_OF.get(FIRST[t]! + ids[l]!)!;
    }
  }
  return { ...lookups, ids };
}

/** 8 phases of 5 batches: cold, hot, cold … Each batch's lookups are a function of its number. */
function stream(): { isHot: boolean; phase: number; lookups: Lookups }[] {
  return Array.from({ length: 40 }, (_, i) => {
    const phase = Math.floor(i / 5);
    const isHot = phase % 2 === 1;
    return { isHot, phase, lookups: lookupsOf(new Rng(i), isHot) };
  });
}

function createTables({ optimizer, arenaBytes }: Setting): Promise<EmbeddingTables> {
  return EmbeddingTables.create({
    cardinalities: CARDINALITIES,
    dim: 6,
    optimizer,
    seed: 1,
    pool,
    stagingBuffers: 1,
    maxBatch: BATCH,
    maxLookups: BATCH * 3 * 6,
    ...(arenaBytes === undefined ? {} : { arenaBytes }),
  });
}

function createHot(tables: EmbeddingTables, poison = false): Promise<HotEmbeddings> {
  return HotEmbeddings.create({
    tables,
    rows: HOT,
    stagingBuffers: 1,
    maxBatch: BATCH,
    maxLookups: BATCH * 3 * 6,
    poison,
  });
}

function everything(tables: EmbeddingTables): Float32Array[] {
  return CARDINALITIES.flatMap((rows, t) => {
    const { weights, state } = tables.readRows(t, 0, rows);
    return [weights, ...Object.values(state)];
  });
}

async function step(store: EmbeddingTables | HotEmbeddings, lookups: Lookups, number: number): Promise<void> {
  await store.stage(0, lookups);
  randomGradients(new Rng(number, 1), store.gradients(0));
  await store.update(0, 0.2, number + 1);
}

/** All rows after the stream, in one copy. */
async function runSingle(setting: Setting): Promise<Float32Array[]> {
  const tables = await createTables(setting);
  for (const [i, { lookups }] of stream().entries()) await step(tables, lookups, i);
  const result = everything(tables);
  await tables.dispose();
  return result;
}

/** All rows after the stream, hot phases in the hot copy; and what the syncs moved. */
async function runFae(setting: Setting): Promise<{ rows: Float32Array[]; syncs: SyncReport[] }> {
  const tables = await createTables(setting);
  const hot = await createHot(tables, setting.poison);
  const syncs: SyncReport[] = [];
  const sync = async (direction: "in" | "out"): Promise<void> => {
    syncs.push(await (direction === "in" ? hot.syncIn(setting.copy) : hot.syncOut(setting.copy)));
    setting.afterSync?.(tables, direction);
  };
  for (const [i, { isHot, lookups }] of stream().entries()) {
    if (isHot && hot.owner === "tables") await sync("in");
    if (!isHot && hot.owner === "hot") await sync("out");
    await step(isHot ? hot : tables, isHot ? toSlots(lookups) : lookups, i);
  }
  await sync("out");
  const rows = everything(tables);
  await hot.dispose();
  await tables.dispose();
  return { rows, syncs };
}

/** How many hot rows the batches of a phase touch. */
function touched(wanted: number): number {
  const rows = new Set<number>();
  for (const { phase, lookups } of stream()) {
    if (phase !== wanted) continue;
    for (let t = 0; t < 3; t++) {
      for (let l = lookups.offsets![t * BATCH]!; l < lookups.offsets![(t + 1) * BATCH]!; l++) {
        const row = FIRST[t]! + lookups.ids[l]!;
        if (HOT_INDEX_OF.has(row)) rows.add(row);
      }
    }
  }
  return rows.size;
}

describe("HotEmbeddings", () => {
  test.each(OPTIMIZERS)(
    "two copies equal one, bit for bit, over 8 phase switches (D10, $kind)",
    async (optimizer) => {
      const wanted = await runSingle({ optimizer });
      for (const copy of ["all", "changed"] as const) {
        for (const arenaBytes of [undefined, 3000]) {
          const setting = arenaBytes === undefined ? { optimizer, copy } : { optimizer, copy, arenaBytes };
          const { rows, syncs } = await runFae(setting);
          expect(syncs).toHaveLength(8);
          expect(rows).toEqual(wanted);
        }
      }
    },
  );

  test("D10 fails when the optimizer state is not synced", async () => {
    const optimizer = OPTIMIZERS[2]!;
    let before: Float32Array[] = [];
    const keepState = (tables: EmbeddingTables, direction: "in" | "out"): void => {
      const states = CARDINALITIES.map((rows, t) => tables.readRows(t, 0, rows));
      if (direction === "in") {
        before = states.map(({ state }) => state["sum"]!);
      } else {
        for (const [t, { weights }] of states.entries()) {
          tables.writeRows(t, 0, { weights, state: { sum: before[t]! } });
        }
      }
    };
    const { rows } = await runFae({ optimizer, afterSync: keepState });
    expect(rows).not.toEqual(await runSingle({ optimizer }));
  });

  test("D10 fails when a sync loses the weights", async () => {
    const optimizer = OPTIMIZERS[0]!;
    let before: Float32Array[] = [];
    const loseWeights = (tables: EmbeddingTables, direction: "in" | "out"): void => {
      if (direction === "in") before = everything(tables);
      else for (const [t, weights] of before.entries()) tables.writeRows(t, 0, { weights, state: {} });
    };
    expect((await runFae({ optimizer, afterSync: loseWeights })).rows).not.toEqual(
      await runSingle({ optimizer }),
    );
  });

  test("with the copy that does not own the rows poisoned, training never reads it (I1)", async () => {
    for (const optimizer of OPTIMIZERS) {
      const { rows } = await runFae({ optimizer, poison: true });
      expect(rows).toEqual(await runSingle({ optimizer }));
    }
  });

  test("poison shows a read of the wrong copy", async () => {
    const tables = await createTables({ optimizer: OPTIMIZERS[2]! });
    const hot = await createHot(tables, true);
    await hot.syncIn();
    const { weights, state } = tables.readRows(0, 0, 2);
    expect([...weights]).toEqual([NaN, NaN, NaN, NaN, NaN, NaN, ...weights.slice(6)]);
    expect(weights.slice(6).every((x) => Number.isFinite(x))).toBe(true);
    expect([...state["sum"]!]).toEqual([NaN, 0]);
    await hot.syncOut();
    expect(everything(tables).every((rows) => rows.every((x) => Number.isFinite(x)))).toBe(true);
    await hot.dispose();
    await tables.dispose();
  });

  test("syncs count bytes: all rows each time, or only those changed (D11)", async () => {
    const sgd = { optimizer: OPTIMIZERS[0]! };
    const all = (await runFae({ ...sgd, copy: "all" })).syncs;
    expect(all.map((sync) => sync.bytes)).toEqual(all.map(() => HOT.length * 6 * 4));
    const { syncs } = await runFae(sgd);
    expect(syncs[0]!.rows).toBe(HOT.length);
    // Sync k ends phase k.
    for (const [k, sync] of syncs.entries()) {
      if (k > 0) expect(sync.rows).toBe(touched(k));
      expect(sync.bytes).toBe(sync.rows * 24);
      expect(sync.bytes).toBeLessThanOrEqual(all[k]!.bytes);
    }
    expect(syncs.at(-1)!.rows).toBeLessThan(HOT.length);
    const adagrad = await runFae({ optimizer: OPTIMIZERS[1]!, copy: "all" });
    expect(adagrad.syncs[1]!.bytes).toBe(HOT.length * 6 * 8);
  });

  test("an evaluation in a hot phase copies nothing twice", async () => {
    const tables = await createTables({ optimizer: OPTIMIZERS[0]! });
    const hot = await createHot(tables);
    await hot.syncIn();
    await step(hot, toSlots(lookupsOf(new Rng(1), true)), 0);
    expect((await hot.syncOut()).rows).toBeGreaterThan(0);
    expect(await hot.syncIn()).toMatchObject({ rows: 0, bytes: 0 });
    expect(await hot.syncOut()).toMatchObject({ rows: 0, bytes: 0 });
    await hot.dispose();
    await tables.dispose();
  });

  test("rows written into the tables between phases reach the hot copy, over 600 syncs", async () => {
    const tables = await createTables({ optimizer: OPTIMIZERS[0]! });
    const hot = await createHot(tables);
    for (let i = 0; i < 300; i++) {
      tables.writeRows(0, 3, { weights: new Float32Array(6).fill(i), state: {} });
      // A mark left long ago must not count again when the 255 marks come round.
      if (i === 1) tables.writeRows(0, 6, { weights: new Float32Array(6), state: {} });
      expect((await hot.syncIn()).rows).toBe(i === 0 ? HOT.length : i === 1 ? 2 : 1);
      const index = HOT_INDEX_OF.get(3)!;
      await hot.stage(0, {
        size: 1,
        tables: 3,
        ids: Int32Array.of(index),
        offsets: Int32Array.of(0, 1, 1, 1),
      });
      expect(hot.rows(0)[0]).toBe(i);
      expect((await hot.syncOut()).rows).toBe(0);
    }
    await hot.dispose();
    await tables.dispose();
  });

  test("weights of all hot rows are read where they are newest", async () => {
    for (const optimizer of OPTIMIZERS) {
      const tables = await createTables({ optimizer });
      const hot = await createHot(tables);
      const read = new Float32Array(HOT.length * 6);
      await expect(hot.readWeights(read)).rejects.toMatchObject({ code: "HOT_EMBEDDINGS_STALE" });
      await hot.syncIn();
      await step(hot, toSlots(lookupsOf(new Rng(1), true)), 0);
      await hot.readWeights(read);
      await hot.syncOut();
      const [first, second, third] = [0, 1, 2].map((t) => tables.readRows(t, 0, CARDINALITIES[t]!).weights);
      const all = [...first!, ...second!, ...third!];
      expect([...read]).toEqual([...HOT].flatMap((row) => all.slice(6 * row, 6 * row + 6)));
      await hot.syncIn();
      await expect(hot.readWeights(new Float32Array(6))).rejects.toMatchObject({ code: "ROWS_LENGTH" });
      await hot.dispose();
      await tables.dispose();
    }
  });

  test("refuses slots of another table, wrong order, and bad hot sets", async () => {
    const tables = await createTables({ optimizer: OPTIMIZERS[0]! });
    const hot = await createHot(tables);
    const index = HOT_INDEX_OF.get(36)!;
    const wrong = { size: 1, tables: 3, ids: Int32Array.of(index), offsets: Int32Array.of(0, 1, 1, 1) };
    await expect(hot.stage(0, wrong)).rejects.toMatchObject({ code: "HOT_EMBEDDINGS_STALE" });
    await expect(hot.syncOut()).rejects.toMatchObject({ code: "HOT_EMBEDDINGS_ORDER" });
    await hot.syncIn();
    await expect(hot.syncIn()).rejects.toMatchObject({ code: "HOT_EMBEDDINGS_ORDER" });
    await expect(hot.stage(0, wrong)).rejects.toMatchObject({
      code: "LOOKUP_OUT_OF_RANGE",
      message: `ids must name one of 79 rows of this table, got ${index}`,
    });
    await hot.stage(0, { ...wrong, offsets: Int32Array.of(0, 0, 0, 1) });
    await hot.syncOut();
    await expect(hot.update(0, 0.1, 1)).rejects.toMatchObject({ code: "HOT_EMBEDDINGS_STALE" });
    for (const [code, rows] of [
      ["HOT_ROWS_EMPTY", []],
      ["HOT_ROW_DUPLICATE", [4, 5, 4]],
      ["HOT_ROW_OUT_OF_RANGE", [235]],
    ] as const) {
      const options = { tables, rows: Uint32Array.from(rows), stagingBuffers: 1, maxBatch: 1 };
      await expect(HotEmbeddings.create(options)).rejects.toMatchObject({ code });
    }
    await hot.dispose();
    await expect(hot.syncIn()).rejects.toMatchObject({ code: "STORE_DISPOSED" });
    await tables.dispose();
  });
});
