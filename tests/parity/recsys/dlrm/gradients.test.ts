/** @file DLRM's widths on the Kaggle preset, and its gradients against central differences in float64. */
import { expect, test } from "vitest";
import { grad } from "../../../../src/engine/autodiff.ts";
import { trace } from "../../../../src/engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../../../../src/engine/graph/node.ts";
import { openDevice } from "../../../../src/engine/openDevice.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { sizeOf, type Shape } from "../../../../src/base/shape.ts";
import { binaryCrossEntropyWithLogits, mean } from "../../../../src/nn/functional.ts";
import { Parameters } from "../../../../src/nn/parameters.ts";
import { EmbeddingTables } from "../../../../src/recsys/embedding/embeddingTables.ts";
import { PREDICTION, tracePrediction } from "../../../../src/recsys/models/denseModel.ts";
import { featuresOf } from "../../../../src/recsys/models/features.ts";
import { dlrm } from "../../../../src/recsys/models/dlrm.ts";

test("has the widths and the parameter count of the reference's Kaggle run", () => {
  const inputs = { dense: 13, tables: 26, dim: 16 };
  const parameters = new Parameters(1);
  tracePrediction(dlrm({ ...inputs, bottom: [512, 256, 64], top: [512, 256] }), 4, parameters);
  // The bottom MLP's 16 outputs and the products of 27 features, pair by pair.
  expect(parameters.shapeOf("top.0.weight")).toContain(367);
  const sizeOfPart = (part: string) =>
    parameters.names
      .filter((name) => name.startsWith(part))
      .reduce((n, name) => n + sizeOf(parameters.shapeOf(name)), 0);
  expect(sizeOfPart("bottom.")).toBe(155_984);
  expect(sizeOfPart("top.")).toBe(320_001);
  expect(parameters.size).toBe(475_985);
});

test("without dense columns the top MLP reads the embeddings and the products of their pairs", () => {
  const widths = { bottom: [5], top: [6] };
  const topInputs = (tables: number) => {
    const parameters = new Parameters(1);
    tracePrediction(dlrm({ dense: 0, tables, dim: 4, ...widths }), 2, parameters);
    expect(parameters.names.some((name) => name.startsWith("bottom."))).toBe(false);
    return parameters.shapeOf("top.0.weight").find((size) => size !== 6);
  };
  expect([1, 2, 3].map(topInputs)).toEqual([4, 2 * 4 + 1, 3 * 4 + 3]);
});

const SIZE = 4;
const toy = { dense: 3, tables: 3, dim: 4, bottom: [5], top: [6, 3] };
const model = dlrm(toy);
/** `bags[table][input]`: duplicates within a bag and across bags, an empty bag, rows that nobody looks up. */
const bags = [
  [[1, 1, 3], [0], [1], [4]],
  [[], [2, 0], [2], [0, 0, 0]],
  [[1], [1], [0], [1, 2]],
];
const cardinalities = [6, 4, 3];

const float64 = (...shape: number[]): TensorSpec => ({ shape, dtype: "float64" });

/** Parameters that are float64 inputs of the graph instead of float32 states, so that differences can be small. */
class InputParameters extends Parameters {
  readonly #inputs: Readonly<Record<string, Tensor>>;

  constructor(inputs: Readonly<Record<string, Tensor>>) {
    super(1);
    this.#inputs = inputs;
  }

  override get(name: string): Tensor {
    return this.#inputs[name]!;
  }
}

function random(rng: Rng, shape: Shape): Float64Array {
  // Values that float32 holds exactly, so that the tables have the very same rows.
  return Float64Array.from({ length: sizeOf(shape) }, () => Math.fround(0.6 * rng.normal()));
}

/** Sum-pooled rows `[B, T, D]` of the toy's bags. */
function pool(embeddings: readonly Float64Array[]): Float64Array {
  const rows = new Float64Array(SIZE * toy.tables * toy.dim);
  for (const [t, inputs] of bags.entries()) {
    for (const [b, bag] of inputs.entries()) {
      for (const id of bag) {
        for (let d = 0; d < toy.dim; d++) {
          rows[(b * toy.tables + t) * toy.dim + d]! += embeddings[t]![id * toy.dim + d]!;
        }
      }
    }
  }
  return rows;
}

/** What the tables take as the gradient of each row, from that of the pooled rows: one SGD step from zeros. */
async function rowGradients(
  embeddings: readonly Float64Array[],
  pooled: Float64Array,
  gradients: Float64Array,
): Promise<Float64Array[]> {
  const flat = bags.flat();
  const tables = await EmbeddingTables.create({
    cardinalities,
    dim: toy.dim,
    optimizer: { kind: "sgd" },
    seed: 1,
    stagingBuffers: 1,
    maxBatch: SIZE,
    maxLookups: flat.flat().length,
  });
  try {
    for (const [t, weights] of embeddings.entries()) {
      tables.writeRows(t, 0, { weights: Float32Array.from(weights), state: {} });
    }
    const offsets = Int32Array.from({ length: flat.length + 1 }, (_, i) => flat.slice(0, i).flat().length);
    await tables.stage(0, { size: SIZE, tables: 3, ids: Int32Array.from(flat.flat()), offsets });
    for (const [i, value] of tables.rows(0).entries()) expect(value).toBeCloseTo(pooled[i]!, 6);
    for (const [t, weights] of embeddings.entries()) {
      tables.writeRows(t, 0, { weights: new Float32Array(weights.length), state: {} });
    }
    tables.gradients(0).set(gradients);
    await tables.update(0, 1, 1);
    return cardinalities.map((rows, t) => Float64Array.from(tables.readRows(t, 0, rows).weights, (w) => -w));
  } finally {
    await tables.dispose();
  }
}

test("gives the gradients of central differences for every parameter and row", async () => {
  const declared = new Parameters(1);
  tracePrediction(model, SIZE, declared);
  const inputs: Record<string, TensorSpec> = {
    dense: float64(SIZE, toy.dense),
    rows: float64(SIZE, toy.tables, toy.dim),
    labels: float64(SIZE),
  };
  for (const name of declared.names) inputs[name] = float64(...declared.shapeOf(name));
  const wanted = ["rows", ...declared.names];
  const graph = trace(inputs, (t) => {
    const logits = model.apply(
      new InputParameters(t),
      featuresOf(model.inputs, t["dense"]!, t["rows"]!),
      PREDICTION,
    );
    const loss = mean(binaryCrossEntropyWithLogits(logits, t["labels"]!));
    const gradients = grad(
      loss,
      wanted.map((name) => t[name]!),
    );
    return {
      outputs: { loss, ...Object.fromEntries(wanted.map((name, i) => [`d ${name}`, gradients[i]!])) },
    };
  });

  const rng = new Rng(7);
  const embeddings = cardinalities.map((rows) => random(rng, [rows, toy.dim]));
  const feeds: Record<string, Float64Array> = { labels: Float64Array.of(1, 0, 0, 1) };
  for (const [name, { shape }] of Object.entries(inputs)) feeds[name] ??= random(rng, shape);
  feeds["rows"] = pool(embeddings);

  const device = await openDevice("reference");
  const program = await device.compile(graph);
  const outputs = await program.run(feeds);
  const dRows = outputs["d rows"] as Float64Array;
  const analytic: [string, Float64Array, Float64Array][] = declared.names.map((name) => [
    name,
    feeds[name]!,
    outputs[`d ${name}`] as Float64Array,
  ]);
  for (const [t, gradients] of (await rowGradients(embeddings, feeds["rows"], dRows)).entries()) {
    analytic.push([`embedding.${t}`, embeddings[t]!, gradients]);
  }

  const STEP = 1e-5;
  let worst = { error: 0, where: "" };
  let nonzero = 0;
  for (const [name, values, gradients] of analytic) {
    for (let i = 0; i < values.length; i++) {
      const loss = async (value: number) => {
        values[i] = value;
        const { loss: result } = await program.run({ ...feeds, rows: pool(embeddings) });
        return result![0]!;
      };
      const before = values[i]!;
      const numeric = ((await loss(before + STEP)) - (await loss(before - STEP))) / (2 * STEP);
      values[i] = before;
      if (numeric !== 0) nonzero++;
      // Below 1e-5 a difference quotient has too few digits to be the judge of a relative error.
      const error = Math.abs(numeric - gradients[i]!) / Math.max(Math.abs(numeric), 1e-5);
      if (!(error <= worst.error)) worst = { error, where: `${name}[${i}]: ${gradients[i]} for ${numeric}` };
    }
  }
  await device.dispose();
  expect(nonzero).toBeGreaterThan(100);
  expect(worst.error, worst.where).toBeLessThan(1e-4);
});
