/**
 * @file Exported models: ONNX Runtime runs the file at any batch size and answers what the reference target
 * computes for the same weights.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as Ort from "onnxruntime-common";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ClickSchema } from "../../../src/recsys/data/batches/clickBatch.ts";
import type { TypedArray } from "../../../src/base/dtype.ts";
import { trace, type Graph } from "../../../src/engine/graph/graph.ts";
import { add, mul } from "../../../src/engine/graph/ops/elementwise.ts";
import { full, random, state } from "../../../src/engine/graph/ops/leaf.ts";
import { reshape } from "../../../src/engine/graph/ops/movement.ts";
import { exportOnnx } from "../../../src/engine/onnx/exportModel.ts";
import { openDevice } from "../../../src/engine/openDevice.ts";
import { Rng } from "../../../src/base/rng.ts";
import { Parameters } from "../../../src/nn/parameters.ts";
import { exportCtrModel, type ClickExport } from "../../../src/recsys/export.ts";
import { tracePrediction } from "../../../src/recsys/models/denseModel.ts";
import { dlrm } from "../../../src/recsys/models/dlrm.ts";
import { tolerance } from "../../support/engine/tolerances.ts";

// ONNX Runtime checks `instanceof` against the realm it was loaded in.
const ort = createRequire(import.meta.url)("onnxruntime-node") as typeof Ort;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-export-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const dim = 4;

interface Case {
  dense: number;
  cardinalities: number[];
  bagged?: number[];
}

/** A CTR model of random weights and what is needed to export it. */
function click({ dense, cardinalities, bagged = [] }: Case, name: string) {
  const model = dlrm({ dense, tables: cardinalities.length, dim, bottom: [8], top: [6] });
  const schema: ClickSchema = {
    label: "click",
    dense: Array.from({ length: dense }, (_, i) => ({
      name: `d${i}`,
      transform: "log1p",
      mean: 0,
      deviation: 1,
    })),
    categorical: cardinalities.map((cardinality, t) => ({
      name: `c${t}`,
      encoding: "vocabulary",
      cardinality,
      multiHot: bagged.includes(t),
    })),
  };
  const rng = new Rng(11);
  const tables = cardinalities.map((rows) =>
    Float32Array.from({ length: rows * dim }, () => rng.uniform() * 2 - 1),
  );
  const parameters = new Parameters(5);
  tracePrediction(model, 2, parameters);
  const source: ClickExport = {
    model,
    schema,
    parameter: (parameter) => parameters.initialValues(parameter),
    table: (t) => ({
      rows: cardinalities[t]!,
      read: (first, count) => tables[t]!.subarray(first * dim, (first + count) * dim),
    }),
    file: join(folder, `${name}.onnx`),
  };
  return { model, parameters, tables, source };
}

/** Dense values and bags of ids for a batch. */
function batchOf({ dense, cardinalities, bagged = [] }: Case, batch: number, seed: number) {
  const rng = new Rng(seed);
  return {
    dense: Float32Array.from({ length: batch * dense }, () => rng.uniform() * 3),
    bags: Array.from({ length: batch }, () =>
      cardinalities.map((rows, t) =>
        Array.from({ length: bagged.includes(t) ? Math.floor(rng.uniform() * 4) : 1 }, () =>
          Math.floor(rng.uniform() * rows),
        ),
      ),
    ),
  };
}

/** Probabilities by the reference target, with rows pooled here. */
async function expected(given: ReturnType<typeof click>, { dense, bags }: ReturnType<typeof batchOf>) {
  const rows = bags.flatMap((tables) =>
    tables.flatMap((ids, t) =>
      Array.from({ length: dim }, (_, e) => ids.reduce((s, id) => s + given.tables[t]![id * dim + e]!, 0)),
    ),
  );
  const device = await openDevice("reference");
  const program = await device.compile(tracePrediction(given.model, bags.length, given.parameters));
  await given.parameters.create(device);
  const { logits } = await program.run({ dense, rows: Float32Array.from(rows) });
  await device.dispose();
  return Array.from(logits!, (x) => 1 / (1 + Math.exp(-x)));
}

const session = (file: string) =>
  ort.InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 3 });

function expectClose(got: Float32Array, want: readonly number[]): void {
  const { rtol, atol } = tolerance("chain", "float32");
  expect(got).toHaveLength(want.length);
  want.forEach((w, i) => expect(Math.abs(got[i]! - w)).toBeLessThanOrEqual(atol + rtol * Math.abs(w)));
}

async function answer(
  opened: Ort.InferenceSession,
  { dense, bags }: ReturnType<typeof batchOf>,
  bag?: number,
) {
  const feeds: Record<string, Ort.Tensor> = {};
  const [batch, tables] = [bags.length, bags[0]!.length];
  if (opened.inputNames.includes("dense")) {
    feeds["dense"] = new ort.Tensor("float32", dense, [batch, dense.length / batch]);
  }
  if (opened.inputNames.includes("ids")) {
    const width = bag ?? 1;
    const ids = new Int32Array(batch * tables * width).fill(-1);
    bags.flat().forEach((list, i) => ids.set(list, i * width));
    feeds["ids"] = new ort.Tensor("int32", ids, bag === undefined ? [batch, tables] : [batch, tables, bag]);
  }
  const { probability } = await opened.run(feeds);
  expect(probability!.dims).toEqual([batch]);
  return probability!.data as Float32Array;
}

const cases: [what: string, shape: Case, inputs: string[]][] = [
  ["dense columns and tables", { dense: 3, cardinalities: [10, 3, 70] }, ["dense", "ids"]],
  ["one table", { dense: 3, cardinalities: [9] }, ["dense", "ids"]],
  ["no dense column", { dense: 0, cardinalities: [10, 3, 70] }, ["ids"]],
  ["no table", { dense: 3, cardinalities: [] }, ["dense"]],
];

test.each(cases)("a DLRM of %s runs at batch sizes 1, 3 and 64", async (what, shape, inputs) => {
  const given = click(shape, what);
  await exportCtrModel(given.source);
  const opened = await session(given.source.file);
  expect(opened.inputNames).toEqual(inputs);
  expect(opened.outputNames).toEqual(["probability"]);
  for (const size of [1, 3, 64]) {
    const batch = batchOf(shape, size, size);
    expectClose(await answer(opened, batch), await expected(given, batch));
  }
  await opened.release();
});

test("bags of any length are pooled, −1 standing for none", async () => {
  const shape = { dense: 2, cardinalities: [10, 3, 70], bagged: [0, 2] };
  const given = click(shape, "bags");
  await exportCtrModel(given.source);
  const opened = await session(given.source.file);
  for (const [size, bag] of [
    [1, 3],
    [3, 7],
    [64, 4],
  ] as const) {
    const batch = batchOf(shape, size, size);
    expectClose(await answer(opened, batch, bag), await expected(given, batch));
  }
  await opened.release();
});

test("a large model keeps its weights in a file beside it, page by page, and answers the same", async () => {
  const shape = { dense: 3, cardinalities: [10, 3, 70] };
  const given = click(shape, "external");
  const seen: number[][] = [];
  const { files, sizeBytes } = await exportCtrModel({
    ...given.source,
    inlineBytes: 100,
    onProgress: (done, total) => seen.push([done, total]),
  });
  expect(files).toEqual([given.source.file, `${given.source.file}.data`]);
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  expect(sizes[0]! + sizes[1]!).toBe(sizeBytes);
  expect(seen.at(-1)![0]).toBe(seen.at(-1)![1]);
  const opened = await session(given.source.file);
  const batch = batchOf(shape, 5, 1);
  expectClose(await answer(opened, batch), await expected(given, batch));
  await opened.release();
});

test("the model carries its columns for whoever serves it", async () => {
  const given = click({ dense: 1, cardinalities: [10], bagged: [0] }, "metadata");
  await exportCtrModel(given.source);
  const text = (await readFile(given.source.file)).toString("latin1");
  const inputs = {
    dense: { dtype: "float32", axes: ["batch", "column"], columns: given.source.schema.dense },
    ids: {
      dtype: "int32",
      axes: ["batch", "column", "bag"],
      none: -1,
      columns: given.source.schema.categorical,
    },
  };
  expect(text).toContain(JSON.stringify(inputs));
});

test("weights that do not belong to the model are refused, and nothing is left behind", async () => {
  const given = click({ dense: 3, cardinalities: [10, 3] }, "wrong");
  const before = await readdir(folder);
  const refused = (change: Partial<ClickExport>) =>
    expect(exportCtrModel({ ...given.source, ...change })).rejects;
  const table = given.source.table;
  await refused({ table: (t) => ({ ...table(t), rows: 4 }) }).toMatchObject({ code: "EXPORT_SCHEMA" });
  const short = { read: () => new Float32Array(dim) };
  await refused({ table: (t) => ({ ...table(t), ...short }) }).toMatchObject({ code: "EXPORT_VALUES" });
  const long = { read: () => new Float32Array(1000) };
  await refused({ table: (t) => ({ ...table(t), ...long }) }).toMatchObject({ code: "EXPORT_VALUES" });
  await refused({ parameter: () => new Int32Array(1) }).toMatchObject({ code: "DTYPE_HOST_ARRAY" });
  await refused({ schema: { ...given.source.schema, dense: [] } }).toMatchObject({ code: "EXPORT_SCHEMA" });
  expect(await readdir(folder)).toEqual(before);
});

test.skipIf(!existsSync("/dev/full"))("a full disk is said, and an earlier model stays", async () => {
  const given = click({ dense: 3, cardinalities: [10, 3] }, "full");
  await exportCtrModel(given.source);
  const before = await readFile(given.source.file);
  await symlink("/dev/full", `${given.source.file}.partial`);
  await expect(exportCtrModel(given.source)).rejects.toMatchObject({ code: "FILE_DISK_FULL" });
  expect(await readFile(given.source.file)).toEqual(before);
});

const x = (length: number) => ({ x: { shape: [length, 2], dtype: "float32" as const } });
const refusals: [what: string, code: string, model: (length: number) => Graph, options?: object][] = [
  [
    "a reshape to a length taken from the batch",
    "EXPORT_FIXED_AXIS",
    (n) => trace(x(n), (t) => ({ outputs: { y: reshape(t.x, [2, n]) } })),
  ],
  [
    "a constant as long as the batch",
    "EXPORT_FIXED_AXIS",
    (n) => trace(x(n), (t) => ({ outputs: { y: mul(t.x, full([n, 1], 2)) } })),
  ],
  [
    "an update",
    "EXPORT_UPDATES",
    (n) =>
      trace(x(n), (t) => {
        const w = state("w", [2]);
        return { outputs: { y: add(t.x, w) }, updates: [[w, add(w, 1)]] };
      }),
  ],
  [
    "random numbers",
    "EXPORT_RANDOM",
    (n) =>
      trace({ ...x(n), key: { shape: [4], dtype: "int32" } }, (t) => ({
        outputs: { y: add(t.x, random(t.key, [2])) },
      })),
  ],
  [
    "a state without elements",
    "EXPORT_VALUES",
    (n) => trace(x(n), (t) => ({ outputs: { y: add(t.x, state("missing", [2])) } })),
  ],
];

test.each(refusals)("a graph with %s is refused", async (_, code, model) => {
  const values = new Map([["w", (): TypedArray[] => [Float32Array.of(1, 2)]]]);
  const file = join(folder, "refused.onnx");
  await expect(exportOnnx(model, values, file, { freeAxis: "batch" })).rejects.toMatchObject({ code });
  expect(existsSync(file)).toBe(false);
});
