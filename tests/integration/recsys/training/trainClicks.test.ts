/** @file The whole job on a CSV file: runs in folders, stopped and gone on with, refused when they would be others. */
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import type { ClickConfig } from "../../../../src/recsys/training/clickConfig.ts";
import type { TrainingSettings } from "../../../../src/recsys/training/settings.ts";
import type { TrainClicksResult } from "../../../../src/recsys/training/clickResult.ts";
import { openTrainedModel } from "../../../../src/recsys/training/trainedModel.ts";
import { trainClicks } from "../../../../src/recsys/training/trainClicks.ts";
import type { RunEvent } from "../../../../src/run/events.ts";
import { readRun } from "../../../../src/run/readRun.ts";
import { faeText, smallSettings } from "../../../support/recsys/clickRuns.ts";

let root: string;
let csv: string;
let cacheDirectory: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-train-clicks-"));
  csv = join(root, "clicks.csv");
  cacheDirectory = join(root, "cache");
  await writeFile(csv, clicks(3000));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A log whose clicks depend on the price and on the shop. */
function clicks(rows: number): string {
  const rng = new Rng(21);
  const lines = ["click,price,shop,item,user"];
  for (let i = 0; i < rows; i++) {
    const price = 10 * rng.uniform();
    const shop = Math.floor(30 * rng.uniform() ** 3);
    const odds = 0.4 * (5 - price) + ((shop * 7) % 5) - 2;
    const click = rng.uniform() < 1 / (1 + Math.exp(-odds)) ? 1 : 0;
    const item = `i${Math.floor(300 * rng.uniform() ** 3)}`;
    lines.push(`${click},${price.toFixed(3)},s${shop},${item},u${Math.floor(80 * rng.uniform() ** 2)}`);
  }
  return `${lines.join("\n")}\n`;
}

let runs = 0;
let directory: string;
beforeEach(() => {
  directory = join(root, `run${runs++}`);
});

function configOf(changes: Partial<TrainingSettings>): ClickConfig {
  const settings = {
    ...smallSettings,
    optimizer: "rwsadagrad",
    learningRate: 0.05,
    epochs: 3,
    ...changes,
  } as const;
  return {
    source: { paths: [csv] },
    prepare: { label: "click" },
    settings,
    prepared: null,
  };
}

/** Trains until an event, then is stopped by the signal. */
async function stopAt(
  config: ClickConfig,
  matches: (event: RunEvent) => boolean,
): Promise<TrainClicksResult> {
  const controller = new AbortController();
  const onEvent = (event: RunEvent): void => {
    if (matches(event)) controller.abort();
  };
  return trainClicks({ directory, cacheDirectory, config, onEvent, signal: controller.signal });
}

const quality = ({ auc, logLoss, accuracy, steps, epochs }: TrainClicksResult) => ({
  auc,
  logLoss,
  accuracy,
  steps,
  epochs,
});
const statusOf = async () => {
  const record = JSON.parse(await readFile(join(directory, "run.json"), "utf8")) as { status: string };
  return record.status;
};
const hasEvent = (matches: (event: RunEvent) => boolean, nth: number) => {
  let seen = 0;
  return (event: RunEvent) => matches(event) && ++seen === nth;
};

describe.each<[string, Partial<TrainingSettings>]>([
  ["baseline", {}],
  ["FAE", { strategy: faeText({ budget: 3600, shuffle: "adaptive" }) }],
])("a run under %s", (_, changes) => {
  test("that is stopped twice ends with the quality of one that is not", async () => {
    const config = configOf(changes);
    const whole = await trainClicks({ directory: `${directory}-whole`, cacheDirectory, config });
    expect(whole.finished).toBe(true);
    expect(whole.auc).toBeGreaterThan(0.7);

    // Points of the training curve: stops within the first and within the second epoch.
    const isCurve = (event: RunEvent) => event.event === "metrics" && event.part === "train";
    const first = await stopAt(config, hasEvent(isCurve, 11));
    expect(first).toMatchObject({ finished: false, auc: null, epochs: 0 });
    expect(await statusOf()).toBe("interrupted");
    const controller = new AbortController();
    const inSecond = hasEvent((event) => isCurve(event) && (event as { epoch: number }).epoch === 1, 6);
    const onEvent = (event: RunEvent): void => {
      if (inSecond(event)) controller.abort();
    };
    const second = await trainClicks({
      directory,
      cacheDirectory,
      resume: {},
      onEvent,
      signal: controller.signal,
    });
    expect(second).toMatchObject({ finished: false, epochs: 1 });
    expect(second.steps).toBeGreaterThan(first.steps);

    const last = await trainClicks({ directory, cacheDirectory, resume: {} });
    expect(quality(last)).toEqual(quality(whole));
    expect(await statusOf()).toBe("done");
    // Going on with a finished run tests it again and trains no more.
    expect(quality(await trainClicks({ directory, cacheDirectory, resume: {} }))).toEqual(quality(whole));
  });
});

test("a run that died before its first checkpoint is begun again", async () => {
  const config = configOf({ epochs: 1 });
  const whole = await trainClicks({ directory: `${directory}-whole`, cacheDirectory, config });
  const onPrepared = () => {
    throw new Error("the machine was lost");
  };
  await expect(trainClicks({ directory, cacheDirectory, config, onPrepared })).rejects.toThrow("lost");
  expect(await statusOf()).toBe("failed");
  expect(quality(await trainClicks({ directory, cacheDirectory, resume: {} }))).toEqual(quality(whole));
});

test("a run saved under FAE goes on as baseline, and says that the epoch begins anew", async () => {
  const config = configOf({ strategy: faeText({ budget: 3600 }) });
  const first = await stopAt(
    config,
    hasEvent((event) => event.event === "span" && event.span === "hot", 1),
  );
  expect(first.finished).toBe(false);
  const notices: string[] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.event === "notice") notices.push(event.code);
  };
  const resume = { settings: { strategy: "baseline", threads: 2 } } as const;
  const last = await trainClicks({ directory, cacheDirectory, resume, onEvent });
  expect(notices).toContain("RESUME_STRATEGY");
  expect(last).toMatchObject({ finished: true, strategy: "baseline", epochs: 3, hot: null });
  expect(last.auc).toBeGreaterThan(0.7);
});

describe("a run under FAE goes on", () => {
  const config = () => configOf({ strategy: faeText({ budget: 3600 }), epochs: 2 });
  const inHotSegment = () => hasEvent((event) => event.event === "metrics" && event.part === "train", 30);
  const resumed = async (settings: Partial<TrainingSettings>) => {
    const codes: string[] = [];
    const rates: unknown[] = [];
    const onEvent = (event: RunEvent): void => {
      if (event.event === "notice") codes.push(event.code);
      if (event.event === "decision" && event.kind === "recsys.rate") rates.push(event.chose["rate"]);
    };
    const result = await trainClicks({ directory, cacheDirectory, resume: { settings }, onEvent });
    return { result, codes, rates };
  };

  test.each([
    ["more", 12_000],
    ["fewer", 1800],
    ["no", 1],
  ])("with %s hot rows, beginning the epoch anew", async (_, budget) => {
    const first = await stopAt(config(), inHotSegment());
    expect(first).toMatchObject({ finished: false, epochs: 0 });
    const { result, codes } = await resumed({ strategy: faeText({ budget }) });
    expect(codes).toContain("RESUME_STRATEGY");
    expect(result).toMatchObject({ finished: true, epochs: 2 });
    expect(result.hot!.bytes).toBeLessThanOrEqual(budget);
    expect(result.hot!.bytes).not.toBe(first.hot!.bytes);
    // Two whole epochs, with one more batch where both classes end in a short one.
    const epochSteps = (result.steps - first.steps) / 2;
    const batches = Math.ceil(first.rows.train / smallSettings.batchSize);
    expect([batches, batches + 1]).toContain(epochSteps);
  });

  test("at another fixed rate, where it stood", async () => {
    const first = await stopAt(config(), inHotSegment());
    const { result, codes, rates } = await resumed({
      strategy: faeText({ budget: 3600, shuffle: "fixed:rate=20" }),
    });
    expect(codes).not.toContain("RESUME_STRATEGY");
    expect(result.finished).toBe(true);
    expect(rates.at(-1)).toBe(20);
    const batches = Math.ceil(first.rows.train / smallSettings.batchSize);
    expect([2 * batches, 2 * batches + 2]).toContain(result.steps);
  });
});

test("a resumed run refuses to become another, and a new one to overwrite it", async () => {
  const config = configOf({ epochs: 1 });
  await trainClicks({ directory, cacheDirectory, config });
  const before = await readFile(join(directory, "run.json"), "utf8");
  await expect(trainClicks({ directory, cacheDirectory, config })).rejects.toMatchObject({
    code: "RUN_EXISTS",
  });
  await expect(
    trainClicks({ directory, cacheDirectory, resume: { settings: { learningRate: 0.01 } } }),
  ).rejects.toMatchObject({ code: "RESUME_CONFIG", where: "learningRate" });
  await appendFile(csv, "1,1.0,s1,i1,u1\n");
  await expect(trainClicks({ directory, cacheDirectory, resume: {} })).rejects.toMatchObject({
    code: "RESUME_DATA",
  });
  expect(await readFile(join(directory, "run.json"), "utf8")).toBe(before);
  await writeFile(csv, clicks(3000));
});

test("a log without dense columns is learned from, whatever the seed", async () => {
  const rng = new Rng(5);
  const lines = Array.from({ length: 3000 }, (_, i) => {
    const shop = Math.floor(5 * rng.uniform());
    return `${rng.uniform() < (shop < 2 ? 0.8 : 0.2) ? 1 : 0},s${shop},r${i}`;
  });
  const path = join(root, "categories.csv");
  await writeFile(path, `click,shop,row\n${lines.join("\n")}\n`);
  for (const seed of [1, 2, 3]) {
    const { auc } = await trainClicks({
      config: { ...configOf({ seed, epochs: 2 }), source: { paths: [path] } },
      directory: join(root, `categories${seed}`),
      cacheDirectory: join(root, "cache-categories"),
    });
    // A fifth of the labels are noise: 0.8 is all there is to learn.
    expect(auc, `seed ${seed}`).toBeGreaterThan(0.74);
  }
});

test("a run whose model has changed, or whose configuration is absurd, is refused before memory is taken", async () => {
  await trainClicks({ config: configOf({ epochs: 1 }), directory, cacheDirectory });
  const path = join(directory, "run.json");
  const text = await readFile(path, "utf8");
  const openWith = async (from: string, to: string) => {
    expect(text).toContain(from);
    await writeFile(path, text.replace(from, to));
    return openTrainedModel(directory);
  };
  await expect(openWith("dlrm:dim=", "dlrm:dim=40")).rejects.toMatchObject({ code: "CHECKPOINT_TENSOR" });
  await expect(openWith("dlrm:dim=", "dlrm:dim=1000000000")).rejects.toMatchObject({ code: "MODEL_OPTION" });
  await expect(openWith('"epochs": 1', '"epochs": -1')).rejects.toMatchObject({
    code: "RUN_INVALID",
    where: path,
    message: expect.stringContaining("run.json is wrong at config.settings.epochs: ") as string,
  });
  await writeFile(path, JSON.stringify({ ...(JSON.parse(text) as object), config: null }));
  await expect(openTrainedModel(directory)).rejects.toMatchObject({
    code: "RUN_INVALID",
    message: "the run cannot be used: run.json is wrong at config: expected object, got null",
  });
});

test("the weights that are kept are those of the best epoch by the monitored figure, also over a resume", async () => {
  const changes = { epochs: 6, learningRate: 0.5 } as const;
  for (const monitor of ["logLoss", "auc", "accuracy"] as const) {
    const at = join(root, `monitor-${monitor}`);
    const config = configOf({ ...changes, monitor });
    const stop = new AbortController();
    const onEvent = (event: RunEvent) => {
      if (event.event === "metrics" && event.part === "validation" && event.epoch === 3) stop.abort();
    };
    await trainClicks({ config, directory: at, cacheDirectory, onEvent, signal: stop.signal });
    const result = await trainClicks({ directory: at, resume: {}, cacheDirectory });
    const { events, record } = await readRun(at);
    const figures = events.flatMap((event) =>
      event.event === "metrics" && event.part === "validation" ? [event[monitor]!] : [],
    );
    const best = monitor === "logLoss" ? Math.min(...figures) : Math.max(...figures);
    expect(result).toMatchObject({ monitor, bestEpoch: figures.indexOf(best) + 1 });
    expect(record.config).toMatchObject({ settings: { monitor } });
    await expect(
      trainClicks({
        directory: at,
        resume: { settings: { monitor: monitor === "auc" ? "accuracy" : "auc" } },
        cacheDirectory,
      }),
    ).rejects.toMatchObject({ code: "RESUME_CONFIG", where: "monitor" });
  }
});
