/** @file `pareto recsys train`: from a click log to a trained and tested model. */
import type { PreparedDataset } from "../../../recsys/data/encode/prepareDataset.ts";
import type { ClickConfig, RequestedConfig } from "../../../recsys/training/clickConfig.ts";
import {
  formatBytes,
  formatCount,
  formatFixed,
  formatRate,
  formatSeconds,
  formatShare,
} from "../../../base/format.ts";
import type { Changes } from "../../../run/resumedConfig.ts";
import { readPolicyText } from "../../../run/policies/policyText.ts";
import { defaultRunPath } from "../../../run/runFolder.ts";
import type { TrainClicksResult } from "../../../recsys/training/clickResult.ts";
import { reportRun } from "../../runReport.ts";
import { defineCommand, type CommandInput } from "../../command.ts";
import { cache } from "../../options/cache.ts";
import { clickModelOptions, strategyOption } from "../../options/clickModel.ts";
import { clickTrainingOptions, trainingSettings } from "../../options/clickTraining.ts";
import { inGroup } from "../../options/spec.ts";
import { requireOneFolder, timeLimit, trainingRunOptions } from "../../options/trainingRun.ts";
import {
  columnOptions,
  labelOf,
  prepareOptions,
  readOptions,
  sourceOperand,
  sourceOptions,
} from "../../options/source.ts";
import { keptWeights } from "../../options/monitor.ts";
import type { Output } from "../../output.ts";
import { columnTable } from "./columnTable.ts";
import { trainRun } from "./trainRun.ts";

const operands = { source: sourceOperand };
const options = {
  ...inGroup("Run:", {
    ...trainingRunOptions(
      "runs/DATE-TIME-MODEL-STRATEGY",
      "threads, the strategy and the policy for hot rows",
    ),
    cache,
  }),
  ...readOptions,
  ...columnOptions,
  ...clickTrainingOptions,
  ...strategyOption("baseline"),
  ...clickModelOptions,
};
type Input = CommandInput<typeof operands & typeof options>;

/** The command. */
export const command = defineCommand({
  summary: "Train and test a CTR model on logs: Parquet, CSV, JSON, globs, or SQL over them.",
  operands,
  options,
  async run(out, input) {
    const { cache: cacheDirectory, resume } = input.values;
    const onPrepared = (prepared: PreparedDataset) => out.info(columnTable(prepared.columns));
    requireOneFolder(input.values);
    const common = { cacheDirectory, onPrepared, profile: true, ...timeLimit(input.values) };
    const run =
      resume === undefined
        ? await trainRun(out, { ...common, ...newRun(input) })
        : await trainRun(out, { ...common, directory: resume, resume: changedConfig(input) });
    await finish(out, run);
  },
});

/** The name in a text with options. */
const nameOf = (text: string) => readPolicyText(text, "run").name;

function newRun({ values }: Input): { directory: string; config: RequestedConfig } {
  const settings = trainingSettings(values);
  return {
    directory: values.out ?? defaultRunPath([settings.model, settings.strategy].map(nameOf)),
    config: {
      source: sourceOptions(values.source ?? [], values),
      prepare: prepareOptions(values, labelOf(values), settings.seed),
      settings,
    },
  };
}

/** What a resumed run is asked to change. */
function changedConfig({ values, isGiven }: Input): Changes<ClickConfig> {
  const pick = <T extends object>(all: T, optionOf: Partial<Record<keyof T, string>> = {}): Partial<T> =>
    Object.fromEntries(
      Object.entries(all).filter(([name]) =>
        isGiven((optionOf[name as keyof T] ?? name) as keyof typeof options),
      ),
    ) as Partial<T>;
  const paths = values.source ?? [];
  const prepare = prepareOptions(values, values.label ?? "", values.seed);
  const { batchSize, ...others } = trainingSettings(values);
  const settings = { ...others, ...(batchSize !== null && { batchSize }) };
  return {
    source: { ...pick(sourceOptions(paths, values)), ...(paths.length > 0 && { paths }) },
    prepare: isGiven("fractions") ? pick(prepare, { split: "fractions" }) : pick(prepare),
    settings: pick(settings, {
      learningRate: "lr",
    }),
  };
}

async function finish(out: Output, result: TrainClicksResult): Promise<void> {
  const { run, finished, config, ...figures } = result;
  if (!finished) {
    process.exitCode = 130;
    out.result(`saved; go on with: pareto recsys train --resume ${run}`);
  } else {
    out.result(`${summary(result)}\nrun     ${run}`);
    await reportRun(out, run);
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
  epochs,
  bestEpoch,
  monitor,
  tableBytes,
  tableMemory,
  peakGpuBytes,
}: TrainClicksResult): string {
  const lines = [
    `test    AUC ${formatFixed(auc)}, log loss ${formatFixed(logLoss)}, accuracy ${formatFixed(accuracy)} on ${formatCount(rows.test)} rows`,
    `speed   ${formatRate(samplesPerSecond, "samples")}, ${formatSeconds(trainSeconds)} of training`,
  ];
  if (epochs > 1) lines.splice(1, 0, `epochs  ${epochs}; ${keptWeights("epoch", bestEpoch, monitor)}`);
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
