/** @file Graphs of few rows by kernels and loops, against the reference target. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Graph, trace } from "../../../../src/engine/graph/graph.ts";
import type { Tensor } from "../../../../src/engine/graph/node.ts";
import { rmsNorm } from "../../../../src/engine/graph/ops/composite/rmsNorm.ts";
import { matmul } from "../../../../src/engine/graph/ops/contraction.ts";
import {
  add,
  erf,
  exp,
  maximum,
  minimum,
  mul,
  sigmoid,
  tanh,
} from "../../../../src/engine/graph/ops/elementwise.ts";
import { gather } from "../../../../src/engine/graph/ops/indexing.ts";
import { state } from "../../../../src/engine/graph/ops/leaf.ts";
import { reshape, slice } from "../../../../src/engine/graph/ops/movement.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { sizeOf } from "../../../../src/base/shape.ts";
import { ReferenceDevice } from "../../../../src/engine/targets/reference/device.ts";
import { ThreadPool } from "../../../../src/engine/targets/cpu/index.ts";
import { RowProgram } from "../../../../src/llm/cpu/rowProgram.ts";
import { MOST_ROWS, SharedWeights } from "../../../../src/llm/cpu/sharedWeights.ts";
import { layerNorm } from "../../../../src/nn/functional.ts";

const shapes: Readonly<Record<string, number[]>> = {
  table: [11, 37],
  matrix: [1003, 37],
  back: [37, 1003],
  large: [2048, 515],
  bias: [37],
  weight: [37],
  small: [6],
};
const weight = (name: string) => state(name, shapes[name]!);

let pool: ThreadPool;
let weights: SharedWeights;
let reference: ReferenceDevice;
beforeAll(async () => {
  pool = await ThreadPool.create(3);
  const states = Object.entries(shapes).map(
    ([name, shape]) => [name, { shape, from: [name], isTurned: false }] as const,
  );
  weights = SharedWeights.create(new Map(states), pool)!;
  reference = new ReferenceDevice();
  const rng = new Rng(4);
  for (const [name, shape] of Object.entries(shapes)) {
    const values = weights.get(name);
    for (let i = 0; i < values.length; i++) values[i] = rng.normal() / 4;
    await reference.createState(name, { shape, dtype: "float32" }, values.slice());
  }
});
afterAll(async () => {
  weights.dispose();
  await pool.dispose();
});

const cases: [name: string, width: number, of: (x: Tensor) => Tensor][] = [
  ["a product of odd sizes", 37, (x) => matmul(x, weight("matrix"), { transposeB: true })],
  ["a product of many tasks", 515, (x) => matmul(x, weight("large"), { transposeB: true })],
  [
    "two products, one after the other",
    37,
    (x) => matmul(matmul(x, weight("matrix"), { transposeB: true }), weight("back"), { transposeB: true }),
  ],
  ["a bias", 37, (x) => add(x, weight("bias"))],
  ["a bias first", 37, (x) => add(weight("bias"), x)],
  ["numbers", 37, (x) => mul(add(x, 0.5), 3)],
  ["limits", 37, (x) => maximum(minimum(x, 0.25), -0.125)],
  ["sigmoid, tanh and erf", 37, (x) => add(mul(sigmoid(x), tanh(x)), erf(x))],
  ["RMS norm", 37, (x) => rmsNorm(x, weight("weight"), 1e-5)],
  ["layer norm", 37, (x) => layerNorm(x, weight("weight"), weight("bias"), 1e-5)],
  ["norms of parts", 30, (x) => reshape(rmsNorm(reshape(x, [-1, 5, 6]), weight("small"), 0.1), x.shape)],
  ["columns", 37, (x) => slice(x, { 1: [5, 20] })],
];

function graphOf(rows: number, width: number, of: (x: Tensor) => Tensor): Graph {
  return trace({ x: { shape: [rows, width], dtype: "float32" } } as const, ({ x }) => ({
    outputs: { y: of(x) },
  }));
}

function run(graph: Graph, feeds: Record<string, Float32Array | Int32Array>): Float32Array {
  const y = new Float32Array(sizeOf(graph.outputs["y"]!.shape));
  RowProgram.compile(graph, weights)!.run(feeds, { y });
  return y;
}

describe.each(cases)("%s", (_name, width, of) => {
  const rows = 5;
  const rng = new Rng(6);
  const x = Float32Array.from({ length: rows * width }, () => rng.normal());

  test("is the reference's", async () => {
    const graph = graphOf(rows, width, of);
    const wanted = (await (await reference.compile(graph)).run({ x }))["y"] as Float32Array;
    const got = run(graph, { x });
    expect(got).toHaveLength(wanted.length);
    for (const [i, y] of wanted.entries()) expect(Math.abs(got[i]! - y)).toBeLessThan(2e-5);
  });

  test("gives each row the same bits alone", () => {
    const all = run(graphOf(rows, width, of), { x });
    for (let row = 0; row < rows; row++) {
      const alone = run(graphOf(1, width, of), { x: x.slice(row * width, (row + 1) * width) });
      expect(alone).toEqual(all.slice(row * alone.length, (row + 1) * alone.length));
    }
  });
});

test("rows of a table are gathered", () => {
  const graph = trace({ ids: { shape: [MOST_ROWS], dtype: "int32" } } as const, ({ ids }) => ({
    outputs: { y: gather(weight("table"), ids) },
  }));
  const ids = Int32Array.of(3, 0, 10, 3, 7, 1, 2, 9);
  const wanted = Array.from(ids).flatMap((id) =>
    Array.from(weights.get("table").subarray(id * 37, (id + 1) * 37)),
  );
  expect(Array.from(run(graph, { ids }))).toEqual(wanted);
});

test("an op that is not known is left to others", () => {
  expect(RowProgram.compile(graphOf(1, 37, exp), weights)).toBeNull();
  expect(
    RowProgram.compile(
      graphOf(1, 11, (x) => matmul(x, weight("table"))),
      weights,
    ),
  ).toBeNull();
});

test("weights that do not fit one memory are not shared", () => {
  const states = new Map([["w", { shape: [2 ** 16, 2 ** 15], from: ["w"], isTurned: false }]]);
  expect(SharedWeights.create(states, pool)).toBeNull();
});
