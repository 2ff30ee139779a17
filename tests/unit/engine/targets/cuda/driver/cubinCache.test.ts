/** @file Machine code kept on disk. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { CubinCache, cubinKey } from "../../../../../../src/engine/targets/cuda/driver/cubinCache.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "cubin-cache-"));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

/** A compiler that counts its runs. */
function compiler(bytes: readonly number[]) {
  const make = async (): Promise<Uint8Array> => {
    make.runs++;
    return Uint8Array.from(bytes);
  };
  make.runs = 0;
  return make;
}

test("what was made once is read by the next one, and nothing else is left in the folder", async () => {
  const folder = join(root, "deep", "folder");
  const make = compiler([1, 2, 3]);
  expect([...(await new CubinCache(folder).get("key", make))]).toEqual([1, 2, 3]);
  expect([...(await new CubinCache(folder).get("key", make))]).toEqual([1, 2, 3]);
  expect(make.runs).toBe(1);
  expect(await readdir(folder)).toEqual(["key.cubin"]);
});

test.each([
  ["a flipped bit", (file: Buffer) => file.with(1, file[1]! ^ 1)],
  ["a lost end", (file: Buffer) => file.subarray(0, 20)],
  ["no content", () => new Uint8Array()],
])("a file with %s is made anew", async (_, damage) => {
  const make = compiler([9, 8, 7]);
  const cache = new CubinCache(root);
  await cache.get("key", make);
  const path = join(root, "key.cubin");
  await writeFile(path, damage(await readFile(path)));
  expect([...(await cache.get("key", make))]).toEqual([9, 8, 7]);
  expect([...(await cache.get("key", make))]).toEqual([9, 8, 7]);
  expect(make.runs).toBe(2);
});

test("a folder that cannot be written costs only time", async () => {
  const file = join(root, "file");
  await writeFile(file, "");
  const make = compiler([5]);
  const cache = new CubinCache(join(file, "folder"));
  expect([...(await cache.get("key", make))]).toEqual([5]);
  expect([...(await cache.get("key", make))]).toEqual([5]);
  expect(make.runs).toBe(2);
});

test("a failed compilation keeps nothing and is tried again", async () => {
  const cache = new CubinCache(root);
  await expect(cache.get("key", () => Promise.reject(new Error("does not compile")))).rejects.toThrow(
    "does not compile",
  );
  expect([...(await cache.get("key", compiler([4])))]).toEqual([4]);
});

test("the key depends on every part and on where parts end", () => {
  const keys = [
    cubinKey("ab", "c"),
    cubinKey("a", "bc"),
    cubinKey("abc"),
    cubinKey("ab", "d"),
    cubinKey("c", "ab"),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(cubinKey("ab", "c")).toBe(keys[0]);
});
