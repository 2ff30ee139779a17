/**
 * @file A whole training step at full size: the 33.76 M rows of Criteo Kaggle (2.16 GB), Zipf lookups, gather, dense
 * step, gradients, sparse and dense SGD, through the pipeline that training uses. It is related to the dense step
 * alone, measured in turn with it, and to PyTorch on the same processor when there is one (see `torch.ts`).
 */
import type { ClickBatch } from "../../src/recsys/data/batches/clickBatch.ts";
import { openDevice } from "../../src/engine/openDevice.ts";
import { Rng } from "../../src/base/rng.ts";
import { EmbeddingTables } from "../../src/recsys/embedding/embeddingTables.ts";
import { DenseModel } from "../../src/recsys/models/denseModel.ts";
import { StepPipeline } from "../../src/recsys/training/stepPipeline.ts";
import { BATCH, cardinalities, DIM, kaggleBatch, model } from "./kaggle.ts";
import { torchRate } from "../harness/torch.ts";
import type { BenchRow } from "../harness/rows.ts";
import { median } from "../harness/timing.ts";
import { wholeBatches } from "../../src/recsys/strategies/batchPlan.ts";

/** What a run measured. */
export interface TrainResult {
  bench: "train";
  threads: number;
  batchSize: number;
  rows: number;
  tableBytes: number;
  stepMilliseconds: number;
  samplesPerSecond: number;
  denseMilliseconds: number;
  denseSamplesPerSecond: number;
  /** `samplesPerSecond / denseSamplesPerSecond`. */
  ratioToDense: number;
  /** Highest resident memory of the process. */
  peakRssBytes: number;
  /** 1.35 × tables + 600 MiB. */
  rssLimitBytes: number;
  torch: TorchResult | null;
}

/** What PyTorch reached, and this program over it. */
interface TorchResult {
  samplesPerSecond: number;
  ratio: number;
}

/** Batches made before, used over and over: enough that their rows do not stay in the caches. */
const BATCHES = 64;
/** Steps of a stretch, and its first that are not counted. */
const STRETCH = 40;
const WARM_UP = 8;
const LEARNING_RATE = 0.01;
const TORCH_STEPS = 20;

async function* repeat(batches: readonly ClickBatch[], start: number): AsyncGenerator<ClickBatch> {
  for (let i = start; ; i++) yield batches[i % batches.length]!;
}

/** Measures. Takes about 20 s, and PyTorch's time when it is there. */
export async function benchTrain(threads: number, rounds = 5): Promise<TrainResult> {
  // Before and after, the better of both: what else the machine does must not be counted against PyTorch.
  const torchBefore = await torchRate("cpu", BATCH, TORCH_STEPS);
  const rng = new Rng(11);
  const batches = Array.from({ length: BATCHES }, () => kaggleBatch(rng));
  const limits = { dim: DIM, stagingBuffers: 2, maxBatch: BATCH, optimizer: { kind: "sgd" } as const };
  const store = await EmbeddingTables.create({ cardinalities, seed: 1, threads, ...limits });
  const device = await openDevice("cpu", { threads });
  const times = { step: [] as number[], dense: [] as number[] };
  try {
    const dense = await DenseModel.create(device, model, {
      batchSize: BATCH,
      optimizer: { kind: "sgd" },
      seed: 1,
    });
    const pipeline = new StepPipeline(dense);
    let done = 0;
    const trainStretch = async () => {
      let last = performance.now();
      let count = 0;
      await pipeline.train({
        plans: wholeBatches(store, repeat(batches, done), STRETCH),
        stepsDone: done,
        learningRate: () => LEARNING_RATE,
        onStep: () => {
          const now = performance.now();
          if (++count > WARM_UP) times.step.push(now - last);
          last = now;
          return true;
        },
      });
      done += STRETCH;
    };
    const trainDense = async () => {
      const { dense: inputs, labels } = batches[0]!;
      const feeds = { dense: inputs, rows: store.rows(0), labels, weights: new Float32Array(BATCH).fill(1) };
      for (let i = 0; i < STRETCH; i++) {
        const start = performance.now();
        const time = { learningRate: LEARNING_RATE, step: ++done };
        await dense.train(feeds, time, { rowGradients: store.gradients(0) });
        if (i >= WARM_UP) times.dense.push(performance.now() - start);
      }
    };
    for (let round = 0; round < rounds; round++) {
      await trainStretch();
      await trainDense();
    }
  } finally {
    await device.dispose();
    await store.dispose();
  }
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  const [stepMilliseconds, denseMilliseconds] = [median(times.step), median(times.dense)];
  const samplesPerSecond = (1000 * BATCH) / stepMilliseconds;
  const torch =
    torchBefore === null ? null : Math.max(torchBefore, (await torchRate("cpu", BATCH, TORCH_STEPS))!);
  return {
    bench: "train",
    threads,
    batchSize: BATCH,
    rows: cardinalities.reduce((sum, rows) => sum + rows, 0),
    tableBytes: store.bytes,
    stepMilliseconds,
    samplesPerSecond,
    denseMilliseconds,
    denseSamplesPerSecond: (1000 * BATCH) / denseMilliseconds,
    ratioToDense: denseMilliseconds / stepMilliseconds,
    peakRssBytes,
    rssLimitBytes: 1.35 * store.bytes + 600 * 2 ** 20,
    torch: torch === null ? null : { samplesPerSecond: torch, ratio: samplesPerSecond / torch },
  };
}

/** The lines of the table. */
export function trainRows(result: TrainResult): BenchRow[] {
  const { samplesPerSecond, stepMilliseconds: milliseconds, torch, peakRssBytes, rssLimitBytes } = result;
  const count = (value: number) => Math.round(value).toLocaleString("en-US");
  const figure = `${count(samplesPerSecond)} samples/s`;
  const size = `${(result.rows / 1e6).toFixed(2)} M rows, ${(result.tableBytes / 1e9).toFixed(2)} GB, batch ${result.batchSize}`;
  const mebibytes = (bytes: number) => `${count(bytes / 2 ** 20)} MiB`;
  return [
    {
      case: "training step",
      size,
      milliseconds,
      figure,
      limit: `${count(result.denseSamplesPerSecond)} samples/s, dense step alone`,
      ratio: result.ratioToDense,
      target: "≥ 0.75",
      met: result.ratioToDense >= 0.75,
    },
    {
      case: "training memory",
      size,
      milliseconds,
      figure: mebibytes(peakRssBytes),
      limit: `${mebibytes(rssLimitBytes)}, 1.35 × tables + 600 MiB`,
      ratio: peakRssBytes / rssLimitBytes,
      target: "≤ 1.00",
      met: peakRssBytes <= rssLimitBytes,
    },
    {
      case: "against PyTorch",
      size,
      milliseconds,
      figure,
      limit: torch === null ? "no PyTorch given" : `${count(torch.samplesPerSecond)} samples/s, PyTorch`,
      ratio: torch?.ratio ?? null,
      target: "≥ 1.50",
      met: torch === null ? null : torch.ratio >= 1.5,
    },
  ];
}
