/** @file The driver: which folders and changes are refused, what a run leaves behind, and how it goes on from there. */
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RunEvent } from "../../../src/run/events.ts";
import { readRun } from "../../../src/run/readRun.ts";
import { openRunFolder } from "../../../src/run/runFolder.ts";
import { runTraining } from "../../../src/run/runTraining.ts";
import {
  fakeTask,
  type FakeRequest,
  type FakeTask,
  type FakeTrainable,
} from "../../support/run/fakeTraining.ts";

let root: string;
let directory: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-run-training-"));
  directory = join(root, "run");
});
afterEach(() => rm(root, { recursive: true, force: true }));

const config: FakeRequest = {
  data: { paths: ["a"] },
  settings: { learningRate: 0.1, threads: 2, device: "cpu" },
};

const train = (task: FakeTask = {}, signal?: AbortSignal) =>
  runTraining(fakeTask(task), { directory, config, ...(signal && { signal }) });

/** Trains until so many steps are asked for, then stops as the signal does. */
async function stopAt(step: number): Promise<void> {
  const stop = new AbortController();
  const onAsk = (asked: number) => {
    if (asked === step) stop.abort();
  };
  expect(await train({ options: { onAsk } }, stop.signal)).toMatchObject({ finished: false });
}

test("a run leaves its configuration, what happened, its checkpoints and what it came to", async () => {
  const opened: FakeTrainable[] = [];
  const result = await train({ opened });
  expect(result).toMatchObject({ finished: true, steps: 15, epochs: 3 });
  const run = await readRun(directory);
  expect(run.record).toMatchObject({
    command: "fake train",
    config: { ...config, settings: { ...config.settings, batchSize: 4 } },
    seed: 7,
    fingerprint: "f00d",
    status: "done",
  });
  expect(run.record.seconds).toBeGreaterThan(0);
  expect(run.result).toEqual(JSON.parse(JSON.stringify(result)));
  expect(run.events[0]).toMatchObject({ event: "span", span: "prepare" });
  expect(run.events.at(-1)).toMatchObject({ event: "metrics", part: "test" });
  expect(opened.map(({ isDisposed }) => isDisposed)).toEqual([true]);
});

test("the best weights are those that are tested", async () => {
  const opened: FakeTrainable[] = [];
  const { weight } = await train({ opened, options: { losses: [0.5, 0.6, 0.7] } });
  const best = await readFile(join(directory, "checkpoints", "best", "checkpoint.json"), "utf8");
  expect(weight).toBe((JSON.parse(best) as { weight: number }).weight);
});

test("a folder that is taken is refused before any data is read", async () => {
  const refused = async () => {
    let isRead = false;
    await expect(train({ onPrepare: () => (isRead = true) })).rejects.toMatchObject({ code: "RUN_EXISTS" });
    expect(isRead).toBe(false);
  };
  await mkdir(directory);
  await writeFile(join(directory, "mine.txt"), "keep");
  await refused();
  directory = join(directory, "mine.txt");
  await refused();
  directory = join(root, "other");
  await train();
  await refused();
});

test("a run whose data cannot be read leaves nothing behind", async () => {
  const onPrepare = () => {
    throw new Error("no such file");
  };
  await expect(train({ onPrepare })).rejects.toThrow("no such file");
  await expect(stat(directory)).rejects.toMatchObject({ code: "ENOENT" });
});

test("a run that is being trained is refused by its process's number, and can be read", async () => {
  const busy = {
    code: "RUN_BUSY",
    message: `this run is being trained by process ${process.pid}, got ${directory}`,
  };
  const onAsk = async (step: number) => {
    if (step !== 8) return;
    await expect(runTraining(fakeTask(), { directory, resume: {} })).rejects.toMatchObject(busy);
    await expect(train()).rejects.toMatchObject(busy);
    expect((await readRun(directory)).record.status).toBe("running");
  };
  await expect(train({ options: { onAsk } })).resolves.toMatchObject({ finished: true });
  expect(await stat(join(directory, "lock")).catch(() => null)).toBeNull();
});

test("of two runs that begin in one folder, one is trained", async () => {
  const both = await Promise.allSettled([train(), train()]);
  const refused = both.flatMap((outcome) =>
    outcome.status === "rejected" ? [outcome.reason as object] : [],
  );
  expect(refused).toEqual([expect.objectContaining({ code: expect.stringMatching(/^RUN_(BUSY|EXISTS)$/) })]);
  expect((await readRun(directory)).record.status).toBe("done");
});

test("a run whose process died on another machine goes on, with a warning that names that machine", async () => {
  await stopAt(7);
  await writeFile(
    join(directory, "lock"),
    JSON.stringify({ pid: 7, host: "elsewhere", purpose: "fake train" }),
  );
  const events: RunEvent[] = [];
  await runTraining(fakeTask(), { directory, resume: {}, onEvent: (event) => events.push(event) });
  const message = expect.stringContaining("Process 7 on host elsewhere") as string;
  expect(events).toContainEqual({ event: "notice", level: "warning", code: "RUN_LEFT", message });
});

test("a run that fails says so, and goes on from its last checkpoint", async () => {
  const whole = await train();
  directory = join(root, "failing");
  const onAsk = (step: number) => {
    if (step === 8) throw new Error("the device was lost");
  };
  await expect(train({ options: { onAsk } })).rejects.toThrow("lost");
  expect((await openRunFolder(directory)).record.status).toBe("failed");
  expect((await runTraining(fakeTask(), { directory, resume: {} })).weight).toBe(whole.weight);
  const { record, events } = await readRun(directory);
  expect(record.status).toBe("done");
  expect(events).toContainEqual(expect.objectContaining({ event: "resumed", step: 5 }));
});

describe("a resumed run", () => {
  test("keeps its configuration but for what its schema marks", async () => {
    await stopAt(7);
    const task = fakeTask();
    const refused = {
      code: "RESUME_CONFIG",
      where: "learningRate",
      fix: expect.stringContaining("threads, device."),
    };
    const resume = (settings: object) => runTraining(task, { directory, resume: { settings } });
    await expect(resume({ learningRate: 0.2 })).rejects.toMatchObject(refused);
    await expect(resume({ unheardOf: 1 })).rejects.toMatchObject({ code: "RESUME_CONFIG" });
    await expect(runTraining(task, { directory, resume: { data: { paths: ["b"] } } })).rejects.toMatchObject({
      code: "RESUME_CONFIG",
      where: "paths",
    });
    await resume({ learningRate: 0.1, batchSize: 4, threads: 8 });
    expect((await openRunFolder(directory)).record.config).toEqual({
      ...config,
      settings: { ...config.settings, batchSize: 4, threads: 8 },
    });
  });

  test("refuses other data, and runs of other commands", async () => {
    await stopAt(7);
    const before = await readFile(join(directory, "run.json"), "utf8");
    await expect(
      runTraining(fakeTask({ fingerprint: "beef" }), { directory, resume: { settings: { threads: 8 } } }),
    ).rejects.toMatchObject({ code: "RESUME_DATA" });
    await expect(
      runTraining({ ...fakeTask(), command: "other train" }, { directory, resume: {} }),
    ).rejects.toMatchObject({
      code: "RESUME_COMMAND",
      fix: expect.stringContaining("pareto fake train --resume"),
    });
    expect(await readFile(join(directory, "run.json"), "utf8")).toBe(before);
    await writeFile(join(directory, "run.json"), before.replace('"threads": 2', '"threads": "two"'));
    await expect(runTraining(fakeTask(), { directory, resume: {} })).rejects.toMatchObject({
      code: "RUN_INVALID",
    });
  });

  test("has one clock and one sequence of events", async () => {
    const whole = await train();
    const wholeRun = await readRun(directory);
    directory = join(root, "parts");
    await stopAt(4);
    const first = await readRun(directory);
    expect(first.record.status).toBe("interrupted");
    const seen: RunEvent[] = [];
    const result = await runTraining(fakeTask(), {
      directory,
      resume: {},
      onEvent: (event) => seen.push(event),
    });
    expect(result.weight).toBe(whole.weight);
    const { record, events } = await readRun(directory);
    expect(record.seconds).toBeGreaterThan(first.record.seconds);
    const spans = (all: readonly RunEvent[]) =>
      all.flatMap((event) => (event.event === "span" ? [event] : []));
    for (const { start } of spans(seen)) expect(start).toBeGreaterThanOrEqual(first.record.seconds);
    const starts = spans(events).map(({ start }) => start);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    const points = (all: readonly RunEvent[]) =>
      all.flatMap((event) => (event.event === "metrics" ? [[event.part, event.step]] : []));
    expect(points(events)).toEqual(points(wholeRun.events));
    const seconds = events.flatMap((event) => (event.event === "metrics" ? [event.seconds] : []));
    expect(seconds).toEqual(seconds.toSorted((a, b) => a - b));
  });

  test("forgets what a killed process did after its last checkpoint, and the line that it tore", async () => {
    await train();
    const wholeRun = await readRun(directory);
    directory = join(root, "killed");
    await stopAt(7);
    // As if the process had gone on for two steps more, and had been killed while it wrote.
    const lost = [
      { event: "metrics", part: "train", epoch: 1, step: 8, seconds: 1, logLoss: 9 },
      { event: "span", span: "evaluate", start: 900, end: 1000, step: 9 },
    ];
    const record = JSON.parse(await readFile(join(directory, "run.json"), "utf8")) as object;
    await writeFile(join(directory, "run.json"), JSON.stringify({ ...record, status: "running" }));
    const text = lost.map((event) => JSON.stringify(event)).join("\n");
    await appendFile(join(directory, "events.jsonl"), `${text}\n{"event":"metr`);
    await runTraining(fakeTask(), { directory, resume: {} });
    const { events } = await readRun(directory);
    const points = (all: readonly RunEvent[]) =>
      all.flatMap((event) => (event.event === "metrics" ? [[event.part, event.step]] : []));
    expect(points(events)).toEqual(points(wholeRun.events));
    expect(events.some((event) => event.event === "span" && event.end === 1000)).toBe(false);
    expect(events.some((event) => event.event === "metrics" && event.logLoss === 9)).toBe(false);
    // The clock knows of the time that was lost.
    const again = events.find((event) => event.event === "resumed");
    expect(again!.seconds).toBeGreaterThan(1000);
  });

  test("that was lost before its first checkpoint begins again", async () => {
    const { weight } = await train();
    directory = join(root, "early");
    await stopAt(2);
    await rm(join(directory, "checkpoints"), { recursive: true });
    expect((await runTraining(fakeTask(), { directory, resume: {} })).weight).toBe(weight);
  });

  test("that has ended tests its weights again and trains no more", async () => {
    await train();
    const before = await readRun(directory);
    const opened: FakeTrainable[] = [];
    await runTraining(fakeTask({ opened }), { directory, resume: {} });
    expect(opened[0]!.rates).toEqual([]);
    const { events } = await readRun(directory);
    const metrics = (all: readonly RunEvent[]) => all.filter(({ event }) => event === "metrics");
    expect(metrics(events)).toEqual(metrics(before.events));
  });
});

test("minutes end a run, whatever it trains", async () => {
  const options = { epochSteps: 1e6, onAsk: () => new Promise<void>((resolve) => setTimeout(resolve, 5)) };
  const result = await runTraining(fakeTask({ options }), { directory, config, maxMinutes: 0.2 / 60 });
  expect(result).toMatchObject({ finished: true, epochs: 1 });
  expect(result.steps).toBeLessThan(100);
});
