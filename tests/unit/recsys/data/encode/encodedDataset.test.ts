/** @file Round trips of the encoded data set: order, shuffles, resuming at any batch, and damage. */
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ClickBatch } from "../../../../../src/recsys/data/batches/clickBatch.ts";
import { EncodedDataset } from "../../../../../src/recsys/data/encode/encodedDataset.ts";
import { EncodedDatasetWriter } from "../../../../../src/recsys/data/encode/encodedDatasetWriter.ts";

let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-encoded-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface Row {
  position: number;
  label: number;
  dense: number[];
  bags: number[][];
}

function toBatch(rows: Row[], dense: number, tables: number, multiHot: boolean): ClickBatch {
  const ids: number[] = [];
  const offsets: number[] = [];
  for (let t = 0; t < tables; t++) {
    for (const row of rows) {
      offsets.push(ids.length);
      ids.push(...row.bags[t]!);
    }
  }
  offsets.push(ids.length);
  return {
    size: rows.length,
    dense: Float32Array.from(rows.flatMap((row) => row.dense)),
    labels: Float32Array.from(rows, (row) => row.label),
    rows: Float64Array.from(rows, (row) => row.position),
    lookups: {
      size: rows.length,
      tables,
      ids: Int32Array.from(ids),
      offsets: multiHot ? Int32Array.from(offsets) : null,
    },
  };
}

function fromBatch(batch: ClickBatch, dense: number): Row[] {
  const { ids, offsets, tables } = batch.lookups;
  return Array.from({ length: batch.size }, (_, b) => ({
    position: batch.rows[b]!,
    label: batch.labels[b]!,
    dense: [...batch.dense.subarray(b * dense, (b + 1) * dense)],
    bags: Array.from({ length: tables }, (_, t) => {
      const bag = t * batch.size + b;
      return offsets === null ? [ids[bag]!] : [...ids.subarray(offsets[bag]!, offsets[bag + 1]!)];
    }),
  }));
}

async function write(
  rows: Row[],
  dense: number,
  tables: number,
  multiHot: boolean,
  chunk: number,
  rowsPerGroup: number,
): Promise<EncodedDataset> {
  const writer = await EncodedDatasetWriter.create(
    join(root, `set${made++}`),
    { dense, tables, cardinalities: Array<number>(tables).fill(100), multiHot },
    { rowsPerGroup },
  );
  for (let from = 0; from < rows.length; from += chunk) {
    await writer.append(toBatch(rows.slice(from, from + chunk), dense, tables, multiHot));
  }
  return writer.finish();
}

async function read(set: EncodedDataset, options: Parameters<EncodedDataset["batches"]>[0]): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of set.batches(options)) rows.push(...fromBatch(batch, set.layout.dense));
  return rows;
}

function makeRows(count: number, dense: number, tables: number, multiHot: boolean): Row[] {
  return Array.from({ length: count }, (_, i) => ({
    position: i * 3,
    label: i % 3 === 0 ? 1 : 0,
    dense: Array.from({ length: dense }, (_, d) => Math.fround(i + d / 8)),
    bags: Array.from({ length: tables }, (_, t) =>
      multiHot ? Array.from({ length: (i + t) % 4 }, (_, k) => (i * 7 + t + k) % 100) : [(i * 7 + t) % 100],
    ),
  }));
}

const shape = fc.record({
  count: fc.integer({ min: 0, max: 120 }),
  dense: fc.integer({ min: 0, max: 3 }),
  tables: fc.integer({ min: 0, max: 3 }),
  multiHot: fc.boolean(),
  chunk: fc.integer({ min: 1, max: 50 }),
  groupBits: fc.integer({ min: 0, max: 5 }),
  batchSize: fc.integer({ min: 1, max: 60 }),
  groupsPerWindow: fc.integer({ min: 1, max: 5 }),
  recycle: fc.constantFrom(0, 1, 3),
});

describe("an encoded data set", () => {
  test("gives back what was written, in order, for any shape, chunk, group and batch size", async () => {
    await fc.assert(
      fc.asyncProperty(shape, async (s) => {
        const rows = makeRows(s.count, s.dense, s.tables, s.multiHot);
        const set = await write(rows, s.dense, s.tables, s.multiHot, s.chunk, 1 << s.groupBits);
        expect(set.rows).toBe(s.count);
        expect(set.labelCounts[1]).toBe(rows.filter((row) => row.label === 1).length);
        expect(await read(set, s)).toEqual(rows);
      }),
      { numRuns: 60 },
    );
  });

  test("shuffles into the same rows, alike for equal seed and epoch, and resumes at any batch", async () => {
    await fc.assert(
      fc.asyncProperty(shape, fc.nat(9), fc.nat(3), async (s, seed, epoch) => {
        const rows = makeRows(s.count, s.dense, s.tables, s.multiHot);
        const set = await write(rows, s.dense, s.tables, s.multiHot, s.chunk, 1 << s.groupBits);
        const options = { ...s, shuffle: { seed, epoch } };
        const once = await read(set, options);
        expect(once.toSorted((a, b) => a.position - b.position)).toEqual(rows);
        const start = Math.floor(set.batchCount(s.batchSize) / 2);
        expect(await read(set, { ...options, start })).toEqual(once.slice(start * s.batchSize));
        expect(await read(set, { ...options, start: set.batchCount(s.batchSize) })).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test("shuffles differently in each epoch and for each seed", async () => {
    const set = await write(makeRows(1000, 1, 1, false), 1, 1, false, 100, 64);
    const orders = new Set<string>();
    for (const shuffle of [
      { seed: 1, epoch: 0 },
      { seed: 1, epoch: 1 },
      { seed: 2, epoch: 0 },
    ]) {
      orders.add(JSON.stringify((await read(set, { batchSize: 100, shuffle })).map((row) => row.position)));
    }
    expect(orders.size).toBe(3);
  });

  test("writes the rows of a selection, in its order", async () => {
    for (const multiHot of [false, true]) {
      const rows = makeRows(50, 2, 3, multiHot);
      const writer = await EncodedDatasetWriter.create(
        join(root, `selected${String(multiHot)}`),
        { dense: 2, tables: 3, cardinalities: [100, 100, 100], multiHot },
        { rowsPerGroup: 8 },
      );
      const selection = Uint32Array.of(3, 49, 0, 7, 7, 12, 30, 31, 32, 33, 1);
      await writer.append(toBatch(rows, 2, 3, multiHot), selection);
      const set = await writer.finish();
      expect(await read(set, { batchSize: 4 })).toEqual([...selection].map((i) => rows[i]));
    }
  });

  test("accepts one-hot batches into a multi-hot set", async () => {
    const rows = makeRows(20, 1, 2, false);
    const writer = await EncodedDatasetWriter.create(join(root, "mixed"), {
      dense: 1,
      tables: 2,
      cardinalities: [100, 100],
      multiHot: true,
    });
    await writer.append(toBatch(rows, 1, 2, false));
    expect(await read(await writer.finish(), { batchSize: 7 })).toEqual(rows);
  });

  test("lays batches on shared memory, of their own unless recycled", async () => {
    const set = await write(makeRows(40, 1, 2, false), 1, 2, false, 40, 8);
    const kept: ClickBatch[] = [];
    for await (const batch of set.batches({ batchSize: 10 })) kept.push(batch);
    expect(kept.flatMap((batch) => fromBatch(batch, 1))).toEqual(makeRows(40, 1, 2, false));
    for (const array of [kept[0]!.dense, kept[0]!.labels, kept[0]!.rows, kept[0]!.lookups.ids]) {
      expect(array.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
    const recycled: ClickBatch[] = [];
    for await (const batch of set.batches({ batchSize: 10, recycle: 2 })) recycled.push(batch);
    expect(recycled[2]!.dense.buffer).toBe(recycled[0]!.dense.buffer);
    expect(recycled[1]!.dense.buffer).not.toBe(recycled[0]!.dense.buffer);
  });

  test("does not count as complete before finish, nor after it was begun anew", async () => {
    const directory = join(root, "begun");
    const layout = { dense: 1, tables: 1, cardinalities: [100], multiHot: false };
    const writer = await EncodedDatasetWriter.create(directory, layout);
    await writer.append(toBatch(makeRows(10, 1, 1, false), 1, 1, false));
    await expect(EncodedDataset.open(directory)).rejects.toMatchObject({ code: "DATA_ENCODED_MISSING" });
    await writer.finish();
    expect((await EncodedDataset.open(directory)).rows).toBe(10);
    await (await EncodedDatasetWriter.create(directory, layout)).abort();
    await expect(EncodedDataset.open(directory)).rejects.toMatchObject({ code: "DATA_ENCODED_MISSING" });
  });

  test("names a file that was cut short", async () => {
    const set = await write(makeRows(100, 1, 1, false), 1, 1, false, 100, 16);
    await truncate(join(set.directory, "rows.bin"), 700);
    await expect(read(set, { batchSize: 10 })).rejects.toMatchObject({ code: "DATA_ENCODED_DAMAGED" });
  });

  test("whose bags do not rise to the number of ids is refused", async () => {
    const set = await write(makeRows(100, 1, 2, true), 1, 2, true, 100, 128);
    const path = join(set.directory, "rows.bin");
    const whole = await readFile(path);
    // Numbers of rows, labels and one dense value a row stand before the bags.
    const bagsAt = 100 * (8 + 4 + 4);
    for (const [bag, value] of [
      [0, 1],
      [50, -1],
      [50, 2 ** 30],
      [200, 0],
    ] as const) {
      const damaged = Buffer.from(whole);
      damaged.writeInt32LE(value, bagsAt + 4 * bag);
      await writeFile(path, damaged);
      await expect(read(set, { batchSize: 10 })).rejects.toMatchObject({ code: "DATA_ENCODED_DAMAGED" });
    }
  });

  test.each([
    ["layout.tables", { layout: { dense: 1, tables: 1e9, cardinalities: [100], multiHot: false } }],
    ["rows", { rows: 1e15 }],
    ["labelCounts", { labelCounts: [1e12, 0] }],
    ["maxIdsPerRow", { maxIdsPerRow: 2 ** 40 }],
    ["groups[1].rows", { rowsPerGroup: 8, rows: 100 }],
    ["groups[0].ids", { groups: [{ offset: 0, rows: 100, ids: 2 ** 50 }] }],
    ["groups[0].offset", { groups: [{ offset: 2 ** 50, rows: 100, ids: 100 }] }],
    ["layout.dense", { layout: { dense: 1e9, tables: 1, cardinalities: [100], multiHot: false } }],
  ])("whose index claims absurd %s is refused when it is opened", async (key, change) => {
    const set = await write(
      makeRows(100, 1, 1, false),
      1,
      1,
      false,
      100,
      key === "groups[1].rows" ? 16 : 128,
    );
    const path = join(set.directory, "layout.json");
    const index = JSON.parse(await readFile(path, "utf8")) as object;
    await writeFile(path, JSON.stringify({ ...index, ...change }));
    await expect(EncodedDataset.open(set.directory)).rejects.toMatchObject({ code: "DATA_ENCODED_DAMAGED" });
  });
});
