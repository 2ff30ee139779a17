/** @file `pareto demo`: the whole job on made data, as baseline and with FAE, in one table and one report. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { synthClicks, type SynthClicksResult } from "../../recsys/data/synth/clicks.ts";
import type { RunConfig } from "../../recsys/training/runConfig.ts";
import { formatBytes, formatCount, formatFixed, formatRate, formatShare } from "../../base/format.ts";
import { writeReport } from "../../report/writeReport.ts";
import { newCommand, withOutput, type CommonFlags } from "../command.ts";
import { threadsOption } from "../options/compute.ts";
import { formatTable, type Output } from "../output.ts";
import { reportOf } from "../../recsys/report.ts";
import { trainRun, type FinishedRun } from "./recsys/trainRun.ts";
import { wholeNumber } from "../options/values.ts";

interface Flags extends CommonFlags {
  rows: number;
  out: string;
  seed: number;
  threads: number;
}

/** Of some 50 MiB: rows of 16 floats, and two moments of Adam beside each. */
const HOT_BUDGET_BYTES = 12 * 2 ** 20;

/** The command. */
export function command(): Command {
  return newCommand("demo", "Make a click log, train DLRM on it as baseline and with FAE, and compare them.")
    .option("--rows <n>", "rows of the log", wholeNumber("--rows", 1000, 1_000_000_000), 1_000_000)
    .option(
      "--out <dir>",
      "where the log, the runs and the report go; what an earlier demo left there is replaced",
      join("runs", "demo"),
    )
    .option("--seed <n>", "of the log and of training", wholeNumber("--seed", 0), 1)
    .addOption(threadsOption())
    .action((flags: Flags) => withOutput(flags, (out) => demo(out, flags)));
}

async function demo(out: Output, flags: Flags): Promise<void> {
  const { rows, seed, threads, out: directory } = flags;
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
  const runs: FinishedRun[] = [];
  for (const strategy of ["baseline", "fae"] as const) {
    out.info(`training DLRM, ${strategy}`);
    const run = await trainRun(out, {
      directory: runOf(strategy),
      cacheDirectory: join(directory, "cache"),
      config: demoConfig(file, strategy, seed, threads),
      profile: strategy === "fae",
    });
    if (!run.result.finished) {
      process.exitCode = 130;
      return;
    }
    runs.push(run);
  }
  const report = join(directory, "report.html");
  const bayesAuc = log.bayesLastFifth.auc;
  const { prepared, profile } = runs.at(-1)!;
  const reported = runs.map(({ result, events }) => ({ result, events, bayesAuc }));
  await writeReport(
    report,
    reportOf("DLRM on a made click log: baseline and FAE", reported, prepared, profile),
  );
  out.result(`\n${comparison(runs, log)}\n\nreport  ${report}`);
  const results = runs.map(({ result: { config: _, ...figures } }) => figures);
  out.json({ event: "done", report, log, runs: results });
}

function demoConfig(file: string, strategy: "baseline" | "fae", seed: number, threads: number): RunConfig {
  return {
    source: { paths: [file] },
    prepare: { label: "label", time: "time" },
    settings: {
      model: "dlrm",
      dim: 16,
      bottom: [512, 256, 64],
      top: [512, 256],
      strategy,
      hotBudgetBytes: HOT_BUDGET_BYTES,
      sampleRate: 0.05,
      hotPolicy: "threshold",
      scheduler: "adaptive",
      shuffleRate: 50,
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

function comparison(runs: readonly FinishedRun[], log: SynthClicksResult): string {
  const row = (name: string, cell: (run: FinishedRun["result"]) => string) => [
    name,
    ...runs.map(({ result }) => cell(result)),
  ];
  return formatTable(
    ["", ...runs.map(({ result }) => result.strategy)],
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
