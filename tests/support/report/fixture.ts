/** @file A report with every section, in the shape of a real one: two runs on a skewed log. */
import { type ReportData, type ReportRun, reportRun } from "../../../src/report/data.ts";
import type { RunEvent } from "../../../src/run/events.ts";

/** The events of a run of about a minute; FAE alternates cold and hot phases with synchronisations between. */
function runEvents(fae: boolean): RunEvent[] {
  const events: RunEvent[] = [];
  const pace = fae ? 0.016 : 0.024;
  let clock = 0;
  let state = 7;
  const noise = (): number => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647 - 0.5;
  };
  const phase = (name: string, length: number): void => {
    events.push({ event: "span", span: name, start: clock, end: clock + length });
    clock += length;
  };
  phase("prepare", 2.4);
  if (fae) phase("calibrate", 1.3);
  const offset = clock;
  for (let round = 0; round < 12; round++) {
    const from = round * 200;
    for (let step = from; step < from + 200; step += 4) {
      const logLoss = 0.478 + 0.2 * Math.exp(-step / 350) + 0.03 * noise();
      events.push({
        event: "metrics",
        part: "train",
        epoch: 0,
        step,
        seconds: clock - offset + (step - from) * pace,
        logLoss,
      });
    }
    if (fae) {
      phase("cold", 90 * pace * 1.4);
      phase("sync", 0.06);
      phase("hot", 110 * pace * 0.7);
      phase("sync", 0.05);
    } else phase("cold", 200 * pace);
    phase("evaluate", 0.35);
    const step = from + 200;
    const logLoss = 0.482 + 0.12 * Math.exp(-step / 500) + 0.003 * noise();
    const auc = 0.769 - 0.1 * Math.exp(-step / 600) + 0.002 * noise();
    events.push({
      event: "metrics",
      part: "validation",
      epoch: 0,
      step,
      seconds: clock - offset,
      logLoss,
      auc,
    });
    if (!fae) continue;
    const rate = [50, 50, 50, 100, 100, 50, 50, 50, 50, 100, 100, 100][round]!;
    events.push({
      event: "decision",
      policy: "adaptive",
      kind: "recsys.rate",
      step,
      subject: "validation",
      saw: { epoch: 0, round, loss: logLoss, previousLoss: null },
      chose: { rate, action: "hold" },
    });
  }
  phase("checkpoint", 0.4);
  events.push({
    event: "metrics",
    part: "test",
    epoch: 0,
    step: 2400,
    seconds: clock - offset,
    logLoss: 0.4873,
    auc: 0.7671,
    accuracy: 0.7689,
  });
  if (fae) {
    events.push({
      event: "notice",
      level: "warning",
      code: "FAE_SAMPLE",
      message: "threshold clamped to 1/35000",
    });
  }
  return events;
}

const run = (fae: boolean): ReportRun =>
  reportRun(
    fae ? "fae" : "baseline",
    {
      auc: fae ? 0.7671 : 0.7668,
      logLoss: fae ? 0.4873 : 0.4876,
      accuracy: fae ? 0.7689 : 0.7686,
      bayesAuc: 0.818,
      samplesPerSecond: fae ? 40312.4 : 31877.9,
      trainSeconds: fae ? 34.1 : 43.6,
      hot: fae ? { rows: 65_536, bytes: 4_194_304, inputShare: 0.565, accessShare: 0.979 } : null,
      sync: fae ? { count: 24, bytes: 41_943_040, seconds: 1.32 } : null,
      peakRssBytes: fae ? 611_000_000 : 598_000_000,
    },
    runEvents(fae),
    { strategy: fae ? "fae" : "baseline", optimizer: "sgd", lr: 0.1, "batch-size": 512, dim: 16, seed: 1 },
  );

/** All sections present. */
export function sampleReport(): ReportData {
  const shares = Array.from({ length: 40 }, (_, i) => 10 ** (-4 + (4 * i) / 39));
  return {
    title: "DLRM on clicks.parquet",
    subtitle: "1,000,000 rows, 13 dense and 26 categorical fields, 70/10/20 in time order",
    createdAt: "2026-01-01T12:00:00Z",
    runs: [run(false), run(true)],
    profile: {
      skew: shares.map((rowShare) => ({
        rowShare,
        accessShare: Math.min(1, 1.02 * rowShare ** 0.06 - 0.02),
      })),
      budgets: Array.from({ length: 10 }, (_, i) => {
        const bytes = 2 ** (18 + i * 0.75);
        const inputShare = 1 / (1 + (3_700_000 / bytes) ** 1.9);
        return { bytes, inputShare, accessShare: 0.8 + 0.2 * inputShare };
      }),
      chosenBudgetBytes: 4_194_304,
      fields: [
        { name: "C3", rows: 101_312, missingShare: 0, top1Share: 0.61, top10Share: 0.81 },
        { name: "C12", rows: 83_515, missingShare: 0.031, top1Share: 0.6, top10Share: 0.8 },
        { name: "C21", rows: 50_000, missingShare: 0, top1Share: 0.57, top10Share: 0.79 },
      ],
    },
    environment: {
      cpu: "8 cores",
      node: "v26.9.0",
      pareto: "0.1.0",
      platform: "linux x64",
      memory: "16.0 GiB",
    },
  };
}
