/** @file Composites: what they decompose into, where, and gradients of operands that depend on each other. */
import { describe, expect, test } from "vitest";
import { grad } from "../../../../../src/engine/autodiff.ts";
import { trace, type Graph } from "../../../../../src/engine/graph/graph.ts";
import type { Tensor } from "../../../../../src/engine/graph/node.ts";
import { crossEntropy } from "../../../../../src/engine/graph/ops/composite/crossEntropy.ts";
import { layerNorm } from "../../../../../src/engine/graph/ops/composite/layerNorm.ts";
import { lstmCell } from "../../../../../src/engine/graph/ops/composite/lstmCell.ts";
import { softmaxGradient } from "../../../../../src/engine/graph/ops/composite/softmaxGradient.ts";
import { mul, neg, sub, tanh } from "../../../../../src/engine/graph/ops/elementwise.ts";
import { constant } from "../../../../../src/engine/graph/ops/leaf.ts";
import { sum } from "../../../../../src/engine/graph/ops/movement.ts";
import { scan } from "../../../../../src/engine/graph/ops/scan.ts";
import { openDevice } from "../../../../../src/engine/openDevice.ts";
import { decomposeComposites } from "../../../../../src/engine/passes/decomposeComposites.ts";
import { simplify } from "../../../../../src/engine/passes/simplify.ts";
import { Rng } from "../../../../../src/base/rng.ts";
import { allNodes, opCounts } from "../../../../support/engine/allNodes.ts";
import { randomTensor } from "../../../../support/engine/hostTensor.ts";
import { runGraph, type Outputs } from "../../../../support/engine/runGraph.ts";
import { tolerance } from "../../../../support/engine/tolerances.ts";
import "../../../../support/engine/toBeAllclose.ts";

const f64 = (...shape: number[]) => ({ shape, dtype: "float64" }) as const;

const composites = (graph: Graph) => allNodes(graph).filter((node) => node.definition.decompose);

async function run(graph: Graph): Promise<Outputs> {
  const device = await openDevice("reference");
  const feeds = Object.fromEntries(
    Object.entries(graph.inputs).map(([name, { shape, dtype }], i) => [
      name,
      randomTensor(new Rng(i + 1), shape, dtype, { low: -2, high: 2 }),
    ]),
  );
  const outputs = await runGraph(device, graph, feeds);
  await device.dispose();
  return outputs;
}

/** A loop of LSTM cells, its loss and the gradients through it. */
const loop = trace({ x: f64(5, 2, 12), h: f64(2, 3), c: f64(2, 3) }, ({ x, h, c }) => {
  const { carries, outputs } = scan(
    ([hNow, cNow], [slice]) => {
      const [hNext, cNext] = lstmCell(slice!, mul(cNow!, hNow!));
      return { carries: [hNext, cNext], outputs: [hNext] };
    },
    { init: [h!, c!], xs: [x!] },
  );
  const loss = sum(mul(outputs[0]!, carries[1]!));
  const [dx, dc] = grad(loss, [x!, c!]);
  return { outputs: { loss, dx: dx!, dc: dc! } };
});

describe("decomposeComposites", () => {
  test("leaves primitives only, in the bodies of loops and of their gradients too", () => {
    const counts = opCounts(loop);
    expect(counts.lstmCell).toBeGreaterThan(0);
    expect(counts.lstmCellGradient).toBe(1);
    expect(composites(decomposeComposites(loop))).toEqual([]);
  });

  test("a loop and its gradient share the forward work once it is decomposed and simplified", () => {
    const counts = opCounts(simplify(decomposeComposites(loop)));
    expect(counts.scan).toBe(2);
    // σ of three gates, once in each of the two bodies.
    expect(counts.sigmoid).toBe(6);
  });

  test("a graph of primitives stays itself", () => {
    const plain = trace({ x: f64(2, 3) }, ({ x }) => ({ outputs: { y: tanh(x!) } }));
    expect(decomposeComposites(plain)).toBe(plain);
  });

  test("composites of constants stay whole until they are decomposed", async () => {
    const graph = trace({}, () => {
      const x = constant(Float64Array.of(1, 2, 4, 3), [2, 2], "float64");
      const one = constant(Float64Array.of(1, 1), [2], "float64");
      return { outputs: { y: layerNorm(x, one, one) } };
    });
    const simple = simplify(graph);
    expect(opCounts(simple).layerNorm).toBe(1);
    expect(opCounts(simplify(decomposeComposites(simple)))).toEqual({ constant: 1 });
    const { y } = await run(simple);
    expect(Array.from(y!.data, (v) => Math.round(v * 1e3) / 1e3)).toEqual([0, 2, 2, 0]);
  });
});

describe("gradients of composites", () => {
  test("operands that depend on each other are differentiated apart", async () => {
    const byPrimitives = (y: Tensor, g: Tensor) => mul(y, sub(g, sum(mul(g, y), -1, true)));
    const gradientOf = (f: typeof byPrimitives) =>
      trace({ x: f64(3, 4) }, ({ x }) => {
        const y = tanh(x!);
        // The second operand is made of the first.
        const [dx] = grad(sum(mul(f(y, mul(y, x!)), x!)), [x!]);
        return { outputs: { dx: dx! } };
      });
    const { dx } = await run(gradientOf(softmaxGradient));
    const want = await run(gradientOf(byPrimitives));
    expect(dx).toBeAllclose(want.dx!, tolerance("chain", "float64"));
  });

  test("one operand given twice receives both shares", async () => {
    const gradientOf = (bias: (w: Tensor) => Tensor) =>
      trace({ x: f64(3, 4), w: f64(4) }, ({ x, w }) => {
        const [dw] = grad(sum(mul(layerNorm(x!, w!, bias(w!)), x!)), [w!]);
        return { outputs: { dw: dw! } };
      });
    const { dw } = await run(gradientOf((w) => w));
    const want = await run(gradientOf((w) => neg(neg(w))));
    expect(dw).toBeAllclose(want.dw!, tolerance("chain", "float64"));
  });

  test("a target that is no class gives no loss and no gradient", async () => {
    const graph = trace({ x: f64(2, 3) }, ({ x }) => {
      const targets = constant(Int32Array.of(-1, 3), [2], "int32");
      const loss = crossEntropy(x!, targets);
      return { outputs: { loss, dx: grad(sum(loss), [x!])[0]! } };
    });
    const { loss, dx } = await run(graph);
    expect([...loss!.data, ...dx!.data].every((v) => v === 0)).toBe(true);
  });
});
