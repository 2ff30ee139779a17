/** @file Exported models that keep weights as 16-bit floats: ONNX Runtime answers what the reference target computes. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as Ort from "onnxruntime-common";
import { expect, test } from "vitest";
import { trace, type Graph } from "../../../src/engine/graph/graph.ts";
import { matmul } from "../../../src/engine/graph/ops/contraction.ts";
import { add, cast } from "../../../src/engine/graph/ops/elementwise.ts";
import { full, state } from "../../../src/engine/graph/ops/leaf.ts";
import { exportOnnx } from "../../../src/engine/onnx/exportModel.ts";
import { openDevice } from "../../../src/engine/openDevice.ts";
import { Rng } from "../../../src/base/rng.ts";
import { randomTensor } from "../../support/engine/hostTensor.ts";
import { runGraph } from "../../support/engine/runGraph.ts";
import { tolerance } from "../../support/engine/tolerances.ts";
import "../../support/engine/toBeAllclose.ts";

// ONNX Runtime checks `instanceof` against the realm it was loaded in.
const ort = createRequire(import.meta.url)("onnxruntime-node") as typeof Ort;

test.each(["float16", "bfloat16"] as const)("weights, constants and products of %s", async (dtype) => {
  const rng = new Rng(3);
  const weights = randomTensor(rng, [6, 4], dtype, { low: -1, high: 1 });
  const x = randomTensor(rng, [5, 6], "float32", { low: -1, high: 1 });
  const graphOf = (batch: number): Graph =>
    trace({ x: { shape: [batch, 6], dtype: "float32" } }, ({ x }) => {
      const product = matmul(cast(x, dtype), state("w", [6, 4], dtype), { outDtype: "float32" });
      return { outputs: { y: add(product, cast(full([4], 0.1, dtype), "float32")) } };
    });
  const folder = await mkdtemp(join(tmpdir(), "pareto-half-export-"));
  const file = join(folder, "model.onnx");
  await exportOnnx(graphOf, new Map([["w", () => [weights.data]]]), file, { freeAxis: "batch" });
  const session = await ort.InferenceSession.create(new Uint8Array(await readFile(file)));
  const { y } = await session.run({ x: new ort.Tensor("float32", x.data as Float32Array, [5, 6]) });
  await session.release();
  await rm(folder, { recursive: true });

  const device = await openDevice("reference");
  await device.createState("w", { shape: [6, 4], dtype }, weights.data);
  const want = (await runGraph(device, graphOf(5), { x })).y!;
  await device.dispose();
  expect({ ...want, data: y!.data as Float32Array }).toBeAllclose(want, tolerance("accumulation", "float32"));
});
