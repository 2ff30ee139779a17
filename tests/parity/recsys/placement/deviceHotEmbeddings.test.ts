/** @file FAE's invariants when the hot copy is in GPU memory and the tables are on the host. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Lookups } from "../../../../src/recsys/data/batches/clickBatch.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { ThreadPool } from "../../../../src/engine/targets/cpu/index.ts";
import type { CudaDevice } from "../../../../src/engine/targets/cuda/index.ts";
import { DeviceHotEmbeddings } from "../../../../src/recsys/embedding/cuda/deviceHotEmbeddings.ts";
import { DeviceTables } from "../../../../src/recsys/embedding/cuda/deviceTables.ts";
import { EmbeddingTables } from "../../../../src/recsys/embedding/embeddingTables.ts";
import type { SyncReport } from "../../../../src/recsys/embedding/hotEmbeddingStore.ts";
import type { EmbeddingStore, EmbeddingTableStore } from "../../../../src/recsys/embedding/embeddingStore.ts";
import type { SparseOptimizer } from "../../../../src/recsys/embedding/sparseOptimizer.ts";
import { OPTIMIZERS, randomLookups } from "../../../support/recsys/referenceTables.ts";
import { cudaMissing, floatsOf, giveGradients, openCuda } from "./cudaDevice.ts";

const missing = await cudaMissing();

/** The tables are large enough that hot rows fill several blocks; a phase changes rows of the first only. */
const CARDINALITIES = [3000, 5, 4000];
const FIRST = [0, 3000, 3005];
const BATCH = 12;
const DIM = 6;
/** Every third row is hot; indices in falling order, so they follow neither table nor row order. */
const HOT = Uint32Array.from({ length: 2335 }, (_, i) => 3 * (2334 - i));
const HOT_INDEX_OF = new Map([...HOT].map((row, index) => [row, index]));

function lookupsOf(rng: Rng, isHot: boolean): Lookups {
  const lookups = randomLookups(rng, [200, 5, 300], BATCH, true);
  if (!isHot) return lookups;
  for (let t = 0; t < 3; t++) {
    for (let l = lookups.offsets![t * BATCH]!; l < lookups.offsets![(t + 1) * BATCH]!; l++) {
      const row = FIRST[t]! + lookups.ids[l]!;
      lookups.ids[l] = Math.max(row - (row % 3), Math.ceil(FIRST[t]! / 3) * 3) - FIRST[t]!;
    }
  }
  return lookups;
}

function toSlots(lookups: Lookups): Lookups {
  const ids = lookups.ids.slice();
  for (let t = 0; t < 3; t++) {
    for (let l = lookups.offsets![t * BATCH]!; l < lookups.offsets![(t + 1) * BATCH]!; l++) {
      ids[l] = HOT_INDEX_OF.get(FIRST[t]! + ids[l]!)!;
    }
  }
  return { ...lookups, ids };
}

/** 8 phases of 5 batches: cold, hot, cold … */
const stream = Array.from({ length: 40 }, (_, i) => {
  const isHot = Math.floor(i / 5) % 2 === 1;
  return { isHot, lookups: lookupsOf(new Rng(i), isHot) };
});

function everything(tables: EmbeddingTableStore): Float32Array[] {
  return CARDINALITIES.flatMap((rows, t) => {
    const { weights, state } = tables.readRows(t, 0, rows);
    return [weights, ...Object.values(state)];
  });
}

describe("a hot copy in GPU memory", () => {
  if (missing !== null) {
    test.skip(`skipped: ${missing}`);
    return;
  }
  let device: CudaDevice;
  let pool: ThreadPool;
  beforeAll(async () => {
    device = await openCuda();
    pool = await ThreadPool.create(2);
  });
  afterAll(async () => {
    await pool.dispose();
    await device.dispose();
  });

  const limits = { stagingBuffers: 1, maxBatch: BATCH, maxLookups: BATCH * 3 * 6 };
  const tableOptions = (optimizer: SparseOptimizer) => ({
    cardinalities: CARDINALITIES,
    dim: DIM,
    optimizer,
    seed: 1,
    ...limits,
  });

  async function step(store: EmbeddingStore, lookups: Lookups, number: number): Promise<void> {
    await store.stage(0, lookups);
    const rng = new Rng(number, 1);
    await giveGradients(
      device,
      store,
      0,
      Float32Array.from({ length: BATCH * 3 * DIM }, () => rng.normal()),
    );
    await store.update(0, 0.2, number + 1);
  }

  /** All rows after the stream, in one copy. */
  async function runSingle(optimizer: SparseOptimizer, where: "device" | "host"): Promise<Float32Array[]> {
    const request = tableOptions(optimizer);
    const tables: EmbeddingTableStore =
      where === "device"
        ? await DeviceTables.create({ ...request, device })
        : await EmbeddingTables.create({ ...request, pool });
    for (const [i, { lookups }] of stream.entries()) await step(tables, lookups, i);
    const result = everything(tables);
    await tables.dispose();
    return result;
  }

  async function withHot<T>(
    optimizer: SparseOptimizer,
    poison: boolean,
    work: (tables: EmbeddingTables, hot: DeviceHotEmbeddings) => Promise<T>,
  ): Promise<T> {
    const tables = await EmbeddingTables.create({ ...tableOptions(optimizer), pool });
    const hot = await DeviceHotEmbeddings.create(device, { tables, rows: HOT, ...limits, poison });
    try {
      return await work(tables, hot);
    } finally {
      await hot.dispose();
      await tables.dispose();
    }
  }

  interface FaeSetting {
    copy?: "changed" | "all";
    poison?: boolean;
    afterSync?: (tables: EmbeddingTables, direction: "in" | "out") => void;
  }

  /** All rows after the stream: cold batches on the host, hot ones on the GPU. */
  function runFae(
    optimizer: SparseOptimizer,
    { copy = "changed", poison = false, afterSync }: FaeSetting = {},
  ): Promise<{ rows: Float32Array[]; syncs: SyncReport[] }> {
    return withHot(optimizer, poison, async (tables, hot) => {
      const syncs: SyncReport[] = [];
      for (const [i, { isHot, lookups }] of stream.entries()) {
        if (isHot && hot.owner === "tables") {
          syncs.push(await hot.syncIn(copy));
          afterSync?.(tables, "in");
        }
        if (!isHot && hot.owner === "hot") {
          syncs.push(await hot.syncOut(copy));
          afterSync?.(tables, "out");
        }
        await step(isHot ? hot : tables, isHot ? toSlots(lookups) : lookups, i);
      }
      syncs.push(await hot.syncOut(copy));
      afterSync?.(tables, "out");
      return { rows: everything(tables), syncs };
    });
  }

  test.each(OPTIMIZERS)(
    "two copies across the bus equal one, on either side of it ($kind)",
    async (optimizer) => {
      const wanted = await runSingle(optimizer, "device");
      expect(await runSingle(optimizer, "host")).toEqual(wanted);
      for (const copy of ["changed", "all"] as const) {
        const { rows, syncs } = await runFae(optimizer, { copy });
        expect(syncs).toHaveLength(8);
        expect(rows).toEqual(wanted);
      }
      const { rows } = await runFae(optimizer, { poison: true });
      expect(rows).toEqual(wanted);
    },
  );

  test("the optimizer's state moves with the rows: without it they differ", async () => {
    const optimizer = OPTIMIZERS[1]!;
    let before: Float32Array[] = [];
    const { rows } = await runFae(optimizer, {
      afterSync: (tables, direction) => {
        const states = CARDINALITIES.map((count, t) => tables.readRows(t, 0, count));
        if (direction === "in") before = states.map(({ state }) => state["sum"]!);
        else
          for (const [t, { weights }] of states.entries())
            tables.writeRows(t, 0, { weights, state: { sum: before[t]! } });
      },
    });
    expect(rows).not.toEqual(await runSingle(optimizer, "device"));
  });

  test("a round trip changes no bit, NaN payloads included, and moves changed rows only", async () => {
    await withHot(OPTIMIZERS[3]!, false, async (tables, hot) => {
      const odd = new Float32Array(
        Uint32Array.of(0x7fc12345, 0x80000000, 1, 0xff800000, 0x7f7fffff, 0x3f800001).buffer,
      );
      tables.writeRows(2, 1, { weights: odd, state: { v: odd } });
      const before = everything(tables).map((rows) => new Uint32Array(rows.buffer).slice());
      const first = await hot.syncIn();
      expect(first.rows).toBe(HOT.length);
      expect((await hot.syncOut("all")).rows).toBe(HOT.length);
      expect(everything(tables).map((rows) => new Uint32Array(rows.buffer))).toEqual(before);
      expect((await hot.syncIn()).rows).toBe(0);
      await step(hot, toSlots(lookupsOf(new Rng(1), true)), 0);
      const changed = await hot.syncOut();
      expect(changed.rows).toBeGreaterThan(0);
      expect(changed.rows).toBeLessThan(100);
      // A block of rows and the marks, not all rows.
      expect(changed.bytes).toBeLessThan(first.bytes);
      expect((await hot.syncIn()).rows).toBe(0);
      expect((await hot.syncOut()).rows).toBe(0);
    });
  });

  test("rows written into the tables between phases reach the GPU, over 300 rounds", async () => {
    await withHot(OPTIMIZERS[0]!, false, async (tables, hot) => {
      const index = HOT_INDEX_OF.get(3)!;
      for (let i = 0; i < 300; i++) {
        tables.writeRows(0, 3, { weights: new Float32Array(DIM).fill(i), state: {} });
        expect((await hot.syncIn()).rows).toBe(i === 0 ? HOT.length : 1);
        await hot.stage(0, {
          size: 1,
          tables: 3,
          ids: Int32Array.of(index),
          offsets: Int32Array.of(0, 1, 1, 1),
        });
        expect((await floatsOf(device, hot.rows(0)))[0]).toBe(i);
        expect((await hot.syncOut()).rows).toBe(0);
      }
    });
  });

  test("poison shows a read of the copy that does not own the rows (I1)", async () => {
    await withHot(OPTIMIZERS[2]!, true, async (tables, hot) => {
      await hot.syncIn();
      expect([...tables.readRows(0, 0, 2).weights.subarray(0, 7)].map((x) => Number.isNaN(x))).toEqual([
        true,
        true,
        true,
        true,
        true,
        true,
        false,
      ]);
      await hot.syncOut();
      expect(everything(tables).every((rows) => rows.every((x) => Number.isFinite(x)))).toBe(true);
    });
  });

  test("weights of all hot rows are read where they are newest", async () => {
    for (const optimizer of OPTIMIZERS) {
      await withHot(optimizer, false, async (tables, hot) => {
        const read = new Float32Array(HOT.length * DIM);
        await expect(hot.readWeights(read)).rejects.toMatchObject({ code: "HOT_EMBEDDINGS_STALE" });
        await hot.syncIn();
        await step(hot, toSlots(lookupsOf(new Rng(1), true)), 0);
        await hot.readWeights(read);
        await hot.syncOut();
        const all = CARDINALITIES.flatMap((rows, t) => [...tables.readRows(t, 0, rows).weights]);
        expect([...read]).toEqual([...HOT].flatMap((row) => all.slice(DIM * row, DIM * row + DIM)));
      });
    }
  });

  test("refuses slots of another table, stale buffers, and the wrong order", async () => {
    await withHot(OPTIMIZERS[0]!, false, async (_, hot) => {
      const index = HOT_INDEX_OF.get(3006)!;
      const wrong = { size: 1, tables: 3, ids: Int32Array.of(index), offsets: Int32Array.of(0, 1, 1, 1) };
      await expect(hot.stage(0, wrong)).rejects.toMatchObject({ code: "HOT_EMBEDDINGS_STALE" });
      await expect(hot.syncOut()).rejects.toMatchObject({ code: "HOT_EMBEDDINGS_ORDER" });
      await hot.syncIn();
      await expect(hot.syncIn()).rejects.toMatchObject({ code: "HOT_EMBEDDINGS_ORDER" });
      await expect(hot.stage(0, wrong)).rejects.toMatchObject({
        code: "LOOKUP_OUT_OF_RANGE",
        message: `ids must name one of ${HOT.length} rows of this table, got ${index}`,
      });
      await hot.stage(0, { ...wrong, offsets: Int32Array.of(0, 0, 0, 1) });
      await hot.syncOut();
      await expect(hot.update(0, 0.1, 1)).rejects.toMatchObject({ code: "HOT_EMBEDDINGS_STALE" });
    });
  });
});
