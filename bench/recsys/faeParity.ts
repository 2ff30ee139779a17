/**
 * @file Whether FAE, which only reorders inputs, keeps the baseline's accuracy: seeds of a synthetic log with planted
 * truth under a learning rate that falls to 0, for R(100), R(10) and the adaptive scheduler.
 *
 * Below it stands what the fall of the rate is for: at a constant rate of 1.0, all cold batches and then all hot
 * ones leave the model leaning towards the last ones seen. Log loss and accuracy judge that; AUC alone might not.
 */
import type { TrainingSettings } from "../../src/recsys/training/settings.ts";
import { run } from "../../tests/support/recsys/clickRuns.ts";
import { synZFae, synZData, synZSettings, type SynZData } from "../../tests/support/recsys/synZRuns.ts";
import type { BenchRow } from "../harness/rows.ts";

/** Bounds on the mean over seeds of the difference to the baseline. */
const AUC_BOUND = 0.002;
const LOG_LOSS_BOUND = 0.0015;

interface Quality {
  auc: number;
  logLoss: number;
  accuracy: number;
  seconds: number;
  hotInputShare: number;
  syncs: number;
}

/** Means over the seeds of one order of training, and the change from its baseline; null of a baseline. */
interface ParityRow {
  system: string;
  auc: number;
  logLoss: number;
  accuracy: number;
  aucChange: number | null;
  logLossChange: number | null;
  accuracyChange: number | null;
  /** Seed by seed. */
  aucChanges: number[] | null;
  logLossChanges: number[] | null;
  hotInputShare: number;
  syncs: number;
  trainSeconds: number;
  /** Whether both changes are within the bounds; null of a baseline and of what is not judged. */
  met: boolean | null;
}

/** What was measured. */
interface FaeParityResult {
  bench: "faeParity";
  seeds: number[];
  /** Inputs to train on. */
  train: number;
  /** Best possible AUC on the validation inputs, the mean over seeds. */
  bayesAuc: number;
  bounds: { auc: number; logLoss: number };
  rows: ParityRow[];
}

const decaying: Partial<TrainingSettings> = { learningRate: 0.6, decay: "linear", epochs: 3 };
const constant: Partial<TrainingSettings> = { learningRate: 1, decay: "constant", epochs: 2 };
const [rate100, rate10, adaptive]: Partial<TrainingSettings>[] = [
  { strategy: synZFae("fixed:rate=100") },
  { strategy: synZFae("fixed:rate=10") },
  { strategy: synZFae("adaptive") },
];
/** Names of systems, and what each is compared with. */
const systems: readonly [name: string, settings: Partial<TrainingSettings>, baseline: string][] = [
  ["baseline", decaying, ""],
  ["FAE R(100)", { ...decaying, ...rate100 }, "baseline"],
  ["FAE R(10)", { ...decaying, ...rate10 }, "baseline"],
  ["FAE adaptive", { ...decaying, ...adaptive }, "baseline"],
  ["baseline, constant rate", constant, ""],
  ["FAE R(100), constant rate", { ...constant, ...rate100 }, "baseline, constant rate"],
];

async function trainOnce(data: SynZData, name: string, settings: TrainingSettings): Promise<Quality> {
  const { validation, state, hot, sync } = await run(data, { settings, name });
  const { auc, logLoss, accuracy } = validation.at(-1)!;
  const hotInputShare = hot?.inputShare ?? 0;
  return { auc, logLoss, accuracy, seconds: state.trainSeconds, hotInputShare, syncs: sync.count };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Measures every order of training on every seed. */
export async function measureFaeParity(options: {
  seeds: number[];
  /** Inputs to train on, and to validate on. */
  train: number;
  validation: number;
  log: (line: string) => void;
}): Promise<FaeParityResult> {
  const { seeds, train, validation, log } = options;
  const results = new Map<string, Quality[]>(systems.map(([name]) => [name, []]));
  const bayes: number[] = [];
  for (const seed of seeds) {
    await using data = await synZData({ train, validation, seed });
    bayes.push(data.bayesAuc);
    for (const [name, changes] of systems) {
      const found = await trainOnce(data, name, { ...synZSettings, ...changes, seed });
      results.get(name)!.push(found);
      log(`seed ${seed} ${name}: AUC ${found.auc.toFixed(5)}, log loss ${found.logLoss.toFixed(5)}`);
    }
  }
  const rows = systems.map(([name, , baseline]) => {
    const own = results.get(name)!;
    const other = results.get(baseline);
    const means = (field: keyof Quality) => mean(own.map((quality) => quality[field]));
    const change = (field: keyof Quality) => (other ? means(field) - mean(other.map((q) => q[field])) : null);
    const [auc, logLoss] = [change("auc"), change("logLoss")];
    const isJudged = auc !== null && logLoss !== null && baseline === "baseline";
    return {
      system: name,
      auc: means("auc"),
      logLoss: means("logLoss"),
      accuracy: means("accuracy"),
      aucChange: auc,
      logLossChange: logLoss,
      accuracyChange: change("accuracy"),
      aucChanges: other ? own.map((q, i) => q.auc - other[i]!.auc) : null,
      logLossChanges: other ? own.map((q, i) => q.logLoss - other[i]!.logLoss) : null,
      hotInputShare: means("hotInputShare"),
      syncs: means("syncs"),
      trainSeconds: means("seconds"),
      met: isJudged ? Math.abs(auc) <= AUC_BOUND && Math.abs(logLoss) <= LOG_LOSS_BOUND : null,
    };
  });
  const bounds = { auc: AUC_BOUND, logLoss: LOG_LOSS_BOUND };
  return { bench: "faeParity", seeds, train, bayesAuc: mean(bayes), bounds, rows };
}

const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(5)}`;

/** The lines of the table. */
export function faeParityRows({ rows, seeds, bounds, bayesAuc }: FaeParityResult): BenchRow[] {
  return rows.map((row) => {
    const baseline = rows.find(({ system }) => system === systems.find(([name]) => name === row.system)![2]);
    const figures = ({ auc, logLoss, accuracy }: ParityRow) =>
      `AUC ${auc.toFixed(5)}, log loss ${logLoss.toFixed(5)}, accuracy ${accuracy.toFixed(5)}`;
    return {
      case: row.system,
      size: `seeds ${seeds.join(", ")}; ${(100 * row.hotInputShare).toFixed(1)} % hot inputs, ${row.syncs.toFixed(0)} syncs`,
      milliseconds: 1000 * row.trainSeconds,
      figure: figures(row),
      limit: baseline
        ? `AUC ${signed(row.aucChange!)}, log loss ${signed(row.logLossChange!)} from ${baseline.system}`
        : `AUC ${bayesAuc.toFixed(5)}, the best possible`,
      ratio: row.auc / (baseline?.auc ?? bayesAuc),
      target: row.met === null ? "" : `within ${bounds.auc} AUC, ${bounds.logLoss} log loss`,
      met: row.met,
    };
  });
}
