/**
 * @file Whether FAE, which only reorders inputs, keeps the baseline's accuracy: three seeds of syn-Z under a rate
 * that falls to 0, for R(100), R(10) and the adaptive scheduler. Ends in a table and one JSON line.
 *
 * Below it stands what the fall of the rate is for: at a constant rate of 1.0, all cold batches and then all hot
 * ones leave the model leaning towards the last ones seen. Log loss and accuracy judge that; AUC alone might not.
 *
 * `node bench/faeParity.ts [--seeds 3,4,5] [--train 600000]`
 */
import { parseArgs } from "node:util";
import type { TrainingSettings } from "../src/recsys/training/settings.ts";
import { run } from "../tests/support/recsys/clickRuns.ts";
import { synZData, synZSettings, type SynZData } from "../tests/support/recsys/synZRuns.ts";

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

const decaying: Partial<TrainingSettings> = { learningRate: 0.6, decay: "linear", epochs: 3 };
const constant: Partial<TrainingSettings> = { learningRate: 1, decay: "constant", epochs: 2 };
const [rate100, rate10, adaptive]: Partial<TrainingSettings>[] = [
  { strategy: "fae", rate: 100 },
  { strategy: "fae", rate: 10 },
  { strategy: "fae", rate: 50, scheduler: "adaptive" },
];
/** Names of systems, and what each is compared with. */
const systems: [name: string, settings: Partial<TrainingSettings>, baseline: string][] = [
  ["baseline", decaying, ""],
  ["FAE R(100)", { ...decaying, ...rate100 }, "baseline"],
  ["FAE R(10)", { ...decaying, ...rate10 }, "baseline"],
  ["FAE adaptive", { ...decaying, ...adaptive }, "baseline"],
  ["baseline, constant rate", constant, ""],
  ["FAE R(100), constant rate", { ...constant, ...rate100 }, "baseline, constant rate"],
];

async function measure(data: SynZData, name: string, settings: TrainingSettings): Promise<Quality> {
  const { validation, state, hot, sync } = await run(data, { settings, name });
  const { auc, logLoss, accuracy } = validation.at(-1)!;
  const hotInputShare = hot?.inputShare ?? 0;
  return { auc, logLoss, accuracy, seconds: state.trainSeconds, hotInputShare, syncs: sync.count };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const { values: options } = parseArgs({
  options: { seeds: { type: "string", default: "3,4,5" }, train: { type: "string", default: "600000" } },
});
const seeds = options.seeds.split(",").map(Number);
const results = new Map<string, Quality[]>(systems.map(([name]) => [name, []]));
const bayes: number[] = [];
for (const seed of seeds) {
  await using data = await synZData({ train: Number(options.train), validation: 50_000, seed });
  bayes.push(data.bayesAuc);
  for (const [name, changes] of systems) {
    const found = await measure(data, name, { ...synZSettings, ...changes, seed });
    results.get(name)!.push(found);
    console.error(`seed ${seed} ${name}: AUC ${found.auc.toFixed(5)}, log loss ${found.logLoss.toFixed(5)}`);
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
const signed = (value: number | null) => (value === null ? "" : `${value < 0 ? "" : "+"}${value.toFixed(5)}`);
console.table(
  rows.map((row) => ({
    system: row.system,
    AUC: row.auc.toFixed(5),
    "Δ AUC": signed(row.aucChange),
    "log loss": row.logLoss.toFixed(5),
    "Δ log loss": signed(row.logLossChange),
    accuracy: row.accuracy.toFixed(5),
    "Δ accuracy": signed(row.accuracyChange),
    "hot inputs": row.hotInputShare.toFixed(3),
    syncs: row.syncs,
    met: row.met ?? "",
  })),
);
const bounds = { auc: AUC_BOUND, logLoss: LOG_LOSS_BOUND };
console.log(
  JSON.stringify({
    bench: "faeParity",
    seeds,
    train: Number(options.train),
    bayesAuc: mean(bayes),
    bounds,
    rows,
  }),
);
