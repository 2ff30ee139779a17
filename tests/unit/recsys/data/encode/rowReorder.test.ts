/** @file Stretches of rows that wait in memory or in a file, and what is said when the disk is full. */
import { existsSync } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { wrapDuckdbError } from "../../../../../src/recsys/data/source/duckdbErrors.ts";
import { fileError } from "../../../../../src/base/fileErrors.ts";
import { RowReorder } from "../../../../../src/recsys/data/encode/rowReorder.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-reorder-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test("stretches come back whole, from memory and from the file, whatever the limit", async () => {
  for (const limitBytes of [0, 100, 1000, 1e6]) {
    const path = join(root, `waiting${limitBytes}`);
    const waiting = new RowReorder(path, limitBytes);
    const starts = [40, 10, 30, 20, 0];
    for (const start of starts) {
      await waiting.put({
        start,
        size: 10,
        words: Int32Array.from({ length: 30 }, (_, i) => start * 100 + i),
      });
    }
    expect(waiting.spilledBytes).toBe(120 * (5 - Math.min(5, Math.floor(limitBytes / 120))));
    for (const start of starts.toSorted((a, b) => a - b)) {
      const found = await waiting.take(start);
      expect(found?.size).toBe(10);
      expect([...found!.words]).toEqual(Array.from({ length: 30 }, (_, i) => start * 100 + i));
      expect(await waiting.take(start)).toBeNull();
    }
    await waiting.dispose();
    expect(existsSync(path)).toBe(false);
  }
});

test.skipIf(!existsSync("/dev/full"))("a full disk is named, whether Node or DuckDB meets it", async () => {
  const handle = await open("/dev/full", "w");
  const error: unknown = await handle.write("x").catch((cause: unknown) => cause);
  await handle.close();
  expect(fileError(error, "out.parquet")).toMatchObject({ code: "FILE_DISK_FULL", where: "out.parquet" });
  const native = new Error('IO Error: Could not write file "x": No space left on device');
  expect(wrapDuckdbError(native, "out.parquet")).toMatchObject({ code: "FILE_DISK_FULL", cause: native });
});
