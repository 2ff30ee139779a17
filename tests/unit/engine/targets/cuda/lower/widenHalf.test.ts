/** @file 16-bit operands of kernels over float32: converted in the graph, in loops too, with the values they had. */
import { describe, expect, test } from "vitest";
import { isHalf } from "../../../../../../src/base/dtype.ts";
import { grad } from "../../../../../../src/engine/autodiff.ts";
import { trace, type Graph } from "../../../../../../src/engine/graph/graph.ts";
import { crossEntropy } from "../../../../../../src/engine/graph/ops/composite/crossEntropy.ts";
import { layerNorm } from "../../../../../../src/engine/graph/ops/composite/layerNorm.ts";
import { add, mul } from "../../../../../../src/engine/graph/ops/elementwise.ts";
import { matmul } from "../../../../../../src/engine/graph/ops/contraction.ts";
import { sum } from "../../../../../../src/engine/graph/ops/movement.ts";
import { argmax, softmax } from "../../../../../../src/engine/graph/ops/reduce.ts";
import { scan } from "../../../../../../src/engine/graph/ops/scan.ts";
import { openDevice } from "../../../../../../src/engine/openDevice.ts";
import { Rng } from "../../../../../../src/base/rng.ts";
import { widenHalf } from "../../../../../../src/engine/targets/cuda/lower/widenHalf.ts";
import { allNodes } from "../../../../../support/engine/allNodes.ts";
import { randomTensor, type HostTensor } from "../../../../../support/engine/hostTensor.ts";
import { runGraph } from "../../../../../support/engine/runGraph.ts";
import { tolerance } from "../../../../../support/engine/tolerances.ts";
import "../../../../../support/engine/toBeAllclose.ts";

describe.each(["float16", "bfloat16"] as const)("%s", (dtype) => {
  const rng = new Rng(1);
  const wide = { low: -2, high: 2 };
  const feeds: Record<string, HostTensor> = {
    x: randomTensor(rng, [4, 5], dtype, wide),
    w: randomTensor(rng, [5], dtype, wide),
    classes: randomTensor(rng, [4], "int32", { low: 0, high: 5 }),
  };
  const graph: Graph = trace(feeds, ({ x, w, classes }) => {
    const normal = layerNorm(x!, w!, w!);
    const loss = sum(crossEntropy(mul(normal, 2), classes!));
    const { outputs } = scan(
      ([now], [row]) => ({ carries: [softmax(add(now!, row!))], outputs: [argmax(row!)] }),
      { init: [w!], xs: [x!] },
    );
    const [gradient] = grad(loss, [x!]);
    const product = matmul(x!, x!, { transposeB: true });
    return { outputs: { normal, loss, places: outputs[0]!, gradient: gradient!, product } };
  });

  test("operands of kernels over float32 are converted, those of others stay", () => {
    const ops = allNodes(widenHalf(graph)).filter((node) => node.inputs.some((t) => isHalf(t.dtype)));
    const left = new Set(ops.map((node) => node.op));
    expect(allNodes(graph).some((node) => node.op === "argmax")).toBe(true);
    expect(left.has("argmax")).toBe(false);
    for (const op of ["layerNorm", "softmax", "crossEntropyGradient", "matmul"] as const) {
      expect(left.has(op), op).toBe(true);
    }
  });

  test("values stay", async () => {
    const device = await openDevice("reference");
    const want = await runGraph(device, graph, feeds);
    const got = await runGraph(device, widenHalf(graph), feeds);
    for (const [name, tensor] of Object.entries(want)) {
      expect(got[name], name).toBeAllclose(tensor, tolerance("accumulation", tensor.dtype));
    }
    await device.dispose();
  });

  test("a graph of float32 stays itself", () => {
    const plain = trace({ x: { shape: [2, 3], dtype: "float32" } }, ({ x }) => ({
      outputs: { y: softmax(x) },
    }));
    expect(widenHalf(plain)).toBe(plain);
  });
});
