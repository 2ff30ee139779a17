/** @file Batches in several parts: gathered apart, and updated as the batch that the parts make up. */
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Lookups } from "../../../../src/recsys/data/batches/clickBatch.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { ThreadPool } from "../../../../src/engine/targets/cpu/index.ts";
import { EmbeddingTables } from "../../../../src/recsys/embedding/embeddingTables.ts";
import type { SparseOptimizer } from "../../../../src/recsys/embedding/sparseOptimizer.ts";
import { HotEmbeddings } from "../../../../src/recsys/embedding/hotEmbeddings.ts";
import { paddedSize } from "../../../../src/recsys/embedding/partPadding.ts";
import { mapLookups } from "../../../../src/recsys/data/batches/mapLookups.ts";
import { OPTIMIZERS, randomLookups } from "../../../support/recsys/referenceTables.ts";

const CARDINALITIES = [7, 300, 40];
const TABLES = CARDINALITIES.length;
const DIM = 5;
const BATCH = 24;

let pool: ThreadPool;
beforeAll(async () => {
  pool = await ThreadPool.create(2);
});
afterAll(() => pool.dispose());

function create(optimizer: SparseOptimizer, arenaBytes?: number): Promise<EmbeddingTables> {
  return EmbeddingTables.create({
    pool,
    cardinalities: CARDINALITIES,
    dim: DIM,
    optimizer,
    seed: 5,
    stagingBuffers: 2,
    maxBatch: BATCH,
    maxLookups: BATCH * TABLES * 6,
    ...(arenaBytes !== undefined && { arenaBytes }),
  });
}

/** All rows and state, flat. */
function everything(tables: EmbeddingTables): Float32Array[] {
  return CARDINALITIES.flatMap((rows, t) => {
    const { weights, state } = tables.readRows(t, 0, rows);
    return [weights, ...Object.values(state)];
  });
}

/** Cuts a batch into parts of random inputs: `[part][position]` is an input. */
function randomParts(rng: Rng, size: number, parts: number): Uint32Array[] {
  const part = Array.from({ length: size }, (_, b) => (b < parts ? b : rng.integer(parts)));
  return Array.from({ length: parts }, (_, p) =>
    Uint32Array.from([...part.keys()].filter((b) => part[b] === p)),
  );
}

/** Inputs that look the one hot row of each table up, by hot index. */
function hotLookups(size: number): Lookups {
  const ids = Int32Array.from({ length: TABLES * size }, (_, l) => Math.floor(l / size));
  return { size, tables: TABLES, ids, offsets: null };
}

/** Whole numbers, so that a sum of them is exact in any order. */
const wholeGradient = (rng: Rng) => rng.integer(9) - 4;

/** Trains on random batches, cut into parts of random inputs, and returns the rows that were gathered and the tables. */
async function train(
  tables: EmbeddingTables,
  { parts, isMultiHot, seed }: { parts: number; isMultiHot: boolean; seed: number },
): Promise<Float32Array[]> {
  const rng = new Rng(seed);
  const gathered: Float32Array[] = [];
  for (let step = 1; step <= 4; step++) {
    const size = 3 + rng.integer(BATCH - 2);
    const lookups = randomLookups(rng, CARDINALITIES, size, isMultiHot);
    const gradients = Float32Array.from({ length: size * TABLES * DIM }, () => wholeGradient(rng));
    const inputs = randomParts(new Rng(seed, step), size, parts);
    const rows = new Float32Array(gradients.length);
    await tables.stage(0, ...inputs.map((part) => mapLookups(lookups, part)));
    for (const [p, part] of inputs.entries()) {
      for (const [i, input] of part.entries()) {
        const [from, at] = [i * TABLES * DIM, input * TABLES * DIM];
        rows.set(tables.rows(0, p).subarray(from, from + TABLES * DIM), at);
        tables.gradients(0, p).set(gradients.subarray(at, at + TABLES * DIM), from);
      }
    }
    gathered.push(rows);
    await tables.update(0, 0.25, step);
  }
  return [...gathered, ...everything(tables)];
}

describe("a batch in parts", () => {
  test("gathers and updates as the whole batch does, wherever it is cut, with every optimizer", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...OPTIMIZERS),
        fc.integer({ min: 2, max: 3 }),
        fc.boolean(),
        // Three arenas, so that rows are fetched from others too.
        fc.constantFrom(undefined, 40_000),
        fc.integer({ min: 0, max: 1e6 }),
        async (optimizer, parts, isMultiHot, arenaBytes, seed) => {
          const [whole, cut] = await Promise.all([
            create(optimizer, arenaBytes),
            create(optimizer, arenaBytes),
          ]);
          const wanted = await train(whole, { parts: 1, isMultiHot, seed });
          expect(await train(cut, { parts, isMultiHot, seed })).toEqual(wanted);
          await Promise.all([whole.dispose(), cut.dispose()]);
        },
      ),
      { numRuns: 40, seed: 1 },
    );
  });

  test("may mix bags of one id with bags of many", async () => {
    const tables = await create({ kind: "sgd" });
    const before = tables.readRows(0, 0, 7).weights;
    const one: Lookups = { size: 1, tables: TABLES, ids: Int32Array.of(3, 0, 0), offsets: null };
    const many = {
      size: 2,
      tables: TABLES,
      ids: Int32Array.of(99, 3, 3, 2, 1, 1),
      // The first id is no lookup; the second input looks nothing up in tables 0 and 2.
      offsets: Int32Array.of(1, 4, 4, 5, 6, 6, 6),
    };
    await tables.stage(1, one, many);
    expect([...tables.rows(1, 0).subarray(0, DIM)]).toEqual([...before.subarray(3 * DIM, 4 * DIM)]);
    expect(tables.rows(1, 1)).toHaveLength(2 * TABLES * DIM);
    const pooled = before
      .subarray(3 * DIM, 4 * DIM)
      .map((w, e) => Math.fround(Math.fround(w + w) + before[2 * DIM + e]!));
    expect([...tables.rows(1, 1).subarray(0, DIM)]).toEqual([...pooled]);
    expect([...tables.rows(1, 1).subarray(TABLES * DIM, (TABLES + 1) * DIM)]).toEqual([0, 0, 0, 0, 0]);
    tables.gradients(1, 0).fill(1);
    tables.gradients(1, 1).fill(2);
    await tables.update(1, 1, 1);
    // Row 3 is read once by the first part and twice by the second: 1 + 2 + 2.
    const after = tables.readRows(0, 0, 7).weights;
    expect([...after.subarray(3 * DIM, 4 * DIM)]).toEqual(
      [...before.subarray(3 * DIM, 4 * DIM)].map((w) => Math.fround(w - 5)),
    );
    await tables.dispose();
  });

  test("is refreshed by the update of another batch, and refreshes", async () => {
    const [serial, ahead] = await Promise.all([create({ kind: "sgd" }), create({ kind: "sgd" })]);
    const rng = new Rng(4);
    const batches = Array.from({ length: 6 }, () => {
      const lookups = randomLookups(rng, CARDINALITIES, BATCH, true);
      return randomParts(rng, BATCH, 2).map((part) => mapLookups(lookups, part));
    });
    await ahead.stage(0, ...batches[0]!);
    for (const [i, parts] of batches.entries()) {
      const [buffer, next] = [i % 2, (i + 1) % 2];
      await serial.stage(0, ...parts);
      for (const part of [0, 1]) {
        expect(ahead.rows(buffer, part)).toEqual(serial.rows(0, part));
        serial.gradients(0, part).fill(wholeGradient(rng));
        ahead.gradients(buffer, part).set(serial.gradients(0, part));
      }
      await serial.update(0, 0.5, i + 1);
      if (i + 1 < batches.length) await ahead.stage(next, ...batches[i + 1]!);
      await ahead.update(buffer, 0.5, i + 1);
      if (i + 1 < batches.length) await ahead.refresh(next, buffer);
    }
    expect(everything(ahead)).toEqual(everything(serial));
    await Promise.all([serial.dispose(), ahead.dispose()]);
  });

  test("marks the rows of every part as changed", async () => {
    const tables = await create({ kind: "sgd" });
    const rows = Uint32Array.of(0, 1, 2, 3);
    const hot = await HotEmbeddings.create({ tables, rows, stagingBuffers: 1, maxBatch: BATCH });
    await hot.syncIn();
    const inTable0 = (index: number): Lookups => ({
      size: 1,
      tables: TABLES,
      ids: Int32Array.of(index),
      offsets: Int32Array.of(0, 1, 1, 1),
    });
    await hot.stage(0, inTable0(1), inTable0(3));
    for (const part of [0, 1]) hot.gradients(0, part).fill(1);
    await hot.update(0, 1, 1);
    expect((await hot.syncOut()).rows).toBe(2);
    await hot.dispose();
    await tables.dispose();
  });

  test("must fit the buffer, and has no other parts", async () => {
    const tables = await create({ kind: "sgd" });
    const part = randomLookups(new Rng(1), CARDINALITIES, BATCH / 2 + 1, false);
    await expect(tables.stage(0, part, part)).rejects.toMatchObject({
      code: "LOOKUPS_SHAPE",
      message: `the parts of a batch must have at most ${BATCH} inputs together, got ${BATCH + 2}`,
    });
    await expect(tables.stage(0)).rejects.toMatchObject({ code: "LOOKUPS_SHAPE" });
    await tables.stage(0, part);
    expect(() => tables.rows(0, 1)).toThrow(expect.objectContaining({ code: "PART_INVALID" }));
    await tables.dispose();
  });

  test("is ready once it is staged, in a store of one memory", async () => {
    const tables = await create({ kind: "sgd" });
    const hot = await HotEmbeddings.create({
      tables,
      rows: Uint32Array.of(0, 7, 307),
      stagingBuffers: 2,
      maxBatch: BATCH,
    });
    await hot.syncIn();
    for (const store of [tables, hot]) {
      const part = store === tables ? randomLookups(new Rng(1), CARDINALITIES, 3, false) : hotLookups(3);
      await expect(store.ready(1, 0)).rejects.toMatchObject({ code: "STAGING_BUFFER_EMPTY" });
      await expect(store.ready(2, 0)).rejects.toMatchObject({ code: "STAGING_BUFFER_INVALID" });
      await store.stage(1, part, part);
      await Promise.all([store.ready(1, 0), store.ready(1, 1)]);
      expect(store.rows(1, 1)).toEqual(store.rows(1, 0));
      await expect(store.ready(1, 2)).rejects.toMatchObject({ code: "PART_INVALID" });
    }
    await hot.dispose();
    await tables.dispose();
  });
});

describe("programs of parts", () => {
  test("take a whole batch at its largest size, a part at the next eighth", () => {
    expect(paddedSize(3, 1, 1024)).toBe(1024);
    expect([1, 128, 129, 1000, 1024].map((size) => paddedSize(size, 2, 1024))).toEqual([
      128, 128, 256, 1024, 1024,
    ]);
    expect([1, 2, 3].map((size) => paddedSize(size, 2, 3))).toEqual([1, 2, 3]);
  });
});
