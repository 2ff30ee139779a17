/** @file Two runs on a skewed log, as their folders would hold them: with everything that a report draws. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeAccessProfile, type AccessProfile } from "../../../src/recsys/profile/accessProfile.ts";
import type { RunEvent } from "../../../src/run/events.ts";
import { createRunFolder } from "../../../src/run/runFolder.ts";

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

/** What a run came to. */
const resultOf = (fae: boolean) => ({
  strategy: fae ? "fae" : "baseline",
  finished: true,
  auc: fae ? 0.7671 : 0.7668,
  logLoss: fae ? 0.4873 : 0.4876,
  accuracy: fae ? 0.7689 : 0.7686,
  rows: { train: 700_000, validation: 100_000, test: 200_000 },
  epochs: 1,
  steps: 2400,
  samplesPerSecond: fae ? 40312.4 : 31877.9,
  trainSeconds: fae ? 34.1 : 43.6,
  hot: fae ? { rows: 65_536, bytes: 4_194_304, inputShare: 0.565, accessShare: 0.979 } : null,
  sync: fae ? { count: 24, bytes: 41_943_040, seconds: 1.32 } : { count: 0, bytes: 0, seconds: 0 },
  peakRssBytes: fae ? 611_000_000 : 598_000_000,
  tableBytes: 52_428_800,
  tableMemory: "host",
  peakGpuBytes: null,
  config: {
    settings: { model: "dlrm", strategy: fae ? "fae" : "baseline", dim: 16, bottom: [64, 16], seed: 1 },
  },
});

/** How the log is accessed. */
function sampleAccess(): AccessProfile {
  const shares = Array.from({ length: 40 }, (_, i) => 10 ** (-4 + (4 * i) / 39));
  return {
    format: "pareto-access",
    version: 1,
    columns: { dense: 13, categorical: 26 },
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
    ],
  };
}

/** What differs from the usual runs. */
interface SampleOptions {
  /** Stands for names and messages that come from a user. */
  text?: string;
  /** Whether runs have events and an access profile. */
  isBare?: boolean;
}

/** Writes the folders of a baseline run and of an FAE run. @returns their paths */
export async function writeSampleRuns(directory: string, options: SampleOptions = {}): Promise<string[]> {
  const { text, isBare = false } = options;
  const paths: string[] = [];
  for (const fae of [false, true]) {
    const path = join(directory, fae ? "fae" : "baseline");
    await mkdir(directory, { recursive: true });
    const folder = await createRunFolder(path, { command: "recsys train", config: {}, seed: 1 });
    const log = folder.openLog();
    for (const event of isBare ? [] : runEvents(fae)) log.append(event);
    if (text !== undefined) log.append({ event: "notice", level: "warning", code: "X", message: text });
    log.close();
    const result = { ...resultOf(fae), run: path };
    if (text !== undefined) {
      result.strategy = `${text}${fae}`;
      Object.assign(result.config.settings, { [text]: text });
    }
    await folder.writeResult(result);
    await folder.setStatus("done", 60);
    const access = sampleAccess();
    if (text !== undefined) access.fields[0]!.name = text;
    if (fae && !isBare) await writeAccessProfile(path, access);
    paths.push(path);
  }
  return paths;
}

/** Adds a line to a run's events as they stand in its folder. */
export async function appendEvents(path: string, events: readonly RunEvent[]): Promise<void> {
  const lines = events.map((event) => `${JSON.stringify(event)}\n`).join("");
  await writeFile(join(path, "events.jsonl"), lines, { flag: "a" });
}
