/**
 * @file FAE against the baseline on this processor: the same synthetic log, seed and settings, trained in turns. On
 * this target both tiers are main memory, so what is asked of FAE is to cost nothing.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { synthClicks } from "../../src/recsys/data/synth/clicks.ts";
import { synthPresets } from "../../src/recsys/data/synth/presets.ts";
import type { TrainingSettings } from "../../src/recsys/training/settings.ts";
import type { TrainClicksResult } from "../../src/recsys/training/clickResult.ts";
import { trainClicks } from "../../src/recsys/training/trainClicks.ts";
import type { BenchRow } from "../harness/rows.ts";
import { median } from "../harness/timing.ts";

/** What a run measured. */
export interface FaeResult {
  bench: "fae";
  threads: number;
  rows: number;
  batchSize: number;
  hotBudgetBytes: number;
  /** Medians over the runs, of training with synchronisation and the scheduler's evaluations. */
  baselineSamplesPerSecond: number;
  faeSamplesPerSecond: number;
  /**
   * Baseline's seconds over FAE's, all runs together: on a shared machine the rate of a run swings by a tenth either
   * way, and a sum over runs in turns swings less than a median of so few.
   */
  ratio: number;
  /** Every run's rate, in order, so that the spread can be seen. */
  rates: { baseline: number[]; fae: number[] };
  /** Median seconds of training of FAE. */
  trainSeconds: number;
  hotRows: number;
  hotBytes: number;
  hotInputShare: number;
  hotAccessShare: number;
  syncCount: number;
  syncBytes: number;
  syncSeconds: number;
  baselineLogLoss: number;
  faeLogLoss: number;
  baselineAuc: number;
  faeAuc: number;
}

/** Enough that the two evaluations of an epoch, which FAE's scheduler asks for, weigh little. */
const ROWS = 1_000_000;
const PAIRS = 8;
const HOT_BUDGET_BYTES = 4 * 2 ** 20;
const STRATEGIES = { baseline: "baseline", fae: `fae:budget=${HOT_BUDGET_BYTES}` };

/** Measures. Takes two to three minutes. */
export async function benchFae(threads: number, rows = ROWS): Promise<FaeResult> {
  const directory = await mkdtemp(join(tmpdir(), "pareto-fae-"));
  try {
    const file = join(directory, "clicks.parquet");
    await synthClicks({ file, rows, preset: "small", seed: 1 });
    const { label, time, dense, categorical } = synthPresets.small;
    const settings: Omit<TrainingSettings, "strategy"> = {
      model: "dlrm:dim=16,bottom=(512,256,64),top=(512,256)",
      hot: "topk",
      optimizer: "sgd",
      learningRate: 0.1,
      decay: "constant",
      batchSize: 2048,
      epochs: 1,
      patience: 1,
      seed: 1,
      threads,
      device: "cpu",
    };
    let runs = 0;
    const train = (strategy: keyof typeof STRATEGIES): Promise<TrainClicksResult> =>
      trainClicks({
        directory: join(directory, `run-${runs++}`),
        cacheDirectory: join(directory, "cache"),
        config: {
          source: { paths: [file] },
          prepare: { label, time, dense, categorical },
          settings: { ...settings, strategy: STRATEGIES[strategy] },
        },
      });
    const pairs: { baseline: TrainClicksResult; fae: TrainClicksResult }[] = [];
    for (let pair = 0; pair < PAIRS; pair++) {
      // Who goes first changes from pair to pair, so that a machine that slows down wrongs neither.
      const first = pair % 2 === 0 ? "baseline" : "fae";
      const one = await train(first);
      const other = await train(first === "fae" ? "baseline" : "fae");
      pairs.push(first === "fae" ? { baseline: other, fae: one } : { baseline: one, fae: other });
    }
    const rates = {
      baseline: pairs.map((p) => p.baseline.samplesPerSecond),
      fae: pairs.map((p) => p.fae.samplesPerSecond),
    };
    const { baseline, fae } = pairs[0]!;
    const hot = fae.hot!;
    return {
      bench: "fae",
      threads,
      rows,
      batchSize: settings.batchSize,
      hotBudgetBytes: HOT_BUDGET_BYTES,
      baselineSamplesPerSecond: median([...rates.baseline]),
      faeSamplesPerSecond: median([...rates.fae]),
      ratio: seconds(pairs.map((p) => p.baseline)) / seconds(pairs.map((p) => p.fae)),
      rates,
      trainSeconds: median(pairs.map((p) => p.fae.trainSeconds)),
      hotRows: hot.rows,
      hotBytes: hot.bytes,
      hotInputShare: hot.inputShare,
      hotAccessShare: hot.accessShare,
      syncCount: fae.sync.count,
      syncBytes: fae.sync.bytes,
      syncSeconds: median(pairs.map((p) => p.fae.sync.seconds)),
      baselineLogLoss: baseline.logLoss!,
      faeLogLoss: fae.logLoss!,
      baselineAuc: baseline.auc!,
      faeAuc: fae.auc!,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Seconds of training of all runs. */
function seconds(runs: readonly TrainClicksResult[]): number {
  return runs.reduce((sum, run) => sum + run.trainSeconds, 0);
}

/** The lines of the table. */
export function faeRows(result: FaeResult): BenchRow[] {
  const { ratio, hotInputShare, syncBytes, syncCount, faeLogLoss, baselineLogLoss } = result;
  const rate = (value: number) => `${Math.round(value).toLocaleString("en-US")} samples/s`;
  const percent = (100 * hotInputShare).toFixed(0);
  return [
    {
      case: "FAE on the CPU",
      size:
        `${result.rows.toLocaleString("en-US")} rows, ${percent} % hot inputs, ` +
        `${(syncBytes / 2 ** 20).toFixed(1)} MiB in ${syncCount} syncs, ` +
        `log loss ${faeLogLoss.toFixed(4)} (baseline ${baselineLogLoss.toFixed(4)})`,
      milliseconds: 1000 * result.trainSeconds,
      figure: rate(result.faeSamplesPerSecond),
      limit: `${rate(result.baselineSamplesPerSecond)}, baseline`,
      ratio,
      target: "≥ 0.97",
      met: ratio >= 0.97,
    },
  ];
}
