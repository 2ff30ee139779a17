/**
 * @file FAE over our own `hybrid` at Kaggle's table sizes: the same log, epoch, seed and settings, run in turns on fresh
 * networks. The ratio is that of the sums of all runs' seconds of training, synchronisation and the scheduler's
 * evaluations counted. Log loss is that of inputs after those trained on.
 *
 * The prediction is the cost model's, 1 / ((1 − h) + h·ρ + s), with ρ and s from a run before those that count.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { polynomialDecay } from "../../src/nn/schedules.ts";
import { BaselineStrategy } from "../../src/recsys/strategies/baseline.ts";
import { predictedSpeedup } from "../../src/recsys/strategies/fae/costModel.ts";
import { prepareFaeFile, type FaeFile } from "../../src/recsys/strategies/fae/faeFile.ts";
import { FaeStrategy } from "../../src/recsys/strategies/fae/faeStrategy.ts";
import { bytesPerRow } from "../../src/recsys/strategies/fae/rowBytes.ts";
import { shuffleRatePolicies } from "../../src/recsys/strategies/fae/shuffleRate.ts";
import type { SyncTotals, TrainingStrategy } from "../../src/recsys/strategies/strategy.ts";
import { evaluate } from "../../src/recsys/training/evaluate.ts";
import { StepPipeline } from "../../src/recsys/training/stepPipeline.ts";
import { DIM } from "../recsys/kaggle.ts";
import { EXPONENT, SAMPLE_RATE, writeFaeLog, type FaeLog } from "./faeLog.ts";
import { createNetwork } from "./network.ts";
import type { CudaSizes } from "./sizes.ts";
import type { BenchRow } from "../harness/rows.ts";
import { median } from "../harness/timing.ts";

/** The published figure. */
const TARGET = 1.52;
/** Largest difference of log loss that counts as equal, as in `bench/recsys/faeParity.ts`. */
const LOG_LOSS_BOUND = 0.0015;
const LEARNING_RATE = 0.1;
const SEED = 1;
/** Inputs of the slice that the adaptive scheduler looks at, as in training. */
const SLICE_SHARE = 0.01;
const SLICE_LEAST = 2048;

/** What a run took, by the kind of its batches. */
interface Run {
  seconds: number;
  logLoss: number;
  segments: Record<string, { batches: number; seconds: number }>;
  sync: SyncTotals;
}

/** What is compared. */
type StrategyName = "baseline" | "fae";

/** One row. */
export async function* faeRows(sizes: CudaSizes): AsyncGenerator<BenchRow, void, undefined> {
  const directory = await mkdtemp(join(tmpdir(), "pareto-cuda-fae-"));
  try {
    const { faeInputs: inputs, faeBatch: batchSize, faeHotBytes: budgetBytes, rowsScale } = sizes;
    const validation = Math.max(batchSize, Math.floor(inputs / 24));
    const log = await writeFaeLog(directory, { inputs, validation, rowsScale });
    const file = await prepareFaeFile({
      directory: join(directory, "fae"),
      source: log.train,
      layout: log.train.layout,
      datasetHash: "synthetic",
      config: {
        hot: "topk",
        budgetBytes,
        rowBytes: bytesPerRow({ kind: "sgd" }, DIM),
        sampleRate: SAMPLE_RATE,
        seed: SEED,
      },
    });
    const run = (strategy: StrategyName) => trainOnce(strategy, log, file, sizes);
    const predicted = predict(await run("fae"), file, log.train.batchCount(batchSize));
    const runs: Record<StrategyName, Run[]> = { baseline: [], fae: [] };
    for (let pair = 0; pair < sizes.faePairs; pair++) {
      // Who goes first changes from pair to pair, so that a machine that slows down wrongs neither.
      const order: StrategyName[] = pair % 2 === 0 ? ["baseline", "fae"] : ["fae", "baseline"];
      for (const strategy of order) runs[strategy].push(await run(strategy));
    }
    yield row(sizes, file, runs, predicted);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function row(
  { faeInputs, faeBatch }: CudaSizes,
  { header, hotSet }: FaeFile,
  { baseline, fae }: Record<StrategyName, Run[]>,
  predicted: number,
): BenchRow {
  const total = (list: readonly Run[]) => list.reduce((sum, { seconds }) => sum + seconds, 0);
  const ratio = total(baseline) / total(fae);
  const rate = (list: readonly Run[]) =>
    `${Math.round((list.length * faeInputs) / total(list)).toLocaleString("en-US")} samples/s`;
  const difference = fae[0]!.logLoss - baseline[0]!.logLoss;
  const hotShare = header.hotInputs / (header.hotInputs + header.coldInputs);
  const { sync } = fae[0]!;
  return {
    case: "FAE over hybrid",
    size:
      `${faeInputs.toLocaleString("en-US")} inputs, batch ${faeBatch.toLocaleString("en-US")}, Zipf ${EXPONENT}, ` +
      `${(100 * hotShare).toFixed(0)} % hot inputs, ${(hotSet.bytes / 2 ** 20).toFixed(0)} MiB hot, ` +
      `${(sync.bytes / 2 ** 20).toFixed(0)} MiB in ${sync.count} syncs, predicted ${predicted.toFixed(2)} ×, ` +
      `log loss ${fae[0]!.logLoss.toFixed(4)} (${difference < 0 ? "−" : "+"}${Math.abs(difference).toFixed(4)})`,
    milliseconds: 1000 * median(fae.map(({ seconds }) => seconds)),
    figure: rate(fae),
    limit: `${rate(baseline)}, hybrid`,
    ratio,
    target: `≥ ${TARGET.toFixed(2)}, log loss within ${LOG_LOSS_BOUND}`,
    met: ratio >= TARGET && Math.abs(difference) <= LOG_LOSS_BOUND,
  };
}

/** What the cost model says, from the times of one run. */
function predict({ segments, sync }: Run, { header }: FaeFile, batches: number): number {
  const hotShare = header.hotInputs / (header.hotInputs + header.coldInputs);
  const [cold, hot] = ["cold", "hot"].map((kind) => {
    const { batches: count, seconds } = segments[kind] ?? { batches: 0, seconds: 0 };
    return seconds / Math.max(1, count);
  });
  return predictedSpeedup(hotShare, hot! / cold!, sync.seconds / (batches * cold!));
}

/** Trains one epoch on a fresh network. */
async function trainOnce(
  name: StrategyName,
  { train, validation }: FaeLog,
  file: FaeFile,
  { faeBatch: batchSize }: CudaSizes,
): Promise<Run> {
  const { cardinalities, tables } = train.layout;
  const { network, device } = await createNetwork(cardinalities, {
    placement: "hybrid",
    batchSize,
    strategy: name,
  });
  const clock = () => performance.now() / 1000;
  let strategy: TrainingStrategy | undefined;
  try {
    strategy =
      name === "baseline"
        ? new BaselineStrategy(network.tables, train, batchSize)
        : await FaeStrategy.create({
            tables: network.hostTables,
            createHotEmbeddings: (options) => network.createHotEmbeddings(options),
            file,
            batchSize,
            maxLookups: batchSize * tables,
            rate: shuffleRatePolicies.parse("adaptive", "bench").create(),
            clock,
            onEvent: () => undefined,
          });
    const limit = Math.max(SLICE_LEAST, Math.floor(SLICE_SHARE * train.rows));
    const sliceLoss = async () => (await evaluate(network, validation, { limit })).logLoss;
    const pipeline = new StepPipeline(network.dense);
    const decaySteps = train.batchCount(batchSize);
    const schedule = { base: LEARNING_RATE, warmupSteps: 0, decayStart: 0, decaySteps, power: 1 };
    const segments: Run["segments"] = {};
    let stepsDone = 0;
    const start = clock();
    for (;;) {
      await strategy.segmentEnded(sliceLoss);
      const segment = await strategy.next();
      if (!segment) break;
      const began = clock();
      const trained = await pipeline.train({
        plans: segment.plans({ batchSize, shuffle: { seed: SEED, epoch: 0 }, recycle: 4 }),
        stepsDone,
        learningRate: (step) => polynomialDecay(schedule, step),
        onStep: ({ loss }) => {
          if (!Number.isFinite(loss)) throw new Error(`the loss of ${name} is not finite`);
          return true;
        },
      });
      await device.inOrder(() => device.finished());
      strategy.completed(trained.batches);
      stepsDone += trained.steps;
      const spent = (segments[segment.name] ??= { batches: 0, seconds: 0 });
      spent.batches += trained.batches;
      spent.seconds += clock() - began;
    }
    await strategy.flush();
    const seconds = clock() - start;
    const { logLoss } = await evaluate(network, validation);
    return { seconds, logLoss, segments, sync: { ...strategy.sync } };
  } finally {
    await strategy?.dispose();
    await network.dispose();
  }
}
