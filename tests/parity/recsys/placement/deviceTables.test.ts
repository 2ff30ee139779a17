/** @file Tables in GPU memory against tables on the host: the same rows, gathers and updates. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Lookups } from "../../../../src/recsys/data/batches/clickBatch.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { liveObjects } from "../../../../src/engine/targets/cuda/driver/liveObjects.ts";
import type { CudaDevice } from "../../../../src/engine/targets/cuda/index.ts";
import { ThreadPool } from "../../../../src/engine/targets/cpu/index.ts";
import { DeviceTables } from "../../../../src/recsys/embedding/cuda/deviceTables.ts";
import { EmbeddingTables } from "../../../../src/recsys/embedding/embeddingTables.ts";
import type { EmbeddingTableStore } from "../../../../src/recsys/embedding/embeddingStore.ts";
import type { SparseOptimizer } from "../../../../src/recsys/embedding/sparseOptimizer.ts";
import { mapLookups } from "../../../../src/recsys/data/batches/mapLookups.ts";
import { sizeOf } from "../../../../src/base/shape.ts";
import { OPTIMIZERS, randomLookups, ReferenceTables } from "../../../support/recsys/referenceTables.ts";
import { cudaMissing, floatsOf, giveGradients, openCuda, writeTensor } from "./cudaDevice.ts";

const missing = await cudaMissing();
const open: EmbeddingTableStore[] = [];

/** Batches in which no row is looked up more than 64 times, the limit up to which both add in the same order. */
const CARDINALITIES = [700, 1, 900, 1500];
const BATCH = 60;

interface Setting {
  cardinalities?: number[];
  dim?: number;
  optimizer?: SparseOptimizer;
  maxBatch?: number;
  stagingBuffers?: number;
  initial?: "uniform" | "zeros";
}

function options({ cardinalities = CARDINALITIES, maxBatch = BATCH, ...setting }: Setting) {
  const maxLookups = maxBatch * cardinalities.length * 6;
  const rest = { dim: 16, optimizer: OPTIMIZERS[0]!, stagingBuffers: 1, seed: 5, ...setting };
  return { cardinalities, maxBatch, maxLookups, ...rest };
}

function everything(tables: EmbeddingTableStore): Float32Array[] {
  return tables.cardinalities.flatMap((rows, t) => {
    const { weights, state } = tables.readRows(t, 0, rows);
    return [weights, ...Object.values(state)];
  });
}

/** Lookups whose one-row table is read by few inputs, so that no row is read more than 64 times. */
function spreadLookups(rng: Rng, size: number, isMultiHot: boolean): Lookups {
  const lookups = randomLookups(rng, CARDINALITIES, size, isMultiHot);
  if (!isMultiHot) return lookups;
  const { ids, offsets } = lookups;
  const bags: number[][] = [];
  for (let bag = 0; bag < 4 * size; bag++) {
    const [start, end] = [offsets![bag]!, offsets![bag + 1]!];
    const isOfOneRow = Math.floor(bag / size) === 1;
    bags.push([...ids.subarray(start, isOfOneRow ? Math.min(end, start + 1) : end)]);
  }
  const starts = [0];
  for (const bag of bags) starts.push(starts.at(-1)! + bag.length);
  return { ...lookups, ids: Int32Array.from(bags.flat()), offsets: Int32Array.from(starts) };
}

describe("tables in GPU memory", () => {
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
  afterEach(async () => {
    for (const store of open.splice(0)) await store.dispose();
  });

  async function onDevice(setting: Setting = {}): Promise<DeviceTables> {
    const tables = await DeviceTables.create({ ...options(setting), device });
    open.push(tables);
    return tables;
  }
  async function onHost(setting: Setting = {}): Promise<EmbeddingTables> {
    const tables = await EmbeddingTables.create({ ...options(setting), pool });
    open.push(tables);
    return tables;
  }

  test.each([1, 6, 16, 64, 130])("begin with the rows that the host's begin with (D = %i)", async (dim) => {
    const [host, gpu] = [await onHost({ dim }), await onDevice({ dim })];
    expect(everything(gpu)).toEqual(everything(host));
    expect(everything(gpu)[0]!.some((x) => x !== 0)).toBe(true);
    expect(
      everything(await onDevice({ dim, initial: "zeros" }))
        .flatMap((x) => [...x])
        .every((x) => x === 0),
    ).toBe(true);
  });

  describe.each(OPTIMIZERS)("under $kind", (optimizer) => {
    test.each([
      [6, false],
      [16, false],
      [16, true],
      [64, true],
      [130, true],
    ])("gather and update as the host's do, bit for bit (D = %i, bags: %s)", async (dim, isMultiHot) => {
      const [host, gpu] = [await onHost({ dim, optimizer }), await onDevice({ dim, optimizer })];
      const before = everything(host);
      const rng = new Rng(dim);
      for (let step = 1; step <= 5; step++) {
        const size = step === 3 ? 17 : BATCH;
        const lookups = spreadLookups(rng, size, isMultiHot);
        const gradients = Float32Array.from({ length: size * 4 * dim }, () => rng.normal());
        for (const store of [host, gpu]) await store.stage(0, lookups);
        const [wanted, got] = [host.rows(0), await floatsOf(device, gpu.rows(0))];
        expect(got.subarray(0, wanted.length)).toEqual(Float32Array.from(wanted));
        expect(got.subarray(wanted.length).every((x) => x === 0)).toBe(true);
        for (const store of [host, gpu]) {
          await giveGradients(device, store, 0, gradients);
          await store.update(0, 0.1, step);
        }
      }
      expect(everything(gpu)).toEqual(everything(host));
      expect(everything(gpu)).not.toEqual(before);
    });

    test("add up rows that thousands of inputs share, the same on every run", async () => {
      const setting = { cardinalities: [3, 5000, 2], dim: 8, optimizer, maxBatch: 4096 };
      const runs: Float32Array[][] = [];
      const reference = new ReferenceTables(setting.cardinalities, 8, optimizer, 5);
      for (let run = 0; run < 2; run++) {
        const gpu = await onDevice(setting);
        const rng = new Rng(3);
        for (let step = 1; step <= 2; step++) {
          const lookups = randomLookups(rng, setting.cardinalities, 4096, false);
          const gradients = Float32Array.from({ length: 4096 * 3 * 8 }, () => rng.normal() / 64);
          await gpu.stage(0, lookups);
          await giveGradients(device, gpu, 0, gradients);
          await gpu.update(0, 0.01, step);
          if (run === 0) reference.update(lookups, gradients, 0.01, step);
        }
        runs.push(everything(gpu));
      }
      expect(runs[1]).toEqual(runs[0]);
      const columns = runs[0]!.length / 3;
      for (let t = 0; t < 3; t++) {
        const [got, want] = [runs[0]![t * columns]!, reference.weights[t]!];
        const worst = Math.max(...got.map((x, i) => Math.abs(x - want[i]!)));
        expect(worst, `table ${t}`).toBeLessThan(3e-5);
      }
    });
  });

  test("leave rows and state alone when the loss on the device is not finite", async () => {
    for (const optimizer of OPTIMIZERS) {
      const gpu = await onDevice({ cardinalities: [3, 40], optimizer, maxBatch: 300 });
      const before = everything(gpu);
      // Rows of one work item and rows of several.
      await gpu.stage(0, randomLookups(new Rng(1), [3, 40], 300, false));
      await giveGradients(device, gpu, 0, new Float32Array(300 * 2 * 16).fill(1));
      for (const loss of [NaN, Infinity, -Infinity]) {
        await writeTensor(device, gpu.guard(0), Float32Array.of(loss));
        await gpu.update(0, 0.1, 1);
        expect(everything(gpu)).toEqual(before);
      }
      await writeTensor(device, gpu.guard(0), Float32Array.of(0.7));
      await gpu.update(0, 0.1, 1);
      expect(everything(gpu)).not.toEqual(before);
    }
  });

  describe("a batch in parts", () => {
    test.each(OPTIMIZERS)(
      "is gathered and updated as the batch that its parts make up ($kind)",
      async (optimizer) => {
        const [whole, cut] = [await onDevice({ optimizer }), await onDevice({ optimizer })];
        const rng = new Rng(8);
        for (let step = 1; step <= 4; step++) {
          const lookups = spreadLookups(rng, BATCH, step % 2 === 0);
          const inputs = [0, 1].map((odd) =>
            Uint32Array.from({ length: BATCH }, (_, b) => b).filter((b) => Number(b % 3 === 0) === odd),
          );
          const parts = inputs.map((part) => mapLookups(lookups, part));
          await whole.stage(0, mapLookups(lookups, Uint32Array.from(inputs.flatMap((part) => [...part]))));
          await cut.stage(0, ...parts);
          const rows = await floatsOf(device, whole.rows(0));
          let at = 0;
          for (const [p, part] of parts.entries()) {
            const length = part.size * part.tables * 16;
            const got = await floatsOf(device, cut.rows(0, p));
            expect(got.subarray(0, length)).toEqual(rows.subarray(at, (at += length)));
          }
          const gradients = Float32Array.from({ length: at }, () => rng.normal());
          await giveGradients(device, whole, 0, gradients);
          at = 0;
          for (const [p, part] of parts.entries()) {
            const length = part.size * part.tables * 16;
            // As a program does that takes more inputs than the part has.
            const padded = new Float32Array(sizeOf(cut.gradients(0, p).shape));
            padded.set(gradients.subarray(at, (at += length)));
            await giveGradients(device, cut, 0, padded, p);
          }
          for (const store of [whole, cut]) await store.update(0, 0.1, step);
        }
        expect(everything(cut)).toEqual(everything(whole));
      },
    );

    test("needs rows that begin at whole vectors", async () => {
      const tables = await onDevice({ dim: 6 });
      const part = randomLookups(new Rng(1), CARDINALITIES, 4, false);
      await expect(tables.stage(0, part, part)).rejects.toMatchObject({ code: "PART_ALIGNMENT" });
    });
  });

  test("give a buffer staged ahead the rows of an update, after a refresh or staged later", async () => {
    const gpu = await onDevice({ stagingBuffers: 2 });
    const lookups = spreadLookups(new Rng(2), BATCH, false);
    await gpu.stage(0, lookups);
    await gpu.stage(1, lookups);
    const before = await floatsOf(device, gpu.rows(1));
    await giveGradients(device, gpu, 0, new Float32Array(BATCH * 4 * 16).fill(1));
    await gpu.update(0, 0.1, 1);
    expect(await floatsOf(device, gpu.rows(1))).toEqual(before);
    await gpu.refresh(1, 0);
    const after = await floatsOf(device, gpu.rows(1));
    expect(after).not.toEqual(before);
    await gpu.stage(1, lookups);
    expect(await floatsOf(device, gpu.rows(1))).toEqual(after);
  });

  test("hold no more after 2,000 steps, and nothing once disposed", async () => {
    const held = () => ({ ...liveObjects(), bytes: device.allocator.stats().allocatedBytes });
    const before = held();
    const gpu = await onDevice({ stagingBuffers: 2, dim: 4, cardinalities: [9, 20], maxBatch: 8 });
    const [full, short] = [8, 3].map((size) => randomLookups(new Rng(size), [9, 20], size, false));
    const step = async (i: number) => {
      await gpu.stage(i % 2, i % 5 === 0 ? short! : full!);
      await gpu.update(i % 2, 0.01, i + 1);
    };
    for (let i = 0; i < 20; i++) await step(i);
    const during = held();
    for (let i = 20; i < 2000; i++) await step(i);
    expect(held()).toEqual(during);
    await gpu.dispose();
    // Compiled kernels are the device's, and kept.
    const { module: _, ...after } = held() as Record<string, number>;
    const { module: __, ...wanted } = before as Record<string, number>;
    expect(after).toEqual(wanted);
  });

  test("say which id or bag is wrong, and go on", async () => {
    const gpu = await onDevice();
    const good = spreadLookups(new Rng(4), 5, true);
    const bad = { ...good, ids: good.ids.slice() };
    const at = good.offsets![2 * 5]! + 3;
    bad.ids[at] = 900;
    bad.ids[at + 1] = -1;
    await expect(gpu.stage(0, bad)).rejects.toMatchObject({
      code: "LOOKUP_OUT_OF_RANGE",
      where: "table 2, lookup 3",
      message: "ids must name one of 900 rows, got 900",
    });
    expect(() => gpu.rows(0)).toThrow(expect.objectContaining({ code: "STAGING_BUFFER_EMPTY" }));
    const offsets = good.offsets!.slice();
    offsets[3 * 5 + 2] = offsets[3 * 5 + 1]! - 1;
    await expect(gpu.stage(0, { ...good, offsets })).rejects.toMatchObject({
      code: "LOOKUPS_OFFSETS",
      where: "table 3, input 1",
    });
    // Far outside: nothing may be read there, as a GPU would be lost to the process.
    offsets[3 * 5 + 2] = 1_000_000_000;
    await expect(gpu.stage(0, { ...good, offsets })).rejects.toMatchObject({ code: "LOOKUPS_OFFSETS" });
    await expect(gpu.stage(0, { ...good, size: BATCH + 1 })).rejects.toMatchObject({ code: "LOOKUPS_SHAPE" });
    await gpu.stage(0, good);
    const empty = { size: 2, tables: 4, ids: new Int32Array(0), offsets: new Int32Array(9) };
    await gpu.stage(0, empty);
    expect((await floatsOf(device, gpu.rows(0))).every((x) => x === 0)).toBe(true);
    await gpu.update(0, 0.1, 1);
  });

  test("take rows and state written from outside, and refuse what does not fit", async () => {
    const gpu = await onDevice({ dim: 6, optimizer: OPTIMIZERS[3]! });
    const rows = { weights: new Float32Array(12).fill(2), state: { v: new Float32Array(12).fill(3) } };
    gpu.writeRows(2, 5, rows);
    const { weights, state } = gpu.readRows(2, 4, 4);
    expect([...weights.subarray(6, 18)]).toEqual(Array.from({ length: 12 }, () => 2));
    expect([...state["v"]!]).toEqual([
      0,
      0,
      0,
      0,
      0,
      0,
      ...Array.from({ length: 12 }, () => 3),
      0,
      0,
      0,
      0,
      0,
      0,
    ]);
    expect(state["m"]!.every((x) => x === 0)).toBe(true);
    const code = (code: string) => expect.objectContaining({ code });
    expect(() => gpu.readRows(2, 899, 2)).toThrow(code("ROWS_RANGE"));
    expect(() => gpu.writeRows(0, 0, { weights: rows.weights, state: { m: new Float32Array(6) } })).toThrow(
      code("ROWS_LENGTH"),
    );
    await gpu.dispose();
    expect(() => gpu.readRows(0, 0, 1)).toThrow(code("STORE_DISPOSED"));
  });
});
