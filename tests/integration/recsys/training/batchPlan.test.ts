/** @file Steps whose inputs come in parts, with weights, or through a strategy that wraps another. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { add, mul } from "../../../../src/engine/graph/ops/elementwise.ts";
import { reshape, sum } from "../../../../src/engine/graph/ops/movement.ts";
import { matmul } from "../../../../src/engine/graph/ops/contraction.ts";
import { openDevice } from "../../../../src/engine/openDevice.ts";
import { constantFill } from "../../../../src/nn/initializers.ts";
import type { ClickBatch } from "../../../../src/recsys/data/batches/clickBatch.ts";
import { selectInputs } from "../../../../src/recsys/data/batches/selectInputs.ts";
import { EmbeddingTables } from "../../../../src/recsys/embedding/embeddingTables.ts";
import type { CtrModel } from "../../../../src/recsys/models/ctrModel.ts";
import { DenseModel } from "../../../../src/recsys/models/denseModel.ts";
import { dlrm } from "../../../../src/recsys/models/dlrm.ts";
import { BaselineStrategy } from "../../../../src/recsys/strategies/baseline.ts";
import { wholeBatches, type BatchPlan } from "../../../../src/recsys/strategies/batchPlan.ts";
import type { TrainingSegment } from "../../../../src/recsys/strategies/strategy.ts";
import {
  denseOptimizer,
  sparseOptimizer,
  type OptimizerName,
} from "../../../../src/recsys/training/settings.ts";
import { StepPipeline, type StepReport } from "../../../../src/recsys/training/stepPipeline.ts";
import { lookupsOf, randomBags, type Bags } from "../../../support/recsys/bags.ts";
import { encode, run, smallSettings, waveLog, type RunData } from "../../../support/recsys/clickRuns.ts";
import { cutPlan, everyInput, partOfInputs } from "../../../support/recsys/planParts.ts";
import { mapPlans, WatchedStrategy } from "../../../support/recsys/watchedStrategy.ts";

const OPTIMIZERS: OptimizerName[] = ["sgd", "adagrad", "rwsadagrad", "adam"];
const CARDINALITIES = [40, 7];
const DIM = 8;
const BATCH = 16;

const open: { dispose(): Promise<void> }[] = [];
afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource.dispose();
});

async function tablesFor(
  optimizer: OptimizerName,
  cardinalities = CARDINALITIES,
  initial: "uniform" | "zeros" = "uniform",
): Promise<EmbeddingTables> {
  const tables = await EmbeddingTables.create({
    cardinalities,
    dim: DIM,
    optimizer: sparseOptimizer(optimizer),
    seed: 3,
    stagingBuffers: 2,
    maxBatch: BATCH,
    maxLookups: BATCH * 8,
    initial,
  });
  open.push(tables);
  return tables;
}

const small = dlrm({ dense: 3, tables: 2, dim: DIM, bottom: [8], top: [8] });

async function denseFor(optimizer: OptimizerName, model: CtrModel = small): Promise<DenseModel> {
  const device = await openDevice("cpu");
  open.push(device);
  const dense = await DenseModel.create(device, model, {
    batchSize: BATCH,
    optimizer: denseOptimizer(optimizer),
    seed: 3,
  });
  open.push(dense);
  return dense;
}

function rowsOf(tables: EmbeddingTables): Float32Array[] {
  return tables.cardinalities.flatMap((count, t) => {
    const { weights, state } = tables.readRows(t, 0, count);
    return [weights, ...Object.values(state)];
  });
}

/** All that was learned. */
async function learned(dense: DenseModel, tables: EmbeddingTables): Promise<Float32Array[]> {
  const { network } = dense;
  const names = [...network.parameters.names, ...network.optimizerState.names];
  return [...(await Promise.all(names.map((name) => network.readWeight(name)))), ...rowsOf(tables)];
}

/** Batches whose inputs share rows, within bags too; the last is short. */
function batchesOf(count: number): ClickBatch[] {
  const rng = new Rng(11);
  return Array.from({ length: count }, (_, i) => {
    const size = i === count - 1 ? 5 : BATCH;
    const bags: Bags = Array.from({ length: size }, (__, b) => [
      b % 3 === 0 ? [i, i + 1, i] : [i + (b % 2)],
      Array.from({ length: rng.integer(4) }, () => rng.integer(7)),
    ]);
    return {
      size,
      dense: Float32Array.from({ length: size * 3 }, () => rng.normal()),
      lookups: lookupsOf(bags, 2),
      labels: Float32Array.from({ length: size }, () => rng.integer(2)),
      rows: Float64Array.from({ length: size }, (__, b) => i * BATCH + b),
    };
  });
}

async function* inOrder<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item);
}

/** Trains on plans. @returns each step's report, with copies of its arrays */
async function train(
  dense: DenseModel,
  plans: AsyncIterable<BatchPlan>,
  learningRate = 0.1,
): Promise<StepReport[]> {
  const reports: StepReport[] = [];
  await new StepPipeline(dense).train({
    plans,
    stepsDone: 0,
    learningRate: () => learningRate,
    onStep: (report) => {
      reports.push({ ...report, logits: report.logits.slice(), labels: report.labels.slice() });
      return true;
    },
  });
  return reports;
}

function expectAlike(got: readonly Float32Array[], wanted: readonly Float32Array[], tolerance: number): void {
  for (const [i, values] of wanted.entries()) {
    const difference = Math.max(...values.map((value, k) => Math.abs(value - got[i]![k]!)));
    expect(difference, `array ${i}`).toBeLessThan(tolerance);
  }
}

describe.each(OPTIMIZERS)("batches in two or three arbitrary parts, with %s", (optimizer) => {
  test("give the weights of whole batches, to rounding", async () => {
    const [whole, cut] = [await denseFor(optimizer), await denseFor(optimizer)];
    const [tables, cutTables] = [await tablesFor(optimizer), await tablesFor(optimizer)];
    const before = await learned(whole, tables);
    const batches = batchesOf(12);
    const rng = new Rng(5);
    const reports = await train(whole, wholeBatches(tables, inOrder(batches)), 0.02);
    const plans = batches.map((inputs, i) =>
      cutPlan({ parts: [{ store: cutTables, inputs }] }, 2 + (i % 2), rng),
    );
    const cutReports = await train(cut, inOrder(plans), 0.02);
    const wanted = await learned(whole, tables);
    expectAlike(await learned(cut, cutTables), wanted, 2e-5);
    expect(wanted).not.toEqual(before);
    for (const [i, { loss, size, step, labels }] of cutReports.entries()) {
      expect({ size, step }).toEqual({ size: reports[i]!.size, step: reports[i]!.step });
      expect(loss).toBeCloseTo(reports[i]!.loss, 4);
      expect([...labels].sort()).toEqual([...reports[i]!.labels].sort());
    }
  });

  test("give exactly those weights where sums are exact", async () => {
    // Rows are 0, so every logit is 0 and its gradient ±1/2 over a power of two: all sums are exact in float32.
    const linear: CtrModel = {
      name: "linear",
      inputs: { dense: 3, fields: [{ dim: DIM }, { dim: DIM }] },
      apply(p, { dense, embeddings }) {
        const batch = embeddings.shape[0]!;
        const scale = p.get("scale", [1, 2, DIM], constantFill(2));
        const weight = p.get("weight", [3, 1], constantFill(0));
        const ofRows = reshape(sum(mul(embeddings, scale), [1, 2]), [batch, 1]);
        return reshape(add(ofRows, matmul(dense, weight)), [batch]);
      },
    };
    const [whole, cut] = [await denseFor(optimizer, linear), await denseFor(optimizer, linear)];
    const [tables, cutTables] = [
      await tablesFor(optimizer, CARDINALITIES, "zeros"),
      await tablesFor(optimizer, CARDINALITIES, "zeros"),
    ];
    const batch = batchesOf(2)[0]!;
    const inputs = { ...batch, dense: batch.dense.map((x) => Math.round(4 * x)) };
    await train(whole, wholeBatches(tables, inOrder([inputs])));
    const wanted = await learned(whole, tables);
    await train(cut, inOrder([cutPlan({ parts: [{ store: cutTables, inputs }] }, 3, new Rng(1))]));
    expect(await learned(cut, cutTables)).toEqual(wanted);
    expect(Math.max(...wanted[0]!)).not.toBe(0);
  });
});

test("parts may read from different stores", async () => {
  // One store of tables that hold the rows of both, and the same parts: the very same steps.
  const [first, second] = [await tablesFor("adagrad"), await tablesFor("adagrad")];
  const both = await tablesFor(
    "adagrad",
    CARDINALITIES.map((rows) => 2 * rows),
  );
  for (const [t, rows] of CARDINALITIES.entries()) {
    both.writeRows(t, 0, first.readRows(t, 0, rows));
    both.writeRows(t, rows, second.readRows(t, 0, rows));
  }
  const [apart, together] = [await denseFor("adagrad"), await denseFor("adagrad")];
  const plansOf = (inFirst: EmbeddingTables, inSecond: EmbeddingTables) =>
    batchesOf(8).map((inputs): BatchPlan => {
      const half = inputs.size >> 1;
      const low = everyInput(half);
      const high = everyInput(inputs.size).subarray(half);
      const shifted = selectInputs(inputs, high, (table, id) => id + CARDINALITIES[table]!);
      return {
        parts: [
          { store: inFirst, inputs: selectInputs(inputs, low) },
          { store: inSecond, inputs: inSecond === both ? shifted : selectInputs(inputs, high) },
        ],
      };
    });
  const reports = await train(apart, inOrder(plansOf(first, second)));
  expect(await train(together, inOrder(plansOf(both, both)))).toEqual(reports);
  for (const [t, rows] of CARDINALITIES.entries()) {
    expect(first.readRows(t, 0, rows)).toEqual(both.readRows(t, 0, rows));
    expect(second.readRows(t, 0, rows)).toEqual(both.readRows(t, rows, rows));
  }
  expect(await learned(apart, first)).not.toEqual(await learned(together, second));
});

describe("weights of inputs", () => {
  test("2 equals the input twice, with sgd", async () => {
    const batch = batchesOf(2)[0]!;
    const few = selectInputs(batch, everyInput(6));
    const twice = selectInputs(batch, Uint32Array.of(0, 0, 1, 2, 3, 3, 4, 5));
    const weights = Float32Array.of(2, 1, 1, 2, 1, 1);
    const [tables, repeated] = [await tablesFor("sgd"), await tablesFor("sgd")];
    const [dense, denseRepeated] = [await denseFor("sgd"), await denseFor("sgd")];
    const step = () => inOrder<BatchPlan>([{ parts: [{ store: tables, inputs: few, weights }] }]);
    for (let i = 0; i < 3; i++) {
      const [report] = await train(dense, step());
      const [wanted] = await train(denseRepeated, wholeBatches(repeated, inOrder([twice])));
      expect(report!.loss).toBeCloseTo(wanted!.loss, 6);
    }
    expectAlike(await learned(dense, tables), await learned(denseRepeated, repeated), 1e-6);
  });

  test("are kept with their inputs in parts, and are 1 again in the next batch", async () => {
    const batches = batchesOf(4);
    const weightsOf = ({ size }: ClickBatch) => Float32Array.from({ length: size }, (_, b) => (b % 3) / 2);
    const plansOf = (store: EmbeddingTables) =>
      batches.map((inputs, i): BatchPlan => ({
        parts: [{ store, inputs, ...(i % 2 === 0 && { weights: weightsOf(inputs) }) }],
      }));
    const [tables, cutTables] = [await tablesFor("sgd"), await tablesFor("sgd")];
    const [whole, cut] = [await denseFor("sgd"), await denseFor("sgd")];
    const rng = new Rng(9);
    await train(whole, inOrder(plansOf(tables)));
    await train(cut, inOrder(plansOf(cutTables).map((plan) => cutPlan(plan, 3, rng))));
    expectAlike(await learned(cut, cutTables), await learned(whole, tables), 1e-6);
    // An input of weight 0 counts as little as one that is left out.
    const kept = batches.map((inputs, i): BatchPlan => {
      const chosen = everyInput(inputs.size).filter((b) => i % 2 > 0 || b % 3 > 0);
      return { parts: [partOfInputs(plansOf(tables)[i]!.parts[0]!, chosen)] };
    });
    const [dropTables, drop] = [await tablesFor("sgd"), await denseFor("sgd")];
    await train(
      drop,
      inOrder(kept.map(({ parts: [part] }) => ({ parts: [{ ...part!, store: dropTables }] }))),
    );
    expectAlike(await learned(drop, dropTables), await learned(whole, tables), 1e-6);
  });
});

test("plans without inputs are no steps, and count with the next one", async () => {
  const [tables, dense] = [await tablesFor("sgd"), await denseFor("sgd")];
  const [first, second] = batchesOf(3);
  const nothing = selectInputs(first!, new Uint32Array(0));
  const plans: BatchPlan[] = [
    { parts: [] },
    { parts: [{ store: tables, inputs: first! }], batches: 2 },
    { parts: [{ store: tables, inputs: nothing }], batches: 3 },
    {
      parts: [
        { store: tables, inputs: nothing },
        { store: tables, inputs: second! },
      ],
      batches: 0,
    },
    { parts: [] },
  ];
  const steps: number[] = [];
  const pipeline = new StepPipeline(dense);
  const stretch = { stepsDone: 7, learningRate: () => 0.1 };
  const onStep = ({ step }: StepReport) => steps.push(step) > 0;
  expect(await pipeline.train({ ...stretch, plans: inOrder(plans), onStep })).toEqual({
    steps: 2,
    batches: 7,
  });
  expect(steps).toEqual([8, 9]);
  const stopped = await pipeline.train({ ...stretch, plans: inOrder(plans), onStep: () => false });
  expect(stopped).toEqual({ steps: 1, batches: 3 });
});

describe("a strategy that wraps another", () => {
  const INPUTS = 600;
  let data: RunData;
  beforeAll(async () => {
    const directory = await mkdtemp(join(tmpdir(), "pareto-batch-plan-"));
    const part = (name: string, inputs: number, seed: number) => {
      const log = waveLog(randomBags(inputs, CARDINALITIES, seed), CARDINALITIES);
      return encode(join(directory, name), log, log.layout);
    };
    data = { directory, train: await part("train", INPUTS, 1), validation: await part("validation", 200, 2) };
  });
  afterAll(() => rm(data.directory, { recursive: true, force: true }));

  const settings = { ...smallSettings, epochs: 2, patience: 9 };
  let runs = 0;

  /** Trains with the baseline's plans changed, and counts the inputs. */
  async function runWith(change: (segment: TrainingSegment) => TrainingSegment) {
    const trained: number[] = [];
    const outcome = await run(data, {
      settings,
      name: `run${runs++}`,
      makeStrategy: (network) => {
        const inner = new BaselineStrategy(network.tables, data.train, settings.batchSize);
        const wrapped = new WatchedStrategy(inner, {
          onBatch: (_, __, { rows }) => void trained.push(...rows),
        });
        const next = wrapped.next.bind(wrapped);
        wrapped.next = async () => {
          const segment = await next();
          return segment && change(segment);
        };
        return Promise.resolve(wrapped);
      },
    });
    return { outcome, trained };
  }

  test("may cut its batches into parts, to the same quality", async () => {
    const whole = await runWith((segment) => segment);
    const rng = new Rng(3);
    const cut = await runWith((segment) => mapPlans(segment, (plan) => cutPlan(plan, 2, rng)));
    expect(cut.trained.toSorted((a, b) => a - b)).toEqual(whole.trained.toSorted((a, b) => a - b));
    for (const [i, { logLoss, auc }] of whole.outcome.validation.entries()) {
      expect(cut.outcome.validation[i]!.logLoss).toBeCloseTo(logLoss, 4);
      expect(cut.outcome.validation[i]!.auc).toBeCloseTo(auc, 3);
    }
    expect(cut.outcome.state.step).toBe(whole.outcome.state.step);
  });

  test("may leave inputs out, and whole batches", async () => {
    const { outcome } = await runWith((segment) =>
      mapPlans(segment, ({ parts: [part] }, index) => {
        const kept = everyInput(part!.inputs.size).filter((b) => b % 2 === 0);
        return { parts: index % 5 === 1 ? [] : [partOfInputs(part!, kept)] };
      }),
    );
    expect(outcome.finished).toBe(true);
    expect(outcome.state).toMatchObject({ epoch: 2, finished: true });
    const batches = Math.ceil(INPUTS / settings.batchSize);
    expect(outcome.state.step).toBe(2 * (batches - Math.ceil((batches - 1) / 5)));
    expect(outcome.state.samples).toBeLessThan(INPUTS);
  });

  test("may pack what is left of several batches into one", async () => {
    const { outcome } = await runWith((segment) => ({
      ...segment,
      async *plans(order) {
        let waiting: BatchPlan["parts"][number] | null = null;
        for await (const { parts } of segment.plans({ ...order, recycle: 0 })) {
          const half = partOfInputs(parts[0]!, everyInput(parts[0]!.inputs.size >> 1));
          if (waiting) yield { parts: [waiting, half], batches: 2 };
          waiting = waiting ? null : half;
        }
        if (waiting) yield { parts: [waiting] };
      },
    }));
    expect(outcome.state).toMatchObject({ epoch: 2, finished: true });
    expect(outcome.state.step).toBe(2 * Math.ceil(Math.ceil(INPUTS / settings.batchSize) / 2));
  });
});
