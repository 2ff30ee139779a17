/** @file Work that leaves a run folder: what it holds when the work ends, fails, or never begins. */
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readRun } from "../../../src/run/readRun.ts";
import { recordRun, type RecordedRun } from "../../../src/run/recordRun.ts";

let directory: string;
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), "pareto-record-")), "run");
});
afterEach(() => rm(join(directory, ".."), { recursive: true, force: true }));

const record = (changes: Partial<RecordedRun<number, { answer: number }>> = {}) =>
  recordRun<number, { answer: number }>(
    {
      directory,
      prepare(context) {
        context.onEvent({ event: "notice", level: "info", code: "READ", message: "21 was read" });
        return Promise.resolve(21);
      },
      start: () => ({ command: "test answer", config: { by: 2 }, seed: 1 }),
      work: (prepared, context) => context.span("double", () => Promise.resolve({ answer: 2 * prepared })),
      ...changes,
    },
    {},
  );

test("events from before the folder are recorded too, with what the work came to", async () => {
  expect(await record()).toEqual({ answer: 42 });
  const run = await readRun(directory);
  expect(run).toMatchObject({
    record: { command: "test answer", config: { by: 2 }, seed: 1, status: "done" },
    result: { answer: 42 },
  });
  expect(run.events).toMatchObject([
    { event: "notice", code: "READ" },
    { event: "span", span: "prepare" },
    { event: "span", span: "double" },
  ]);
});

test("work that fails leaves its events and its status, and no result", async () => {
  const work = (): Promise<never> => Promise.reject(new Error("lost"));
  await expect(record({ work })).rejects.toThrow("lost");
  expect(await readRun(directory)).toMatchObject({ record: { status: "failed" }, result: null });
});

test("nothing is read for a folder that is taken, and nothing left where reading fails", async () => {
  const prepare = (): Promise<never> => Promise.reject(new Error("unreadable"));
  await expect(record({ prepare })).rejects.toThrow("unreadable");
  await expect(stat(directory)).rejects.toMatchObject({ code: "ENOENT" });
  await mkdir(directory);
  await writeFile(join(directory, "mine.txt"), "");
  await expect(record({ prepare })).rejects.toMatchObject({ code: "RUN_EXISTS" });
});
