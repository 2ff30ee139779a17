/** @file The log of a run over resumes: one sequence, whatever a killed process left behind. */
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { MetricsEvent, ResumedEvent, RunEvent, SpanEvent } from "../../../src/run/events.ts";
import type { DecisionEvent } from "../../../src/run/policies/decision.ts";
import { readRun } from "../../../src/run/readRun.ts";
import { createRunFolder, type RunFolder } from "../../../src/run/runFolder.ts";
import { continuous } from "../../../src/run/runLog.ts";

let path: string;
let folder: RunFolder;
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), "pareto-log-")), "run");
  folder = await createRunFolder(path, { command: "test", config: {}, seed: 1 });
});
afterEach(() => rm(join(path, ".."), { recursive: true, force: true }));

const point = (step: number, part: MetricsEvent["part"] = "train"): MetricsEvent => ({
  event: "metrics",
  part,
  epoch: 0,
  step,
  seconds: step / 10,
  logLoss: 1 / step,
});
const span = (name: string, start: number, end: number, step?: number): SpanEvent => ({
  event: "span",
  span: name,
  start,
  end,
  ...(step !== undefined && { step }),
});
const resumed = (step: number, seconds: number): ResumedEvent => ({ event: "resumed", step, seconds });
const decision = (step: number): DecisionEvent => ({
  event: "decision",
  policy: "adaptive",
  kind: "recsys.rate",
  step,
  subject: "validation",
  saw: { epoch: 0, round: 0, loss: 1 / step, previousLoss: null },
  chose: { rate: 50, action: "hold" },
});

/** One process's part of a run. */
function write(events: RunEvent[]): void {
  const log = folder.openLog();
  events.forEach(log.append);
  log.close();
}

test("decisions have a file of their own, made by the first of them; progress is left out", async () => {
  write([point(1), { event: "progress", task: "train", done: 1, total: 2, unit: "steps", rate: null }]);
  await expect(readFile(join(path, "decisions.jsonl"))).rejects.toMatchObject({ code: "ENOENT" });
  write([point(2), decision(2)]);
  expect(await readRun(path)).toMatchObject({
    record: { command: "test" },
    events: [point(1), point(2)],
    decisions: [decision(2)],
    result: null,
  });
});

test("what a killed process did after its last checkpoint is not counted twice", async () => {
  const prepare = span("prepare", 0, 1);
  write([prepare, point(5), decision(5), point(10), span("train", 1, 2, 10), decision(10), point(15)]);
  await appendFile(join(path, "events.jsonl"), '{"event":"metrics","ste');
  const again = [span("prepare", 3, 4), resumed(10, 4), point(15), decision(15), span("train", 4, 6, 20)];
  write([...again, point(20, "validation")]);
  const { events, decisions } = await readRun(path);
  expect(events).toEqual([
    prepare,
    point(5),
    point(10),
    span("train", 1, 2, 10),
    ...again.filter(({ event }) => event !== "decision"),
    point(20, "validation"),
  ]);
  expect(decisions.map(({ step }) => step)).toEqual([5, 10, 15]);
});

test("a run that is lost before its first checkpoint begins again", () => {
  const prepare = span("prepare", 0, 1);
  expect(continuous([prepare, point(5), span("train", 1, 2, 5), resumed(0, 3), point(5)])).toEqual([
    prepare,
    resumed(0, 3),
    point(5),
  ]);
});

test("a finished run that is tested again has one test, and is lost twice without a trace", () => {
  expect(
    continuous([point(8), point(9), resumed(8, 2), point(10), resumed(8, 3), point(9), point(9, "test")]),
  ).toEqual([point(8), resumed(8, 2), resumed(8, 3), point(9), point(9, "test")]);
  const tested = [point(9), point(9, "test"), resumed(9, 3), point(9, "test")];
  expect(continuous(tested)).toEqual([point(9), resumed(9, 3), point(9, "test")]);
});
