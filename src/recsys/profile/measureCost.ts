/**
 * @file What a step costs on this machine: gather, dense step and update timed on random lookups, in large tables and
 * in compact ones of hot rows. It is what the predicted speed-up of FAE rests on.
 */
import type { ClickBatch, Lookups } from "../data/batches/clickBatch.ts";
import { openDevice } from "../../engine/openDevice.ts";
import type { Device } from "../../engine/program.ts";
import { Rng } from "../../base/rng.ts";
import { createTables } from "../embedding/createTables.ts";
import { EmbeddingTables } from "../embedding/embeddingTables.ts";
import type { CtrModel } from "../models/ctrModel.ts";
import { DenseModel } from "../models/denseModel.ts";
import type { MeasuredCost, StepTimes } from "../strategies/fae/costModel.ts";
import { denseOptimizer, sparseOptimizer, type TrainingSettings } from "../training/settings.ts";
import { StepPipeline } from "../training/stepPipeline.ts";
import { rowFloats } from "../models/features.ts";
import { wholeBatches } from "../strategies/batchPlan.ts";

/** Rows of a table beyond this many are as far from the cache as more would be. */
const MAX_ROWS = 1 << 20;
const ROUNDS = 7;
const SYNC_BYTES = 64 * 2 ** 20;

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;

/** Seconds of a task, the median of a few rounds after one to warm up. */
async function timed(task: () => Promise<unknown>): Promise<number> {
  await task();
  const seconds: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    await task();
    seconds.push((performance.now() - start) / 1000);
  }
  return median(seconds);
}

/** Uniform lookups, one id a table: the cold part of a log has little reuse. */
function randomLookups(rows: readonly number[], size: number, seed: number): Lookups {
  const rng = new Rng(seed, 0xc057);
  const ids = new Int32Array(new SharedArrayBuffer(4 * size * rows.length));
  rows.forEach((n, t) => {
    for (let b = 0; b < size; b++) ids[t * size + b] = rng.integer(n);
  });
  return { size, tables: rows.length, ids, offsets: null };
}

/** @param dim floats of a row */
async function rowTimes(
  rows: readonly number[],
  dim: number,
  settings: TrainingSettings,
): Promise<Omit<StepTimes, "dense">> {
  const { batchSize, seed, threads } = settings;
  const store = await EmbeddingTables.create({
    cardinalities: rows,
    dim,
    optimizer: sparseOptimizer(settings.optimizer),
    seed,
    threads,
    stagingBuffers: 1,
    maxBatch: batchSize,
  });
  try {
    const batches = Array.from({ length: 4 }, (_, i) => randomLookups(rows, batchSize, seed + i));
    let turn = 0;
    const gather = await timed(() => store.stage(0, batches[turn++ % batches.length]!));
    const scatter = await timed(() => store.update(0, 1e-6, 1));
    return { gather, copyIn: 0, copyOut: 0, scatter };
  } finally {
    await store.dispose();
  }
}

async function denseTime(model: CtrModel, settings: TrainingSettings): Promise<number> {
  const { batchSize, seed, threads } = settings;
  const { dense, fields } = model.inputs;
  const [tables, dim] = [fields.length, rowFloats(model.inputs)];
  const device = await openDevice(settings.device, { threads });
  try {
    const network = await DenseModel.create(device, model, {
      batchSize,
      seed,
      optimizer: denseOptimizer(settings.optimizer),
    });
    const shared = (n: number) => new Float32Array(new SharedArrayBuffer(4 * n)).fill(0.1);
    const rows = shared(batchSize * tables * dim);
    const gradients = shared(rows.length);
    const feeds = {
      dense: shared(batchSize * dense),
      rows,
      labels: shared(batchSize),
      weights: shared(batchSize),
    };
    return await timed(() =>
      network.train(feeds, { learningRate: 1e-6, step: 1 }, { rowGradients: gradients }),
    );
  } finally {
    await device.dispose();
  }
}

/** Steps of a timed stretch. */
const STRETCH = 16;

async function* repeated(batches: readonly ClickBatch[]): AsyncGenerator<ClickBatch> {
  for (let i = 0; ; i++) yield batches[i % batches.length]!;
}

/** Seconds of a step through the pipeline of training, where gathering and computing overlap. */
async function pipelineTime(
  dense: DenseModel,
  settings: TrainingSettings,
  rows: readonly number[],
  placement: "device" | "hybrid",
): Promise<number> {
  const { batchSize, seed, threads } = settings;
  const store = await createTables(
    dense.device,
    {
      cardinalities: rows,
      dim: rowFloats(dense.model.inputs),
      optimizer: sparseOptimizer(settings.optimizer),
      seed,
      threads,
      stagingBuffers: 2,
      maxBatch: batchSize,
      maxLookups: batchSize * rows.length,
      initial: "uniform",
    },
    placement,
  );
  try {
    const batches = Array.from({ length: 4 }, (_, i): ClickBatch => {
      const size = batchSize;
      const lookups = randomLookups(rows, size, seed + i);
      const inputs = new Float32Array(size * dense.model.inputs.dense).fill(0.1);
      return { size, dense: inputs, lookups, labels: new Float32Array(size), rows: new Float64Array(size) };
    });
    const pipeline = new StepPipeline(dense);
    const stretch = () =>
      pipeline.train({
        plans: wholeBatches(store, repeated(batches), STRETCH),
        stepsDone: 0,
        learningRate: () => 1e-6,
        onStep: () => true,
      });
    return (await timed(stretch)) / STRETCH;
  } finally {
    await store.dispose();
  }
}

/** Bytes a second that cross the bus. */
async function busRate(device: Device): Promise<number> {
  const values = new Float32Array(new SharedArrayBuffer(SYNC_BYTES));
  device.pin?.(values);
  await device.createState("bus", { shape: [values.length], dtype: "float32" });
  return SYNC_BYTES / (await timed(() => device.writeState("bus", values)));
}

async function measureGpuCost(
  model: CtrModel,
  settings: TrainingSettings,
  cold: readonly number[],
  hot: readonly number[],
  copyRate: number,
): Promise<MeasuredCost> {
  const { batchSize, seed, threads, precision = "float32" } = settings;
  const device = await openDevice(settings.device, { threads, precision });
  try {
    const optimizer = denseOptimizer(settings.optimizer);
    const dense = await DenseModel.create(device, model, { batchSize, seed, optimizer });
    const whole = (seconds: number) => ({ gather: 0, copyIn: 0, dense: seconds, copyOut: 0, scatter: 0 });
    return {
      cold: whole(await pipelineTime(dense, settings, cold, "hybrid")),
      hot: whole(await pipelineTime(dense, settings, hot, "device")),
      // Rows pass through a copy on the host.
      syncBytesPerSecond: 1 / (1 / copyRate + 1 / (await busRate(device))),
    };
  } finally {
    await device.dispose();
  }
}

/**
 * Measures the costs that a prediction needs; takes a second or two.
 * @param hotRows how many
 */
export async function measureCost(
  model: CtrModel,
  settings: TrainingSettings,
  cardinalities: readonly number[],
  hotRows: number,
): Promise<MeasuredCost> {
  const cold = cardinalities.map((rows) => Math.min(rows, MAX_ROWS));
  const perTable = Math.max(1, Math.floor(hotRows / cardinalities.length));
  const hot = cold.map((rows) => Math.min(rows, perTable));
  const from = new Uint8Array(new SharedArrayBuffer(SYNC_BYTES));
  const to = new Uint8Array(new SharedArrayBuffer(SYNC_BYTES));
  const copyRate = SYNC_BYTES / (await timed(() => Promise.resolve(to.set(from))));
  if (settings.device === "cuda") return measureGpuCost(model, settings, cold, hot, copyRate);
  const dense = await denseTime(model, settings);
  const coldTimes = await rowTimes(cold, rowFloats(model.inputs), settings);
  const hotTimes = await rowTimes(hot, rowFloats(model.inputs), settings);
  return {
    cold: { ...coldTimes, dense },
    hot: { ...hotTimes, dense },
    syncBytesPerSecond: copyRate,
  };
}
