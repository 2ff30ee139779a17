/** @file Shuffled passes that are long enough for window threads: their order, their damage, and what they leave. */
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { ClickBatch } from "../../../../../src/recsys/data/batches/clickBatch.ts";
import { type BatchOptions, EncodedDataset } from "../../../../../src/recsys/data/encode/encodedDataset.ts";
import { EncodedDatasetWriter } from "../../../../../src/recsys/data/encode/encodedDatasetWriter.ts";
import { Rng } from "../../../../../src/base/rng.ts";

const ROWS = 150_123;
const GROUP = 1024;
const DENSE = 2;
const TABLES = 3;

let root: string;
let oneHot: EncodedDataset;
let multiHot: EncodedDataset;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-shuffle-"));
  oneHot = await write("one", false);
  multiHot = await write("many", true);
});
afterAll(() => rm(root, { recursive: true, force: true }));

// Every value of a row is a function of its position.
const labelOf = (position: number) => (position % 3 === 0 ? 1 : 0);
const denseOf = (position: number, d: number) => Math.fround(position + d / 8);
const idOf = (position: number, t: number, k: number) => (position * 7 + t + k) % 1000;
const lengthOf = (set: EncodedDataset, position: number, t: number) =>
  set.layout.multiHot ? (position + t) % 4 : 1;

async function write(name: string, isMultiHot: boolean): Promise<EncodedDataset> {
  const layout = {
    dense: DENSE,
    tables: TABLES,
    cardinalities: Array<number>(TABLES).fill(1000),
    multiHot: isMultiHot,
  };
  const writer = await EncodedDatasetWriter.create(join(root, name), layout, { rowsPerGroup: GROUP });
  for (let first = 0; first < ROWS; first += 10_000) {
    const size = Math.min(10_000, ROWS - first);
    const ids: number[] = [];
    const offsets: number[] = [];
    for (let t = 0; t < TABLES; t++) {
      for (let b = 0; b < size; b++) {
        const length = isMultiHot ? (first + b + t) % 4 : 1;
        offsets.push(ids.length);
        for (let k = 0; k < length; k++) ids.push(idOf(first + b, t, k));
      }
    }
    offsets.push(ids.length);
    await writer.append({
      size,
      dense: Float32Array.from({ length: size * DENSE }, (_, i) =>
        denseOf(first + Math.floor(i / DENSE), i % DENSE),
      ),
      labels: Float32Array.from({ length: size }, (_, i) => labelOf(first + i)),
      rows: Float64Array.from({ length: size }, (_, i) => first + i),
      lookups: {
        size,
        tables: TABLES,
        ids: Int32Array.from(ids),
        offsets: isMultiHot ? Int32Array.from(offsets) : null,
      },
    });
  }
  return writer.finish();
}

/** The order of groups, and of rows within windows of them, said as simply as possible. */
function model(seed: number, epoch: number, groupsPerWindow: number): { groups: number[]; rows: number[] } {
  const stream = 0x5f000000 + epoch * 0x10000;
  const groups = Array.from({ length: Math.ceil(ROWS / GROUP) }, (_, g) => g);
  new Rng(seed, stream).shuffle(groups);
  const rows: number[] = [];
  for (let w = 0; w * groupsPerWindow < groups.length; w++) {
    const window: number[] = [];
    for (const g of groups.slice(w * groupsPerWindow, (w + 1) * groupsPerWindow)) {
      for (let row = g * GROUP; row < Math.min(ROWS, (g + 1) * GROUP); row++) window.push(row);
    }
    rows.push(...new Rng(seed, stream + 1 + w).shuffle(window));
  }
  return { groups, rows };
}

/** Whether a batch holds these rows, with all that belongs to them. */
function holds(set: EncodedDataset, { size, rows, labels, dense, lookups }: ClickBatch, expected: number[]) {
  if (size !== expected.length || lookups.size !== size || lookups.tables !== TABLES) return false;
  let at = 0;
  for (let b = 0; b < size; b++) {
    const position = expected[b]!;
    if (rows[b] !== position || labels[b] !== labelOf(position)) return false;
    for (let d = 0; d < DENSE; d++) if (dense[b * DENSE + d] !== denseOf(position, d)) return false;
  }
  for (let t = 0; t < TABLES; t++) {
    for (let b = 0; b < size; b++) {
      if (lookups.offsets && lookups.offsets[t * size + b] !== at) return false;
      for (let k = 0; k < lengthOf(set, expected[b]!, t); k++) {
        if (lookups.ids[at++] !== idOf(expected[b]!, t, k)) return false;
      }
    }
  }
  return lookups.ids.length === at && (!lookups.offsets || lookups.offsets[TABLES * size] === at);
}

async function expectModel(set: EncodedDataset, options: BatchOptions & { groupsPerWindow: number }) {
  const { batchSize, start = 0, recycle = 0, shuffle, groupsPerWindow } = options;
  const { rows } = model(shuffle!.seed, shuffle!.epoch, groupsPerWindow);
  const held: { batch: ClickBatch; expected: number[] }[] = [];
  let next = start * batchSize;
  for await (const batch of set.batches(options)) {
    const expected = rows.slice(next, next + batchSize);
    held.push({ batch, expected });
    if (recycle > 0 && held.length > recycle) held.shift();
    // The oldest batch that is valid is looked at last, when all those after it are there.
    const oldest = held[0]!;
    if (!holds(set, batch, expected) || !holds(set, oldest.batch, oldest.expected)) {
      expect.fail(`the batch of rows ${next}… differs`);
    }
    next += expected.length;
  }
  expect(next).toBe(ROWS);
}

const workers = () => (process.report.getReport() as { workers: unknown[] }).workers.length;

describe("a long shuffled pass", () => {
  test("gives the rows of the model, from any batch, in batches of any size", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          isMultiHot: fc.boolean(),
          batchSize: fc.oneof(fc.integer({ min: 500, max: 5000 }), fc.integer({ min: 5000, max: 60_000 })),
          skipped: fc.double({ min: 0, max: 0.5, noNaN: true }),
          recycle: fc.constantFrom(0, 1, 4),
          groupsPerWindow: fc.constantFrom(3, 8, 50, 70),
          seed: fc.integer({ min: 0, max: 2 ** 40 }),
          epoch: fc.nat(5),
        }),
        async ({ isMultiHot, batchSize, skipped, recycle, groupsPerWindow, seed, epoch }) => {
          const start = Math.floor((skipped * ROWS) / batchSize);
          const shuffle = { seed, epoch };
          const set = isMultiHot ? multiHot : oneHot;
          await expectModel(set, { batchSize, start, recycle, groupsPerWindow, shuffle });
        },
      ),
      { numRuns: 12 },
    );
  });

  test("shares its threads with passes at the same time", async () => {
    const passes = [oneHot, multiHot, oneHot].map((set, seed) =>
      expectModel(set, { batchSize: 2048, recycle: 2, groupsPerWindow: 8, shuffle: { seed, epoch: 1 } }),
    );
    await Promise.all(passes);
  });

  test("names a file that was cut short when a thread meets the end", async () => {
    const directory = join(root, "cut");
    await cp(oneHot.directory, directory, { recursive: true });
    const file = join(directory, "rows.bin");
    const set = await EncodedDataset.open(directory);
    await truncate(file, (await stat(file)).size - 4096);
    const last = Math.ceil(ROWS / GROUP) - 1;
    const windowOf = (seed: number) => Math.floor(model(seed, 0, 8).groups.indexOf(last) / 8);
    let seed = 0;
    while (windowOf(seed) < 4) seed++;
    let batches = 0;
    const reading = (async () => {
      for await (const { size } of set.batches({ batchSize: 512, shuffle: { seed, epoch: 0 } })) {
        expect(size).toBe(512);
        batches++;
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: "DATA_ENCODED_DAMAGED", where: file });
    expect(batches).toBe((windowOf(seed) * 8 * GROUP) / 512);
  });

  test("leaves no thread when it is left early", async () => {
    for await (const batch of oneHot.batches({ batchSize: 3000, shuffle: { seed: 1, epoch: 0 } })) {
      expect(batch.size).toBe(3000);
      expect(workers()).toBeGreaterThan(0);
      break;
    }
    await vi.waitFor(() => expect(workers()).toBe(0), { timeout: 10_000, interval: 100 });
  });

  test("does not keep a process alive, whether it was left or still stands", async () => {
    const module = new URL("../../../../../src/recsys/data/encode/encodedDataset.ts", import.meta.url).href;
    const code = `
      const { EncodedDataset } = await import(${JSON.stringify(module)});
      const set = await EncodedDataset.open(${JSON.stringify(oneHot.directory)});
      const options = { batchSize: 2048, shuffle: { seed: 1, epoch: 0 } };
      for await (const batch of set.batches(options)) break;
      const standing = set.batches(options);
      for (let i = 0; i < 20; i++) await standing.next();
      const began = performance.now();
      process.on("exit", () => console.log(performance.now() - began));`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", code]);
    expect(Number(stdout)).toBeLessThan(900);
  });
});
