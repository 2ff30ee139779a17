/** @file `pareto recsys train`: from a click log to a trained and tested model. */
import { join } from "node:path";
import type { Command } from "commander";
import type { PreparedDataset } from "../../../recsys/data/encode/prepareDataset.ts";
import { ParetoError } from "../../../base/errors.ts";
import type { ConfigChanges, RequestedConfig } from "../../../recsys/training/runConfig.ts";
import {
  formatBytes,
  formatCount,
  formatFixed,
  formatRate,
  formatSeconds,
  formatShare,
} from "../../../base/format.ts";
import { writeReport } from "../../../report/writeReport.ts";
import { defaultRunPath } from "../../../run/runFolder.ts";
import { cacheOption } from "../../options/cache.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";
import { columnTable } from "./columnTable.ts";
import { modelOptions, type ModelFlags } from "../../options/clickModel.ts";
import type { Output } from "../../output.ts";
import { reportOf } from "../../../recsys/report.ts";
import { scheduleOptions, trainingSettings, type ScheduleFlags } from "../../options/clickTraining.ts";
import {
  columnOptions,
  labelOf,
  prepareOptions,
  readOptions,
  sourceOptions,
  type ColumnFlags,
  type ReadFlags,
} from "../../options/source.ts";
import { trainRun, type FinishedRun } from "./trainRun.ts";

interface Flags extends ReadFlags, ColumnFlags, ModelFlags, ScheduleFlags, CommonFlags {
  out?: string;
  resume?: string;
  cache: string;
}

/** The command. */
export function command(): Command {
  const command = newCommand(
    "train",
    "Train and test a CTR model on logs: Parquet, CSV, JSON, globs, or SQL over them.",
  )
    .argument("[source...]", "files, folders or globs")
    .option("--out <dir>", "the run's folder, new or empty (default: runs/DATE-TIME-MODEL-STRATEGY)")
    .option(
      "--resume <dir>",
      "go on with the run in this folder; threads, strategy and the fae options may change",
    );
  cacheOption(scheduleOptions(modelOptions(columnOptions(readOptions(command)))));
  return command.action((paths: string[], flags: Flags) =>
    withOutput(flags, async (out) => {
      checkFlags(command, flags);
      const onPrepared = (prepared: PreparedDataset) => out.info(columnTable(prepared.columns));
      const common = { cacheDirectory: flags.cache, onPrepared, profile: true };
      const run =
        flags.resume === undefined
          ? await trainRun(out, { ...common, ...newRun(paths, flags) })
          : await trainRun(out, {
              ...common,
              directory: flags.resume,
              resume: changedFlags(command, paths, flags),
            });
      await finish(out, run);
    }),
  );
}

/** @throws ParetoError `CLI_OPTION` when `--placement fae` and what else was said contradict each other */
function checkFlags(command: Command, { placement, strategy, device, resume }: Flags): void {
  if (placement !== "fae") return;
  const said = (name: string) => command.getOptionValueSource(name) === "cli";
  const conflict =
    said("strategy") && strategy !== "fae"
      ? `--strategy ${strategy}`
      : device !== "cuda" && (resume === undefined || said("device"))
        ? `--device ${device}`
        : null;
  if (conflict === null) return;
  throw new ParetoError({
    code: "CLI_OPTION",
    where: "--placement",
    message: `--placement fae means --strategy fae with its hot rows on a GPU, got it with ${conflict}`,
    fix: "Say --device cuda --placement fae; or --strategy fae alone, which works on every device.",
  });
}

function newRun(paths: string[], flags: Flags): { directory: string; config: RequestedConfig } {
  const settings = trainingSettings(flags);
  return {
    directory: flags.out ?? defaultRunPath([settings.model, settings.strategy]),
    config: {
      source: sourceOptions(paths, flags),
      prepare: prepareOptions(flags, labelOf(flags), settings.seed),
      settings,
    },
  };
}

/** What was said on the command line beside `--resume`. */
function changedFlags(command: Command, paths: string[], flags: Flags): ConfigChanges {
  if (flags.out !== undefined) {
    throw new ParetoError({
      code: "CLI_OPTION",
      where: "--out",
      message: `a resumed run stays in its folder, got --out ${flags.out}`,
      fix: "Leave --out out.",
    });
  }
  const said = (name: string) => command.getOptionValueSource(name) === "cli";
  const pick = <T extends object>(values: T, flagOf: Partial<Record<keyof T, string>> = {}): Partial<T> =>
    Object.fromEntries(
      Object.entries(values).filter(([name]) => said(flagOf[name as keyof T] ?? name)),
    ) as Partial<T>;
  const prepare = prepareOptions(flags, flags.label ?? "", flags.seed);
  return {
    source: { ...pick(sourceOptions(paths, flags)), ...(paths.length > 0 && { paths }) },
    prepare: said("fractions") ? pick(prepare, { split: "fractions" }) : pick(prepare),
    settings: pick(trainingSettings(flags), {
      hotBudgetBytes: "hotBudget",
      learningRate: "lr",
      ...(flags.placement === "fae" && { strategy: "placement" }),
    }),
  };
}

async function finish(out: Output, { result, events, prepared, profile }: FinishedRun): Promise<void> {
  const { run, finished, config, ...figures } = result;
  if (!finished) {
    process.exitCode = 130;
    out.result(`saved; go on with: pareto recsys train --resume ${run}`);
  } else {
    out.result(`${summary(result)}\nrun     ${run}`);
    const report = join(run, "report.html");
    const title = `${config.settings.model}, ${result.strategy}`;
    try {
      await writeReport(report, reportOf(title, [{ result, events }], prepared, profile));
      out.result(`report  ${report}`);
    } catch (error) {
      // The model is trained and saved; a report that cannot be written is said, and takes nothing back.
      if (!(error instanceof ParetoError)) throw error;
      out.onEvent({
        event: "notice",
        level: "warning",
        code: error.code,
        message: `${error.message}. ${error.fix}`,
      });
    }
  }
  out.json({ event: "done", run, finished, ...figures });
}

function summary({
  auc,
  logLoss,
  accuracy,
  samplesPerSecond,
  trainSeconds,
  rows,
  hot,
  sync,
  tableBytes,
  tableMemory,
  peakGpuBytes,
}: FinishedRun["result"]): string {
  const lines = [
    `test    AUC ${formatFixed(auc)}, log loss ${formatFixed(logLoss)}, accuracy ${formatFixed(accuracy)} on ${formatCount(rows.test)} rows`,
    `speed   ${formatRate(samplesPerSecond, "samples")}, ${formatSeconds(trainSeconds)} of training`,
  ];
  if (peakGpuBytes !== null) {
    const place = tableMemory === "device" ? "in GPU memory" : "on the host";
    lines.push(`memory  ${formatBytes(tableBytes)} of rows ${place}; GPU ${formatBytes(peakGpuBytes)}`);
  }
  if (hot) {
    lines.push(
      `hot     ${formatCount(hot.rows)} rows, ${formatBytes(hot.bytes)}; ${formatShare(hot.inputShare)} of inputs, ${formatShare(hot.accessShare)} of accesses; ${sync.count} syncs, ${formatBytes(sync.bytes)}`,
    );
  }
  return lines.join("\n");
}
