/** @file The pipelined loop against a plain one, and short batches against programs of their size. */
import { afterEach, describe, expect, test } from "vitest";
import type { ClickBatch } from "../../../../src/recsys/data/batches/clickBatch.ts";
import { openDevice } from "../../../../src/engine/openDevice.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { EmbeddingTables } from "../../../../src/recsys/embedding/embeddingTables.ts";
import type { EmbeddingStore } from "../../../../src/recsys/embedding/embeddingStore.ts";
import type { SparseOptimizer } from "../../../../src/recsys/embedding/sparseOptimizer.ts";
import { DenseModel } from "../../../../src/recsys/models/denseModel.ts";
import { dlrm } from "../../../../src/recsys/models/dlrm.ts";
import {
  denseOptimizer,
  sparseOptimizer,
  type OptimizerName,
} from "../../../../src/recsys/training/settings.ts";
import { StepPipeline } from "../../../../src/recsys/training/stepPipeline.ts";
import { lookupsOf, type Bags } from "../../../support/recsys/bags.ts";
import { wholeBatches } from "../../../../src/recsys/strategies/batchPlan.ts";

const CARDINALITIES = [40, 7];
const DIM = 8;
const BATCH = 16;
const RATE = 0.1;

const open: { dispose(): Promise<void> }[] = [];
afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource.dispose();
});

async function parts(optimizer: OptimizerName, threads = 1, batchSize = BATCH) {
  const device = await openDevice("cpu", { threads });
  open.push(device);
  const model = dlrm({ dense: 3, tables: 2, dim: DIM, bottom: [8], top: [8] });
  const dense = await DenseModel.create(device, model, {
    batchSize,
    optimizer: denseOptimizer(optimizer),
    seed: 3,
  });
  const sparse: SparseOptimizer = sparseOptimizer(optimizer);
  const tables = await EmbeddingTables.create({
    cardinalities: CARDINALITIES,
    dim: DIM,
    optimizer: sparse,
    seed: 3,
    threads,
    stagingBuffers: 2,
    maxBatch: BATCH,
    maxLookups: BATCH * 8,
  });
  open.push(dense, tables);
  /** All that was learned. */
  const learned = async (): Promise<Float32Array[]> => {
    const states = [...dense.network.parameters.names, ...dense.network.optimizerState.names].map((name) =>
      device.readState(name),
    );
    const rows = CARDINALITIES.flatMap((count, t) => {
      const { weights, state } = tables.readRows(t, 0, count);
      return [weights, ...Object.values(state)];
    });
    return [...((await Promise.all(states)) as Float32Array[]), ...rows];
  };
  return { dense, tables, learned };
}

/**
 * Batches that read what the one before has just written: the same few rows again and again, within bags too, and
 * rows that take turns. The last batch is short.
 */
function adversarialBatches(count: number): ClickBatch[] {
  const rng = new Rng(11);
  return Array.from({ length: count }, (_, i) => {
    const size = i === count - 1 ? 5 : BATCH;
    const bags: Bags = Array.from({ length: size }, (__, b) => {
      if (b === 0) return [[], [i % 7, i % 7, (i + 1) % 7]];
      if (b % 3 === 0) return [[i, i + 1, i], [0]];
      return [[i + (b % 2)], Array.from({ length: rng.integer(4) }, () => rng.integer(7))];
    });
    return {
      size,
      dense: Float32Array.from({ length: size * 3 }, () => rng.normal()),
      lookups: lookupsOf(bags, 2),
      labels: Float32Array.from({ length: size }, () => rng.integer(2)),
      rows: Float64Array.from({ length: size }, (__, b) => i * BATCH + b),
    };
  });
}

async function* streamed(batches: readonly ClickBatch[]): AsyncGenerator<ClickBatch> {
  for (const batch of batches) {
    // Reading takes now more, now less time than the step beside it.
    await new Promise((resolve) => setTimeout(resolve, batch.rows[0]! % 3));
    yield batch;
  }
}

function padded(values: Float32Array, length: number): Float32Array {
  const array = new Float32Array(length);
  array.set(values);
  return array;
}

/** One batch after the other in one buffer: stage, step, update. */
async function serialLoop(
  dense: DenseModel,
  store: EmbeddingStore,
  batches: readonly ClickBatch[],
): Promise<number[]> {
  const losses: number[] = [];
  for (const [i, { lookups, labels, dense: inputs, size }] of batches.entries()) {
    await store.stage(0, lookups);
    const gradients = new Float32Array(BATCH * 2 * DIM);
    const feeds = {
      dense: padded(inputs, BATCH * 3),
      rows: padded(store.rows(0) as Float32Array, BATCH * 2 * DIM),
      labels: padded(labels, BATCH),
      weights: padded(new Float32Array(size).fill(1), BATCH),
    };
    const time = { learningRate: RATE, step: i + 1 };
    const { loss } = await dense.train(feeds, time, { rowGradients: gradients });
    losses.push(loss![0]!);
    (store.gradients(0) as Float32Array).set(gradients.subarray(0, size * 2 * DIM));
    await store.update(0, RATE, i + 1);
  }
  return losses;
}

async function pipelined(
  dense: DenseModel,
  store: EmbeddingStore,
  batches: readonly ClickBatch[],
): Promise<number[]> {
  const losses: number[] = [];
  const done = await new StepPipeline(dense).train({
    plans: wholeBatches(store, streamed(batches)),
    stepsDone: 0,
    learningRate: () => RATE,
    onStep: ({ loss }) => losses.push(loss) > 0,
  });
  expect(done).toEqual({ steps: batches.length, batches: batches.length });
  return losses;
}

describe.each<OptimizerName>(["sgd", "adagrad", "rwsadagrad", "adam"])(
  "the pipeline with %s",
  (optimizer) => {
    test("gives the losses and weights of a serial loop, bit for bit, on any number of threads", async () => {
      const batches = adversarialBatches(30);
      const serial = await parts(optimizer);
      const losses = await serialLoop(serial.dense, serial.tables, batches);
      const wanted = await serial.learned();
      for (const threads of [1, 2, 4]) {
        const { dense, tables, learned } = await parts(optimizer, threads);
        const before = await learned();
        expect(await pipelined(dense, tables, batches), `losses, ${threads} threads`).toEqual(losses);
        const got = await learned();
        expect(got, `weights, ${threads} threads`).toEqual(wanted);
        expect(got).not.toEqual(before);
      }
    });
  },
);

test("a loop that does not refresh what was staged ahead would be found out", async () => {
  const batches = adversarialBatches(30);
  const [right, wrong] = [await parts("sgd"), await parts("sgd")];
  await serialLoop(right.dense, right.tables, batches);
  wrong.tables.refresh = () => Promise.resolve();
  await pipelined(wrong.dense, wrong.tables, batches);
  expect(await wrong.learned()).not.toEqual(await right.learned());
});

test("a short batch has the loss and the gradients of a program of its size", async () => {
  const batch = adversarialBatches(1)[0]!;
  const { size, lookups, labels, dense: inputs } = batch;
  const small = await parts("sgd", 1, size);
  await small.tables.stage(0, lookups);
  const gradients = new Float32Array(size * 2 * DIM);
  const weights = new Float32Array(size).fill(1);
  const feeds = { dense: inputs, rows: small.tables.rows(0), labels, weights };
  const outputs = await small.dense.train(
    feeds,
    { learningRate: RATE, step: 1 },
    { rowGradients: gradients },
  );
  const loss = outputs["loss"]![0]!;
  small.tables.gradients(0).set(gradients);
  await small.tables.update(0, RATE, 1);

  const large = await parts("sgd");
  // A full batch first leaves other values where the padding goes.
  const full = adversarialBatches(2)[0]!;
  const fullLoss = await pipelinedStep(large, full, 0);
  expect(fullLoss).toBeGreaterThan(0);
  expect(await pipelinedStep(large, batch, RATE)).toBeCloseTo(loss, 6);
  const staged = large.tables.gradients(0);
  expect(staged).toHaveLength(gradients.length);
  expect(Math.max(...gradients.map((g, i) => Math.abs(g - staged[i]!)))).toBeLessThan(1e-7);
  expect(Math.max(...gradients.map((g) => Math.abs(g)))).toBeGreaterThan(1e-3);
  const [got, want] = [await large.learned(), await small.learned()];
  for (const [i, values] of want.entries()) {
    expect(Math.max(...values.map((value, k) => Math.abs(value - got[i]![k]!)))).toBeLessThan(1e-6);
  }
});

/** The loss of one pipelined step, in buffer 0. */
async function pipelinedStep(
  { dense, tables }: { dense: DenseModel; tables: EmbeddingTables },
  batch: ClickBatch,
  learningRate: number,
): Promise<number> {
  let found = Number.NaN;
  await pipeline(dense).train({
    plans: wholeBatches(tables, streamed([batch])),
    stepsDone: 0,
    learningRate: () => learningRate,
    onStep: ({ loss }) => {
      found = loss;
      return true;
    },
  });
  return found;
}

const pipelines = new WeakMap<DenseModel, StepPipeline>();
/** The one pipeline of a model, whose padding keeps what it held before. */
function pipeline(dense: DenseModel): StepPipeline {
  const known = pipelines.get(dense) ?? new StepPipeline(dense);
  pipelines.set(dense, known);
  return known;
}

test("predictions of a short batch do not depend on the padding", async () => {
  const batches = adversarialBatches(3);
  const { dense, tables } = await parts("sgd");
  const logits: number[][] = [];
  for await (const { logits: values } of new StepPipeline(dense).predict(tables, streamed(batches))) {
    logits.push([...values]);
  }
  expect(logits.map((values) => values.length)).toEqual([BATCH, BATCH, 5]);
  const small = await parts("sgd", 1, 5);
  await small.tables.stage(0, batches[2]!.lookups);
  const alone = await small.dense.predict({ dense: batches[2]!.dense, rows: small.tables.rows(0) });
  for (const [i, value] of alone.entries()) expect(logits[2]![i]).toBeCloseTo(value, 6);
});
