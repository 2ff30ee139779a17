/** @file From the result and the events of a protein run to the HTML report. */
import { describeMachine, paretoVersion } from "../base/environment.ts";
import type { FamilyReport } from "./families/families.ts";
import type { TrainProteinResult } from "./training/proteinResult.ts";
import { reportRun, type ReportData } from "../report/data.ts";
import { formatCount } from "../base/format.ts";
import type { RunEvent } from "../run/events.ts";

/** The report of a finished run. */
export function proteinReport(
  { test, families, sequences, config, ...facts }: TrainProteinResult,
  events: readonly RunEvent[],
  read: FamilyReport,
): ReportData {
  const { cpu, cores, memoryBytes } = describeMachine();
  const { classes, confusions, macroF1, weightedF1, top3, calibrationError, accuracy, logLoss } = test!;
  const summary = {
    auc: null,
    accuracy,
    macroF1,
    weightedF1,
    top3,
    calibrationError,
    logLoss,
    parameters: facts.parameters,
    weightBytes: facts.weightBytes,
    samplesPerSecond: facts.sequencesPerSecond,
    trainSeconds: facts.trainSeconds,
  };
  const { paths, ...data } = config.data;
  const settings = { ...data, paths: paths.join(", "), ...config.settings };
  return {
    title: `${config.settings.model}, ${config.data.split} split`,
    subtitle: `${formatCount(families.length)} families from ${formatCount(read.files)} files; ${formatCount(sequences.train)} training, ${formatCount(sequences.validation)} validation and ${formatCount(sequences.test)} test sequences`,
    createdAt: new Date().toISOString(),
    runs: [reportRun(config.settings.model, summary, events, settings)],
    classes: classes.map((quality, c) => ({ name: families[c]!, ...quality })),
    confusions: confusions.map(({ label, predicted, count, share }) => ({
      label: families[label]!,
      predicted: families[predicted]!,
      count,
      share,
    })),
    environment: {
      pareto: paretoVersion(),
      node: process.version,
      cpu,
      cores,
      memoryGiB: Math.round(memoryBytes / 2 ** 30),
    },
  };
}
