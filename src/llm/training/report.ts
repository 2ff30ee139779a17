/** @file From the result and the events of a language model's training to the HTML report. */
import { describeMachine, paretoVersion } from "../../base/environment.ts";
import type { TrainLmResult } from "./lmResult.ts";
import { reportRun, type ReportData } from "../../report/data.ts";
import { formatCount, formatShare } from "../../base/format.ts";
import type { RunEvent } from "../../run/events.ts";

/** The report of a finished run. */
export function lmReport(result: TrainLmResult, events: readonly RunEvent[]): ReportData {
  const { cpu, cores, memoryBytes } = describeMachine();
  const { loss, accuracy, groups } = result.validation!;
  const summary = {
    auc: null,
    logLoss: loss,
    accuracy,
    parameters: result.parameters,
    weightBytes: 2 * result.parameters,
    samplesPerSecond: null,
    trainSeconds: result.trainSeconds,
  };
  const settings = {
    steps: result.steps,
    bestStep: result.bestStep,
    tokens: result.tokens,
    tokensPerSecond: Math.round(result.tokensPerSecond),
    vocabulary: result.vocabulary,
    ...Object.fromEntries(groups.map(({ name, right }) => [`${name}: texts all right`, formatShare(right)])),
  };
  return {
    title: result.name,
    subtitle: `a language model of ${formatCount(result.parameters)} parameters, ${formatCount(result.tokens)} tokens of training`,
    createdAt: new Date().toISOString(),
    runs: [reportRun(result.name, summary, events, settings)],
    environment: {
      pareto: paretoVersion(),
      node: process.version,
      cpu,
      cores,
      memoryGiB: Math.round(memoryBytes / 2 ** 30),
    },
  };
}
