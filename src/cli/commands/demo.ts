/** @file `pareto demo`: the whole job on made data, as baseline and with FAE, in one table and one report. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { synthClicks, type SynthClicksResult } from "../../recsys/data/synth/clicks.ts";
import type { RequestedConfig } from "../../recsys/training/clickConfig.ts";
import { formatBytes, formatCount, formatFixed, formatRate, formatShare } from "../../base/format.ts";
import { writePage } from "../../report/writePage.ts";
import { readRun } from "../../run/readRun.ts";
import { wholeNumber } from "../../base/optionSchemas.ts";
import { defineCommand } from "../command.ts";
import { threads } from "../options/compute.ts";
import { option, text, type Values } from "../options/spec.ts";
import { formatTable, type Output } from "../output.ts";
import { clickReport } from "../../recsys/report.ts";
import type { TrainClicksResult } from "../../recsys/training/clickResult.ts";
import { trainRun } from "./recsys/trainRun.ts";

/** Hot rows take 12 of some 50 MiB: rows of 16 floats, and two moments of Adam beside each. */
const STRATEGIES = { baseline: "baseline", fae: "fae:budget=12MiB" } as const;

const options = {
  rows: option("n", wholeNumber({ min: 1000, max: 1_000_000_000 }), {
    meaning: "Rows of the log",
    default: 1_000_000,
  }),
  out: option("dir", text, {
    meaning: "Folder of the log, the runs and the report; what an earlier demo left there is replaced",
    default: join("runs", "demo"),
  }),
  seed: option("n", wholeNumber({ min: 0 }), { meaning: "Seed of the log and of training", default: 1 }),
  threads,
};

/** The command. */
export const command = defineCommand({
  summary: "Make a click log, train DLRM on it as baseline and with FAE, and compare them.",
  operands: {},
  options,
  run: (out, { values }) => demo(out, values),
});

async function demo(out: Output, values: Values<typeof options>): Promise<void> {
  const { rows, seed, threads, out: directory } = values;
  const file = join(directory, "clicks.parquet");
  const runOf = (strategy: string) => join(directory, strategy);
  for (const name of ["baseline", "fae"]) await rm(runOf(name), { recursive: true, force: true });
  out.info(`making ${formatCount(rows)} clicks: ${file}`);
  const log = await synthClicks({
    file,
    rows,
    preset: "small",
    seed,
    overwrite: true,
    threads,
    onProgress: (done, total, unit) =>
      out.onEvent({ event: "progress", task: "write", done, total, unit, rate: null }),
  });
  const runs: TrainClicksResult[] = [];
  for (const strategy of ["baseline", "fae"] as const) {
    out.info(`training DLRM, ${strategy}`);
    const run = await trainRun(out, {
      directory: runOf(strategy),
      cacheDirectory: join(directory, "cache"),
      config: demoConfig(file, strategy, seed, threads),
      profile: strategy === "fae",
    });
    if (!run.finished) {
      process.exitCode = 130;
      return;
    }
    runs.push(run);
  }
  const report = join(directory, "report.html");
  const folders = await Promise.all(runs.map(({ run }) => readRun(run)));
  const title = "DLRM on a made click log: baseline and FAE";
  await writePage(report, await clickReport(folders, { title, bayesAuc: log.bayesLastFifth.auc }));
  out.result(`\n${comparison(runs, log)}\n\nreport  ${report}`);
  const results = runs.map(({ config: _, ...figures }) => figures);
  out.json({ event: "done", report, log, runs: results });
}

function demoConfig(
  file: string,
  strategy: "baseline" | "fae",
  seed: number,
  threads: number,
): RequestedConfig {
  return {
    source: { paths: [file] },
    prepare: { label: "label", time: "time" },
    settings: {
      model: "dlrm",
      strategy: STRATEGIES[strategy],
      hot: "threshold",
      optimizer: "adam",
      learningRate: 0.002,
      decay: "linear",
      batchSize: 2048,
      epochs: 1,
      patience: 1,
      seed,
      threads,
      device: "cpu",
    },
  };
}

function comparison(runs: readonly TrainClicksResult[], log: SynthClicksResult): string {
  const row = (name: string, cell: (run: TrainClicksResult) => string) => [
    name,
    ...runs.map((run) => cell(run)),
  ];
  return formatTable(
    ["", ...runs.map(({ strategy }) => strategy)],
    [
      row("AUC", ({ auc }) => formatFixed(auc)),
      row("best possible AUC", () => formatFixed(log.bayesLastFifth.auc)),
      row("log loss", ({ logLoss }) => formatFixed(logLoss)),
      row("accuracy", ({ accuracy }) => formatFixed(accuracy)),
      row("samples/s", ({ samplesPerSecond }) => formatRate(samplesPerSecond, "samples")),
      row("hot inputs", ({ hot }) => (hot ? formatShare(hot.inputShare) : "–")),
      row("hot bytes", ({ hot }) => (hot ? formatBytes(hot.bytes) : "–")),
      row("synced", ({ hot, sync }) => (hot ? formatBytes(sync.bytes) : "–")),
    ],
  );
}
