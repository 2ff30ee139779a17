/**
 * @file Small runs on click logs: the baseline and FAE with every optimizer on a made log, and both on a CSV file with
 * gaps, once at a stretch and once stopped and resumed.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { synthClicks } from "../../../src/recsys/data/synth/clicks.ts";
import type { TrainingSettings } from "../../../src/recsys/training/settings.ts";
import type { TrainClicksResult } from "../../../src/recsys/training/clickResult.ts";
import { trainClicks } from "../../../src/recsys/training/trainClicks.ts";
import type { RunEvent } from "../../../src/run/events.ts";
import { numbers } from "./numbers.ts";
import { hashTensors, type TensorsHash } from "./tensorHash.ts";

/** What a run came to. */
export interface ClickRun {
  auc: number | null;
  logLoss: number | null;
  accuracy: number | null;
  rows: TrainClicksResult["rows"];
  epochs: number;
  steps: number;
  hotRows: number | null;
  hotInputShare: number | null;
  /** Log loss after each epoch. */
  validation: number[];
  /** Dense parameters, rows and optimizer state. */
  weights: TensorsHash;
}

const SETTINGS: TrainingSettings = {
  model: "dlrm:dim=8,bottom=16,top=(16,8)",
  strategy: "baseline",
  hot: "topk",
  optimizer: "sgd",
  learningRate: 0.1,
  decay: "linear",
  batchSize: 64,
  epochs: 2,
  patience: 5,
  device: "cpu",
  seed: 5,
  threads: 1,
};

/** Optimizers with a good rate for so short a run. */
const RATES = { sgd: 0.1, adagrad: 0.02, rwsadagrad: 0.02, adam: 0.005 } as const;
const OPTIMIZERS = Object.keys(RATES) as (keyof typeof RATES)[];

/** FAE as text. */
const fae = (budget: number, shuffle: string): string =>
  `fae:budget=${budget},sample=0.5,shuffle=(${shuffle})`;

/** How FAE chooses hot rows and mixes batches; together the optimizers see each of them. */
const FAE = {
  sgd: { hot: "topk", strategy: fae(400_000, "fixed") },
  adagrad: { hot: "threshold", strategy: fae(900_000, "adaptive") },
  rwsadagrad: { hot: "topk", strategy: fae(450_000, "adaptive:start=20") },
  adam: { hot: "threshold", strategy: fae(1_400_000, "fixed:rate=100") },
} as const satisfies Record<keyof typeof RATES, Partial<TrainingSettings>>;

/** A log whose clicks depend on the price and on the shop; some prices and users are missing. */
function csvLog(rows: number): string {
  const next = numbers(21);
  const lines = ["click,price,shop,item,user"];
  for (let i = 0; i < rows; i++) {
    const price = 10 * next();
    const shop = Math.floor(30 * next() ** 3);
    const odds = 0.4 * (5 - price) + ((shop * 7) % 5) - 2;
    const click = next() < 1 / (1 + Math.exp(-odds)) ? 1 : 0;
    const item = Math.floor(300 * next() ** 3);
    const user = next() < 0.05 ? "" : `u${Math.floor(80 * next() ** 2)}`;
    lines.push(`${click},${next() < 0.05 ? "" : price.toFixed(3)},s${shop},i${item},${user}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Trains in a new folder of `root`; a run that `stopsAt` so many points of its training curve is resumed. */
async function train(
  root: string,
  name: string,
  data: { path: string; label: string; time?: string },
  changes: Partial<TrainingSettings>,
  stopsAt?: number,
): Promise<ClickRun> {
  const directory = join(root, name);
  const cacheDirectory = join(root, "cache");
  const settings = { ...SETTINGS, ...changes };
  const { path, ...columns } = data;
  const validation: number[] = [];
  const stop = new AbortController();
  let points = 0;
  const onEvent = (event: RunEvent): void => {
    if (event.event !== "metrics") return;
    if (event.part === "validation") validation.push(event.logLoss);
    if (event.part === "train" && ++points === stopsAt) stop.abort();
  };
  let result = await trainClicks({
    directory,
    cacheDirectory,
    config: { source: { paths: [path] }, prepare: columns, settings },
    onEvent,
    signal: stop.signal,
  });
  if (stopsAt !== undefined) {
    if (result.finished) throw new Error(`${name} was to stop on its way, got its end`);
    result = await trainClicks({ directory, cacheDirectory, resume: {}, onEvent });
  }
  const { auc, logLoss, accuracy, rows, epochs, steps, hot } = result;
  return {
    auc,
    logLoss,
    accuracy,
    rows,
    epochs,
    steps,
    validation,
    hotRows: hot?.rows ?? null,
    hotInputShare: hot?.inputShare ?? null,
    weights: await hashTensors(join(directory, "checkpoints", "last")),
  };
}

/** The made log: shape and quality of its truth. */
export async function makeClickLog(root: string): Promise<Record<string, unknown>> {
  const { ctr, bayes, rows } = await synthClicks({
    file: join(root, "made.parquet"),
    rows: 3000,
    preset: "small",
    seed: 3,
    drift: 1,
    threads: 1,
    overwrite: true,
  });
  return { ctr, bayes, rows };
}

/** Runs on the made log by `STRATEGY OPTIMIZER`. {@link makeClickLog} comes first. */
export async function trainOnMadeLog(root: string, threads = 1): Promise<Record<string, ClickRun>> {
  const data = { path: join(root, "made.parquet"), label: "label", time: "time" };
  const runs: Record<string, ClickRun> = {};
  for (const strategy of ["baseline", "fae"] as const) {
    for (const optimizer of OPTIMIZERS) {
      const changes = { optimizer, learningRate: RATES[optimizer], threads };
      const options = strategy === "fae" ? FAE[optimizer] : {};
      const name = `${strategy} ${optimizer}`;
      runs[name] = await train(root, `made ${name}`, data, { ...changes, ...options });
    }
  }
  return runs;
}

/** Short runs of both strategies on the made log with another device. {@link makeClickLog} comes first. */
export async function trainOnDevice(
  root: string,
  device: TrainingSettings["device"],
): Promise<Record<string, ClickRun>> {
  const data = { path: join(root, "made.parquet"), label: "label", time: "time" };
  const runs: Record<string, ClickRun> = {};
  for (const [strategy, optimizer] of [
    ["baseline", "adam"],
    ["fae", "rwsadagrad"],
  ] as const) {
    const changes = {
      device,
      strategy: strategy === "fae" ? fae(450_000, "fixed") : strategy,
      optimizer,
      learningRate: RATES[optimizer],
      epochs: 1,
    };
    runs[strategy] = await train(root, `${device} ${strategy}`, data, changes);
  }
  return runs;
}

/** Runs on the CSV file by strategy; each of them at a stretch, or stopped in its second epoch and resumed. */
export async function trainOnCsv(
  root: string,
  isStopped: boolean,
  threads = 1,
): Promise<Record<string, ClickRun>> {
  const path = join(root, "clicks.csv");
  await writeFile(path, csvLog(2500));
  const runs: Record<string, ClickRun> = {};
  for (const strategy of ["baseline", "fae"] as const) {
    const changes: Partial<TrainingSettings> = {
      strategy: strategy === "fae" ? fae(3600, "adaptive") : strategy,
      threads,
      optimizer: "rwsadagrad",
      learningRate: 0.05,
      epochs: 3,
    };
    const name = `csv ${strategy} ${isStopped ? "resumed" : "whole"} ${threads}`;
    runs[strategy] = await train(root, name, { path, label: "click" }, changes, isStopped ? 16 : undefined);
  }
  return runs;
}
