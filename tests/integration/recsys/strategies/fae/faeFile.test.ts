/** @file The FAE file: used again while data and settings match, built anew otherwise or when damaged. */
import { appendFile, mkdir, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { FaeConfig } from "../../../../../src/recsys/strategies/fae/calibrate.ts";
import type { FaeFile } from "../../../../../src/recsys/strategies/fae/faeFile.ts";
import { prepareFaeFile } from "../../../../../src/recsys/strategies/fae/faeFile.ts";
import type { RunEvent } from "../../../../../src/run/events.ts";
import { bagLog, randomBags } from "../../../../support/recsys/bags.ts";

const root = mkdtempSync(join(tmpdir(), "pareto-fae-file-"));
const directory = join(root, "fae");
const sizes = [400, 60];
const log = bagLog(randomBags(3000, sizes, 9), sizes);
const config: FaeConfig = { hot: "threshold", budgetBytes: 3200, rowBytes: 32, sampleRate: 0.5, seed: 2 };

/** Opens or builds, and lists the codes of the notices. */
async function prepare(changes: Partial<FaeConfig> = {}, datasetHash = "a", source = log) {
  const notices: string[] = [];
  const onEvent = (event: RunEvent) => {
    if (event.event === "notice" && /^FAE_(FILE|NO)/.test(event.code)) notices.push(event.code);
  };
  const request = { directory, source, layout: log.layout, datasetHash, config: { ...config, ...changes } };
  return { file: await prepareFaeFile({ ...request, onEvent }), notices };
}

async function rowsOf(part: FaeFile["hot"]): Promise<number[]> {
  const rows: number[] = [];
  for await (const batch of part.batches({ batchSize: 1000 })) rows.push(...batch.rows);
  return rows;
}

async function flip(path: string, position: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[position]! ^= 1;
  await writeFile(path, bytes);
}

beforeEach(() => rm(directory, { recursive: true, force: true }));
afterAll(() => rm(root, { recursive: true, force: true }));

describe("FAE file", () => {
  test("is built once and then used again, the same in every part", async () => {
    const first = await prepare();
    expect(first.file.reused).toBe(false);
    expect(first.notices).toEqual([]);
    const second = await prepare();
    expect(second.file.reused).toBe(true);
    expect(second.notices).toEqual(["FAE_FILE_REUSED"]);
    expect(second.file.header).toEqual(first.file.header);
    expect(second.file.hotSet.rows).toEqual(first.file.hotSet.rows);
    expect(second.file.hotSet.threshold).toBe(first.file.hotSet.threshold);
    expect(second.file.header.hotInputs + second.file.header.coldInputs).toBe(3000);
    expect(second.file.hot.rows).toBe(second.file.header.hotInputs);
    expect(await rowsOf(second.file.hot)).toEqual(await rowsOf(first.file.hot));
    expect((await rowsOf(second.file.hot)).length + (await rowsOf(second.file.cold)).length).toBe(3000);
    expect(await readdir(root)).toEqual(["fae"]);
  });

  test.each<[string, Partial<FaeConfig>, string]>([
    ["the budget", { budgetBytes: 6400 }, "a"],
    ["the policy", { hot: "topk" }, "a"],
    ["the seed", { seed: 3 }, "a"],
    ["a fixed threshold", { hot: "threshold:share=0.01" }, "a"],
    ["the data", {}, "b"],
  ])("is built anew when %s changes", async (_, changes, hash) => {
    await prepare();
    const { file, notices } = await prepare(changes, hash);
    expect(file.reused).toBe(false);
    expect(notices).toEqual(["FAE_FILE_REBUILT"]);
    expect((await prepare(changes, hash)).file.reused).toBe(true);
  });

  const head = join(directory, "fae.bin");
  test.each<[string, () => Promise<void>]>([
    ["a flipped bit in the rows", async () => flip(head, (await readFile(head)).length - 8)],
    ["a flipped bit in the header", () => flip(head, 40)],
    ["another version", () => flip(head, 8)],
    ["a cut head", () => truncate(head, 100)],
    ["an empty head", () => truncate(head, 0)],
    ["no head", () => rm(head)],
    ["a flipped bit in the hot inputs", () => flip(join(directory, "hot", "rows.bin"), 500)],
    ["cut cold inputs", () => truncate(join(directory, "cold", "rows.bin"), 1000)],
    ["longer cold inputs", () => appendFile(join(directory, "cold", "rows.bin"), "x")],
    ["no hot inputs", () => rm(join(directory, "hot"), { recursive: true })],
    ["a damaged index", () => writeFile(join(directory, "cold", "layout.json"), "{")],
  ])("with %s is built anew, with a notice", async (_, damage) => {
    const before = await prepare();
    await damage();
    const { file, notices } = await prepare();
    expect(notices).toEqual(["FAE_FILE_REBUILT"]);
    expect(file.reused).toBe(false);
    expect(file.hotSet.rows).toEqual(before.file.hotSet.rows);
    expect((await prepare()).file.reused).toBe(true);
  });

  test("of a budget that holds no row keeps every input cold, and says so", async () => {
    const { file, notices } = await prepare({ budgetBytes: 31 });
    expect(notices).toEqual(["FAE_NO_HOT_INPUTS"]);
    expect([file.hotSet.size, file.hot.rows, file.cold.rows]).toEqual([0, 0, 3000]);
  });

  test("a build that fails leaves the old file and no rest", async () => {
    await prepare();
    const broken = {
      ...log,
      async *batches(options: { batchSize: number }) {
        for await (const batch of log.batches(options)) {
          yield batch;
          throw new Error("the disk is gone");
        }
      },
    };
    await expect(prepare({ seed: 5 }, "a", broken)).rejects.toThrowError("the disk is gone");
    expect(await readdir(root)).toEqual(["fae"]);
    expect((await prepare()).file.reused).toBe(true);
  });

  test("what an interrupted build left behind is no obstacle", async () => {
    // No process has this number: Linux ends at 2^22.
    await mkdir(`${directory}.4194305.partial/hot`, { recursive: true });
    await writeFile(`${directory}.4194305.partial/hot/rows.bin`, "rest");
    expect((await prepare()).file.reused).toBe(false);
    expect(await readdir(root)).toEqual(["fae"]);
  });
});
