/**
 * @file Whole DLRM training steps at Kaggle's shape through the pipeline that training uses: ids, dense inputs and
 * labels from host memory to updated rows and weights. `device`: rows in GPU memory; `hybrid`: rows in host memory,
 * PyTorch measured between two stretches of ours.
 *
 * The idle share is 1 − the GPU's work of a step over the time of a step. The work is the sum of what is put on the
 * stream, each piece between two events, in a stretch of its own; the time is that of stretches without events.
 */
import type { ClickBatch } from "../../src/recsys/data/batches/clickBatch.ts";
import { Rng } from "../../src/base/rng.ts";
import { StepPipeline } from "../../src/recsys/training/stepPipeline.ts";
import { cardinalities, kaggleBatch } from "../recsys/kaggle.ts";
import { torchRate, type TorchMode } from "../harness/torch.ts";
import { BusyMeter } from "./busyMeter.ts";
import { createNetwork, type NetworkChoice } from "./network.ts";
import type { CudaSizes } from "./sizes.ts";
import { attempt, type BenchRow } from "../harness/rows.ts";
import { median } from "../harness/timing.ts";
import { wholeBatches } from "../../src/recsys/strategies/batchPlan.ts";

/** Samples a second that are asked for, by batch size. */
const DEVICE_TARGETS: Readonly<Record<number, number>> = { 2048: 3e6, 16_384: 10e6 };
const HYBRID_TARGET = 5;
const IDLE_TARGET = 0.15;
/** Batches made before, used over and over: enough that their rows do not stay in the caches. */
const BATCH_INPUTS = 2 ** 18;
const STRETCHES = 3;
const WARM_UP = 8;
const TORCH_STEPS = 30;

/** What a placement reached. */
interface Reached {
  stepMilliseconds: number;
  samplesPerSecond: number;
  /** GPU work of a step; null where it was not measured. */
  busyMilliseconds: number | null;
}

const count = (value: number) => Math.round(value).toLocaleString("en-US");

/** Placement `device` at both batches, in float32 and, for information, in tf32; the idle share. */
export async function* deviceRows(sizes: CudaSizes): AsyncGenerator<BenchRow, void, undefined> {
  for (const batchSize of sizes.batches) {
    let idle: BenchRow | null = null;
    yield await attempt(`device ${batchSize}`, async () => {
      const isLargest = batchSize === Math.max(...sizes.batches);
      const reached = await train(sizes, { placement: "device", batchSize }, { measuresIdle: isLargest });
      if (isLargest) idle = idleRow(batchSize, reached);
      const torch = await torchRate("gpu", batchSize, TORCH_STEPS);
      return trainingRow("device", batchSize, reached, {
        peer: torch,
        mode: "gpu",
        ...(batchSize in DEVICE_TARGETS && { samplesPerSecond: DEVICE_TARGETS[batchSize]! }),
      });
    });
    if (idle) yield idle;
    yield await attempt(`device ${batchSize} tf32`, async () => {
      const reached = await train(sizes, { placement: "device", batchSize, precision: "tf32" });
      return trainingRow("device, tf32", batchSize, reached, { peer: null, mode: "gpu" });
    });
  }
}

/** Placement `hybrid` at both batches beside PyTorch's. */
export async function* hybridRows(sizes: CudaSizes): AsyncGenerator<BenchRow, void, undefined> {
  for (const batchSize of sizes.batches) {
    yield await attempt(`hybrid ${batchSize}`, async () => {
      let peer: number | null = null;
      const reached = await train(
        sizes,
        { placement: "hybrid", batchSize },
        {
          between: async () => {
            peer = await torchRate("hybrid", batchSize, TORCH_STEPS);
          },
        },
      );
      return trainingRow("hybrid", batchSize, reached, { peer, mode: "hybrid", ratio: HYBRID_TARGET });
    });
  }
}

/** Trains stretches on made batches. `between` runs after the first. */
async function train(
  sizes: CudaSizes,
  choice: NetworkChoice,
  { measuresIdle = false, between }: { measuresIdle?: boolean; between?: () => Promise<void> } = {},
): Promise<Reached> {
  const { batchSize } = choice;
  const steps = choice.placement === "hybrid" ? Math.ceil(sizes.steps / 3) : sizes.steps;
  const rows = cardinalities.map((n) => Math.max(2, Math.round(n * sizes.rowsScale)));
  const batches = batchesOf(sizes, batchSize, rows);
  const { network, device } = await createNetwork(rows, choice);
  try {
    const pipeline = new StepPipeline(network.dense);
    let stepsDone = 0;
    /** Milliseconds of a step over a stretch, its first ones not counted. */
    const stretch = async (steps: number): Promise<number> => {
      let started = 0;
      let seen = 0;
      const trained = await pipeline.train({
        plans: wholeBatches(network.tables, repeat(batches, stepsDone), WARM_UP + steps),
        stepsDone,
        learningRate: () => 0.01,
        onStep: ({ loss }) => {
          if (!Number.isFinite(loss))
            throw new Error(`the loss is not finite after step ${stepsDone + seen}`);
          if (++seen === WARM_UP) started = performance.now();
          return true;
        },
      });
      await device.inOrder(() => device.finished());
      stepsDone += trained.steps;
      return (performance.now() - started) / steps;
    };
    await stretch(steps >> 2);
    const times: number[] = [await stretch(steps)];
    await between?.();
    for (let i = 1; i < STRETCHES; i++) times.push(await stretch(steps));
    let busyMilliseconds: number | null = null;
    if (measuresIdle) {
      using meter = new BusyMeter(device);
      await stretch(steps);
      busyMilliseconds = (await meter.milliseconds()) / (WARM_UP + steps);
    }
    const stepMilliseconds = median(times);
    return { stepMilliseconds, samplesPerSecond: (1000 * batchSize) / stepMilliseconds, busyMilliseconds };
  } finally {
    await network.dispose();
  }
}

const made = new Map<number, ClickBatch[]>();

/** Batches of a size, made once. */
function batchesOf({ small }: CudaSizes, size: number, rows: readonly number[]): ClickBatch[] {
  const known = made.get(size);
  if (known) return known;
  const rng = new Rng(11);
  const length = Math.max(2, (small ? 4 * size : BATCH_INPUTS) / size);
  const batches = Array.from({ length }, () => kaggleBatch(rng, { size, rows }));
  made.set(size, batches);
  return batches;
}

async function* repeat(batches: readonly ClickBatch[], start: number): AsyncGenerator<ClickBatch> {
  for (let i = start; ; i++) yield batches[i % batches.length]!;
}

function trainingRow(
  name: string,
  batchSize: number,
  { stepMilliseconds, samplesPerSecond }: Reached,
  {
    peer,
    mode,
    samplesPerSecond: wanted,
    ratio: wantedRatio,
  }: { peer: number | null; mode: TorchMode; samplesPerSecond?: number; ratio?: number },
): BenchRow {
  const ratio = peer === null ? null : samplesPerSecond / peer;
  const where = mode === "gpu" ? "all on the GPU" : "hybrid";
  return {
    case: `training, ${name}`,
    size: `DLRM Kaggle, batch ${count(batchSize)}, input transfer included`,
    milliseconds: stepMilliseconds,
    figure: `${count(samplesPerSecond)} samples/s`,
    limit: peer === null ? "" : `${count(peer)} samples/s, PyTorch ${where}`,
    ratio,
    target:
      wanted === undefined
        ? wantedRatio === undefined
          ? ""
          : `≥ ${wantedRatio.toFixed(2)}`
        : `≥ ${count(wanted)} samples/s`,
    met:
      wanted !== undefined
        ? samplesPerSecond >= wanted
        : wantedRatio === undefined || ratio === null
          ? null
          : ratio >= wantedRatio,
  };
}

function idleRow(batchSize: number, { stepMilliseconds, busyMilliseconds }: Reached): BenchRow {
  // Both are medians of different stretches: a GPU that is always busy reads as little as −2 %.
  const idle = Math.max(0, 1 - busyMilliseconds! / stepMilliseconds);
  return {
    case: "GPU idle share",
    size: `training, device, batch ${count(batchSize)}`,
    milliseconds: stepMilliseconds,
    figure: `${(100 * idle).toFixed(1)} % of a step`,
    limit: `${busyMilliseconds!.toFixed(3)} ms of GPU work a step`,
    ratio: busyMilliseconds! / stepMilliseconds,
    target: `idle ≤ ${(100 * IDLE_TARGET).toFixed(0)} %`,
    met: idle <= IDLE_TARGET,
  };
}
