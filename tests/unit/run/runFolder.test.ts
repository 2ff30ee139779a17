/** @file Run folders: what a run records, which folders are refused, and its log of events. */
import { existsSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EventLog, readEvents } from "../../../src/run/eventLog.ts";
import type { MetricsEvent, RunEvent } from "../../../src/run/events.ts";
import { createRunFolder, defaultRunPath, openRunFolder } from "../../../src/run/runFolder.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-run-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const start = { command: "train", config: { batchSize: 2048, dense: ["a"] }, seed: 7 };

function metrics(step: number): MetricsEvent {
  return { event: "metrics", part: "train", epoch: 1, step, seconds: step / 10, logLoss: 0.5 };
}

async function allEvents(path: string): Promise<RunEvent[]> {
  const events = [];
  for await (const event of readEvents(path)) events.push(event);
  return events;
}

test("a run records its options, versions, machine and times", async () => {
  const path = join(folder, "deep", "run");
  const run = await createRunFolder(path, start);
  expect((await openRunFolder(path)).record).toMatchObject({
    ...start,
    node: process.version,
    status: "running",
    endedAt: null,
    packages: { "onnxruntime-node": expect.stringMatching(/^\d+\.\d+\.\d+$/) },
    machine: { cores: expect.any(Number), cpu: expect.any(String) },
  });
  await run.setStatus("done", 12.5);
  await run.setStatus("running");
  expect((await openRunFolder(path)).record).toMatchObject({ status: "running", seconds: 12.5 });
  await run.setStatus("done", 20);
  const { record } = await openRunFolder(path);
  expect(record).toMatchObject({ status: "done", seconds: 20 });
  expect(Date.parse(record.endedAt!)).toBeGreaterThanOrEqual(Date.parse(record.startedAt));
});

test("a folder that holds anything is not taken for a new run", async () => {
  await createRunFolder(join(folder, "run"), start);
  await expect(createRunFolder(join(folder, "run"), start)).rejects.toMatchObject({
    code: "RUN_EXISTS",
    fix: expect.stringContaining("--resume"),
  });
  await mkdir(join(folder, "other"));
  await writeFile(join(folder, "other", "mine.txt"), "keep");
  await expect(createRunFolder(join(folder, "other"), start)).rejects.toMatchObject({ code: "RUN_EXISTS" });
  await expect(createRunFolder(join(folder, "other", "mine.txt"), start)).rejects.toMatchObject({
    code: "RUN_EXISTS",
  });
  expect(await readFile(join(folder, "other", "mine.txt"), "utf8")).toBe("keep");
});

test("what is not a run is told apart from what is not there", async () => {
  await expect(openRunFolder(join(folder, "none"))).rejects.toMatchObject({ code: "RUN_MISSING" });
  await expect(openRunFolder(folder)).rejects.toMatchObject({ code: "RUN_INVALID" });
  for (const text of ["", "null", "[]", '{"format":"pareto-run","version":1}']) {
    await writeFile(join(folder, "run.json"), text);
    await expect(openRunFolder(folder)).rejects.toMatchObject({ code: "RUN_INVALID" });
    await expect(openRunFolder(join(folder, "run.json"))).rejects.toMatchObject({ code: "RUN_INVALID" });
  }
  await writeFile(join(folder, "run.json"), '{"format":"pareto-run","version":2}');
  await expect(openRunFolder(folder)).rejects.toMatchObject({ code: "RUN_VERSION" });
});

test("events come back in order, and a resumed run appends", async () => {
  const path = join(folder, "events.jsonl");
  const log = new EventLog(path);
  const many = Array.from({ length: 2000 }, (_, i) => metrics(i));
  many.forEach(log.append);
  // A block is on the disk before the log is closed: memory does not hold a long run's events.
  expect((await readFile(path, "utf8")).split("\n").length).toBeGreaterThan(500);
  log.close();
  await appendFile(path, '{"event":"metrics","torn');
  expect(await allEvents(path)).toEqual(many);
  const resumed = new EventLog(path);
  resumed.append(metrics(2000));
  resumed.close();
  expect(await allEvents(path)).toEqual([...many, metrics(2000)]);
});

test("a waiting event is written within a second or so", async () => {
  const log = new EventLog(join(folder, "events.jsonl"));
  log.append(metrics(1));
  await expect.poll(() => readFile(log.path, "utf8"), { timeout: 5000 }).toContain('"step":1');
  log.close();
});

test.skipIf(!existsSync("/dev/full"))("a full disk does not stop a run but is said at its end", async () => {
  const path = join(folder, "events.jsonl");
  await symlink("/dev/full", path);
  const log = new EventLog(path);
  for (let i = 0; i < 2000; i++) log.append(metrics(i));
  expect(() => log.close()).toThrow(expect.objectContaining({ code: "FILE_DISK_FULL" }));
});

test("a run without a name is named by time and kind", () => {
  expect(defaultRunPath(["dlrm", "fae"], new Date(2026, 0, 2, 3, 4, 5))).toBe(
    join("runs", "20260102-030405-dlrm-fae"),
  );
});
