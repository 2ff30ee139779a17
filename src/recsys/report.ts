/** @file From results, events and a profile to the HTML report. */
import type { PreparedDataset } from "./data/encode/prepareDataset.ts";
import { describeMachine, paretoVersion } from "../base/environment.ts";
import type { DatasetProfile } from "./profile/profile.ts";
import type { TrainClicksResult } from "./training/clickResult.ts";
import { reportRun, type ReportData, type ReportProfile, type ReportRun } from "../report/data.ts";
import { formatCount } from "../base/format.ts";
import type { RunEvent } from "../run/events.ts";

/** A run to be reported. */
export interface ReportedRun {
  result: TrainClicksResult;
  events: readonly RunEvent[];
  /** Best AUC that planted truth allows, when it is known. */
  bayesAuc?: number;
}

/** The report of runs over one data set. */
export function reportOf(
  title: string,
  runs: readonly ReportedRun[],
  prepared: PreparedDataset,
  profile: DatasetProfile | null,
): ReportData {
  const { train, validation, test } = prepared;
  const { cpu, cores, memoryBytes } = describeMachine();
  return {
    title,
    subtitle: `${formatCount(train.rows)} training, ${formatCount(validation.rows)} validation and ${formatCount(test.rows)} test rows; ${prepared.schema.dense.length} dense and ${prepared.schema.categorical.length} categorical columns`,
    createdAt: new Date().toISOString(),
    runs: runs.map(toRun),
    ...(profile && { profile: toProfile(profile, prepared) }),
    environment: {
      pareto: paretoVersion(),
      node: process.version,
      cpu,
      cores,
      memoryGiB: Math.round(memoryBytes / 2 ** 30),
    },
  };
}

function toRun({ result, events, bayesAuc }: ReportedRun): ReportRun {
  const { auc, logLoss, accuracy, samplesPerSecond, trainSeconds, hot, sync, peakRssBytes, config } = result;
  const summary = {
    auc,
    logLoss,
    accuracy,
    bayesAuc: bayesAuc ?? null,
    samplesPerSecond,
    trainSeconds,
    hot,
    sync: hot ? sync : null,
    peakRssBytes,
  };
  const settings = Object.entries(config.settings).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(", ") : value,
  ]);
  return reportRun(result.strategy, summary, events, Object.fromEntries(settings));
}

function toProfile(
  profile: DatasetProfile,
  { columns, train, validation, test }: PreparedDataset,
): ReportProfile {
  const rows = train.rows + validation.rows + test.rows;
  const missing = new Map(columns.map((column) => [column.name, column.missing]));
  return {
    skew: profile.skew.curve,
    budgets: profile.inputShare.map(({ budgetBytes: bytes, inputShare, accessShare }) => ({
      bytes,
      inputShare,
      accessShare,
    })),
    chosenBudgetBytes: profile.hot.budgetBytes,
    fields: profile.tables.map(({ name, rows: tableRows, top1, top10 }) => ({
      name,
      rows: tableRows,
      missingShare: (missing.get(name) ?? 0) / Math.max(1, rows),
      top1Share: top1,
      top10Share: top10,
    })),
  };
}
