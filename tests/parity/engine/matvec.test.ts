/** @file Products of few rows with a matrix and what they take with them, against the reference. Skipped without a GPU. */
import { describe, expect, test } from "vitest";
import type { DType, TypedArray } from "../../../src/base/dtype.ts";
import { trace } from "../../../src/engine/graph/graph.ts";
import type { Tensor } from "../../../src/engine/graph/node.ts";
import { matmul } from "../../../src/engine/graph/ops/contraction.ts";
import { add, mul, relu, sigmoid } from "../../../src/engine/graph/ops/elementwise.ts";
import { slice } from "../../../src/engine/graph/ops/movement.ts";
import { encodeHalf, numbersOf } from "../../../src/base/half.ts";
import { openDevice } from "../../../src/engine/openDevice.ts";
import { Rng } from "../../../src/base/rng.ts";
import { gelu } from "../../../src/nn/functional.ts";
import type { CudaDevice } from "../../../src/engine/targets/cuda/index.ts";
import { tryOpenDevice } from "../../support/engine/devices.ts";

type Layer = (t: { x: Tensor; w: Tensor; bias: Tensor; residual: Tensor }) => Tensor;

const product: Layer = ({ x, w }) => matmul(x, w, { transposeB: true });

const layers: Record<string, Layer> = {
  plain: product,
  "bias and residual": (t) => add(add(product(t), t.bias), t.residual),
  relu: (t) => relu(product(t)),
  "GELU by tanh, with a bias": (t) => gelu(add(product(t), t.bias), { approximate: "tanh" }),
  "GELU and a residual": (t) => add(gelu(product(t)), t.residual),
};

/** silu(first half) · second half */
const gated: Layer = (t) => {
  const all = add(product(t), t.bias);
  const width = all.shape[1]! / 2;
  const [gate, up] = [slice(all, { 1: [0, width] }), slice(all, { 1: [width, 2 * width] })];
  return add(mul(mul(gate, sigmoid(gate)), up), slice(t.residual, { 1: [0, width] }));
};

const tolerances: Partial<Record<DType, number>> = { float32: 2e-5, float16: 4e-3, bfloat16: 3e-2 };

const opened = await tryOpenDevice("cuda");
if ("missing" in opened) {
  test.skip(`skipped: ${opened.missing}`);
} else {
  const device = opened as CudaDevice;

  /** The layer on the GPU and in float32 on the reference, from the same rounded operands. */
  async function compare(layer: Layer, dtype: DType, rows: number, k: number, outputs: number) {
    const rng = new Rng(rows * k + outputs);
    const shapes = { x: [rows, k], w: [outputs, k], bias: [outputs], residual: [rows, outputs] };
    const feeds: Record<string, TypedArray> = {};
    for (const [name, shape] of Object.entries(shapes)) {
      const size = shape.reduce((a, b) => a * b);
      const values = Float32Array.from(
        { length: size },
        () => rng.normal() / (name === "w" ? Math.sqrt(k) : 1),
      );
      feeds[name] = dtype === "float32" ? values : encodeHalf(dtype as "bfloat16", values);
    }
    const graphOf = (type: DType) =>
      trace(
        Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: type }])),
        (t) => ({ outputs: { y: layer(t as never) } }),
      );
    const program = await device.compile(graphOf(dtype));
    const { y } = await program.run(feeds);
    const { steps } = program.plan;
    await program.dispose();
    const reference = await openDevice("reference");
    const wide = Object.fromEntries(
      Object.entries(feeds).map(([name, values]) => [name, numbersOf(values, dtype)]),
    );
    const want = (await (await reference.compile(graphOf("float32"))).run(wide))["y"] as Float32Array;
    await reference.dispose();
    return { got: numbersOf(y!, dtype) as Float32Array, want, steps };
  }

  describe.each(["float32", "float16", "bfloat16"] as const)("products of few rows in %s", (dtype) => {
    const check = async (layer: Layer, rows: number, k: number, outputs: number) => {
      const { got, want, steps } = await compare(layer, dtype, rows, k, outputs);
      expect(steps.filter((step) => step.kind === "kernel" && step.label.startsWith("matvec"))).toHaveLength(
        1,
      );
      let worst = 0;
      for (const [i, value] of want.entries())
        worst = Math.max(worst, Math.abs(value - got[i]!) / Math.max(1, Math.abs(value)));
      expect(worst).toBeLessThan(tolerances[dtype]!);
      return steps;
    };

    test.each(Object.entries(layers))("%s", async (_, layer) => {
      expect(await check(layer, 3, 72, 37)).toHaveLength(1);
    });

    test("SiLU gates", async () => {
      expect(await check(gated, 2, 64, 2 * 21)).not.toHaveLength(0);
    });

    test.each([
      [1, 4096, 16],
      [8, 264, 50],
      [9, 1024, 24],
      [16, 40, 8],
    ])("%i rows of %i and %i outputs", async (rows, k, outputs) => {
      await check(product, rows, k, outputs);
    });
  });

  test("a row gives the same bits alone and among others", async () => {
    const rng = new Rng(3);
    const [k, outputs] = [520, 33];
    const x = encodeHalf(
      "bfloat16",
      Float32Array.from({ length: 9 * k }, () => rng.normal()),
    );
    const w = encodeHalf(
      "bfloat16",
      Float32Array.from({ length: outputs * k }, () => rng.normal()),
    );
    const run = async (rows: number, from: number) => {
      const spec = (...shape: number[]) => ({ shape, dtype: "bfloat16" as const });
      const program = await device.compile(
        trace({ x: spec(rows, k), w: spec(outputs, k) }, (t) => ({
          outputs: { y: matmul(t.x, t.w, { transposeB: true, outDtype: "float32" }) },
        })),
      );
      const { y } = await program.run({ x: x.slice(from * k, (from + rows) * k), w });
      await program.dispose();
      return y as Float32Array;
    };
    const all = await run(9, 0);
    for (const row of [0, 7, 8]) {
      expect(await run(1, row)).toEqual(all.slice(row * outputs, (row + 1) * outputs));
    }
  });
}
