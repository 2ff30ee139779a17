/** @file Three training steps of DLRM against the numbers that the reference implementation prints. */
import { afterEach, describe, expect, test } from "vitest";
import type { Lookups } from "../../../../src/recsys/data/batches/clickBatch.ts";
import { grad } from "../../../../src/engine/autodiff.ts";
import { trace } from "../../../../src/engine/graph/graph.ts";
import { mul, sigmoid, sub } from "../../../../src/engine/graph/ops/elementwise.ts";
import { openDevice } from "../../../../src/engine/openDevice.ts";
import type { Device } from "../../../../src/engine/program.ts";
import { mean } from "../../../../src/nn/functional.ts";
import { optimizerUpdates } from "../../../../src/nn/optimizers.ts";
import { Parameters } from "../../../../src/nn/parameters.ts";
import { EmbeddingTables } from "../../../../src/recsys/embedding/embeddingTables.ts";
import { PREDICTION } from "../../../../src/recsys/models/denseModel.ts";
import { featuresOf } from "../../../../src/recsys/models/features.ts";
import { dlrm } from "../../../../src/recsys/models/dlrm.ts";
import { devices, tryOpenDevice } from "../../../support/engine/devices.ts";
import { dlrmExample, type DlrmExample } from "./fixture.ts";

const DIM = 2;
const BATCH = 2;
const LOSS_TOLERANCE = 5e-6;
const PARAMETER_TOLERANCE = 2e-5;

const example = dlrmExample();
const open: { dispose(): Promise<void> }[] = [];

afterEach(async () => {
  for (const resource of open.splice(0).reverse()) await resource.dispose();
});

const widths = (layers: DlrmExample["top"]) => layers.slice(0, -1).map((layer) => layer.bias.length);
const float32 = (...shape: number[]) => ({ shape, dtype: "float32" as const });

/** The example's network: the CTR model's logits under a sigmoid and mean squared error. */
function traceExample(parameters: Parameters) {
  const model = dlrm({
    dense: 4,
    tables: 3,
    dim: DIM,
    bottom: widths(example.bottom),
    top: widths(example.top),
  });
  const inputs = {
    dense: float32(BATCH, 4),
    rows: float32(BATCH, 3, DIM),
    labels: float32(BATCH),
    learningRate: float32(),
  };
  return trace(inputs, (t) => {
    const difference = sub(
      sigmoid(model.apply(parameters, featuresOf(model.inputs, t.dense, t.rows), PREDICTION)),
      t.labels,
    );
    const loss = mean(mul(difference, difference));
    const weights = parameters.tensors;
    const [rowGradients, ...gradients] = grad(loss, [t.rows, ...weights]);
    const rate = t.learningRate;
    const updates = optimizerUpdates(
      { kind: "sgd" },
      {
        parameters: weights,
        gradients,
        optimizerState: new Parameters(0),
        learningRate: rate,
        step: rate,
      },
    );
    return { outputs: { loss, rowGradients: rowGradients! }, updates };
  });
}

async function exampleProgram(device: Device) {
  const parameters = new Parameters(1);
  const program = await device.compile(traceExample(parameters));
  await parameters.create(device);
  const wanted: string[] = [];
  for (const part of ["bottom", "top"] as const) {
    for (const [i, layer] of example[part].entries()) {
      wanted.push(`${part}.${i}.weight`, `${part}.${i}.bias`);
      await device.writeState(`${part}.${i}.weight`, Float32Array.from(layer.weight.flat()));
      await device.writeState(`${part}.${i}.bias`, Float32Array.from(layer.bias));
    }
  }
  expect(parameters.names.toSorted()).toEqual(wanted.toSorted());
  return program;
}

async function exampleTables(): Promise<EmbeddingTables> {
  const tables = await EmbeddingTables.create({
    cardinalities: example.embeddings.map((rows) => rows.length),
    dim: DIM,
    optimizer: { kind: "sgd" },
    seed: 1,
    stagingBuffers: 1,
    maxBatch: BATCH,
    maxLookups: 12,
  });
  open.push(tables);
  for (const [table, rows] of example.embeddings.entries()) {
    tables.writeRows(table, 0, { weights: Float32Array.from(rows.flat()), state: {} });
  }
  return tables;
}

function lookups(bags: number[][][]): Lookups {
  const flat = bags.flat();
  const offsets = Int32Array.from({ length: flat.length + 1 }, (_, i) => flat.slice(0, i).flat().length);
  return { size: BATCH, tables: bags.length, ids: Int32Array.from(flat.flat()), offsets };
}

/** Most that two lists of numbers differ by. */
function farthest(got: ArrayLike<number>, want: readonly number[]): number {
  expect(got.length).toBe(want.length);
  return Math.max(...want.map((value, i) => Math.abs(value - got[i]!)));
}

describe.each(["reference", ...devices])("the reference's worked example on %s", async (target) => {
  const probe = await tryOpenDevice(target);
  if ("missing" in probe) {
    test.skip(`skipped: ${probe.missing}`);
    return;
  }
  await probe.dispose();

  test("gives its three losses and its updated parameters", async () => {
    const device = await openDevice(target);
    open.push(device);
    const program = await exampleProgram(device);
    const tables = await exampleTables();
    for (const [i, { dense, bags, labels }] of example.batches.entries()) {
      await tables.stage(0, lookups(bags));
      const feeds = {
        dense: Float32Array.from(dense.flat()),
        rows: tables.rows(0),
        labels: Float32Array.from(labels),
        learningRate: Float32Array.of(example.learningRate),
      };
      const { loss } = await program.run(feeds, { rowGradients: tables.gradients(0) });
      expect(Math.abs(loss![0]! - example.losses[i]!), `loss ${i}: ${loss![0]}`).toBeLessThan(LOSS_TOLERANCE);
      await tables.update(0, example.learningRate, i + 1);
    }
    for (const [table, rows] of example.after.embeddings.entries()) {
      const { weights } = tables.readRows(table, 0, rows.length);
      expect(farthest(weights, rows.flat()), `table ${table}`).toBeLessThan(PARAMETER_TOLERANCE);
    }
    for (const [name, values] of Object.entries(example.after.parameters)) {
      expect(farthest(await device.readState(name), values.flat()), name).toBeLessThan(PARAMETER_TOLERANCE);
    }
  });
});
