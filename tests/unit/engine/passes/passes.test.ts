/** @file What each pass does, by node counts, and that none changes a value. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { grad } from "../../../../src/engine/autodiff.ts";
import { trace, type Graph } from "../../../../src/engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../../../../src/engine/graph/node.ts";
import { conv1d, matmul } from "../../../../src/engine/graph/ops/contraction.ts";
import {
  add,
  div,
  exp,
  log,
  mul,
  neg,
  pow,
  sub,
  tanh,
} from "../../../../src/engine/graph/ops/elementwise.ts";
import { constant, full, random, state } from "../../../../src/engine/graph/ops/leaf.ts";
import {
  broadcastTo,
  concat,
  flip,
  pad,
  reshape,
  sum,
  transpose,
} from "../../../../src/engine/graph/ops/movement.ts";
import { scan } from "../../../../src/engine/graph/ops/scan.ts";
import { openDevice } from "../../../../src/engine/openDevice.ts";
import { algebra } from "../../../../src/engine/passes/algebra.ts";
import { batchedSums } from "../../../../src/engine/passes/batchedSums.ts";
import { cse } from "../../../../src/engine/passes/cse.ts";
import { foldConstants } from "../../../../src/engine/passes/foldConstants.ts";
import { foldEmpty } from "../../../../src/engine/passes/foldEmpty.ts";
import { mergeScans } from "../../../../src/engine/passes/mergeScans.ts";
import { pruneScans } from "../../../../src/engine/passes/pruneScans.ts";
import { simplify } from "../../../../src/engine/passes/simplify.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { allNodes, opCounts } from "../../../support/engine/allNodes.ts";
import { randomTensor } from "../../../support/engine/hostTensor.ts";
import { runGraph } from "../../../support/engine/runGraph.ts";
import { tolerance } from "../../../support/engine/tolerances.ts";
import "../../../support/engine/toBeAllclose.ts";
import { randomGraph } from "./randomGraph.ts";

const f64 = (...shape: number[]): TensorSpec => ({ shape, dtype: "float64" });

/** A graph of one output. */
function graphOf<Names extends string>(
  inputs: Record<Names, TensorSpec>,
  build: (tensors: Record<Names, Tensor>) => Tensor | Tensor[],
): Graph {
  return trace(inputs, (tensors) => {
    const made = build(tensors);
    const list = Array.isArray(made) ? made : [made];
    return { outputs: Object.fromEntries(list.map((t, i) => [`y${i}`, t])) };
  });
}

async function expectSameValues(before: Graph, after: Graph): Promise<void> {
  const feeds = Object.fromEntries(
    Object.entries(before.inputs).map(([name, { shape, dtype }], i) => [
      name,
      randomTensor(new Rng(i + 1), shape, dtype, { low: -1.5, high: 1.5 }),
    ]),
  );
  const device = await openDevice("reference");
  const want = await runGraph(device, before, feeds);
  const got = await runGraph(device, after, feeds);
  for (const [name, tensor] of Object.entries(want)) {
    expect(got[name], name).toBeAllclose(tensor, tolerance("chain", tensor.dtype));
  }
}

/** Applies a pass and returns the op counts after it, having compared values. */
async function after(pass: (graph: Graph) => Graph, graph: Graph) {
  const made = pass(graph);
  await expectSameValues(graph, made);
  return opCounts(made);
}

const evaluated: string[] = [];
const fold = (graph: Graph) =>
  foldConstants(graph, (node, inputs) => {
    evaluated.push(node.op);
    return [Float64Array.from(inputs[0]!, (x, i) => x + (inputs[1]?.[i] ?? 0))];
  });

/** h ← tanh(h·w + x) with the loss Σ h over all steps. */
function recurrence({ x, w }: Record<"x" | "w", Tensor>): { last: Tensor; all: Tensor; loss: Tensor } {
  const { carries, outputs } = scan(
    ([h], [slice]) => {
      const next = tanh(add(matmul(h!, w), slice!));
      return { carries: [next], outputs: [next] };
    },
    { init: [full([2, 3], 0, "float64")], xs: [x] },
  );
  return { last: carries[0]!, all: outputs[0]!, loss: sum(outputs[0]!) };
}

function randomKey(): Tensor {
  return constant(Int32Array.of(1, 2, 3, 4), [4], "int32");
}

/** Nodes that compute something, rather than hold or point at it. */
function computingNodes(graph: Graph): number {
  const holding = new Set(["input", "constant", "broadcastTo", "reshape"]);
  return allNodes(graph).filter(({ op }) => !holding.has(op)).length;
}

describe("mergeScans", () => {
  test("lets a loop and the extended copy that its gradient reads be one", async () => {
    const graph = graphOf({ x: f64(4, 2, 3), w: f64(3, 3) }, (t) => {
      const { all, loss } = recurrence(t);
      return [all, loss, ...grad(loss, [t.x, t.w])];
    });
    expect(opCounts(graph).scan).toBe(3);
    expect((await after(mergeScans, graph)).scan).toBe(2);
  });

  test("does so for second gradients and for loops in loops, through simplify", async () => {
    const twice = graphOf({ x: f64(4, 2, 3), w: f64(3, 3) }, (t) => {
      const [g] = grad(recurrence(t).loss, [t.w]);
      return grad(sum(mul(g!, g!)), [t.w]);
    });
    const counts = await after(simplify, twice);
    expect(counts.scan).toBeLessThan(opCounts(twice).scan!);
  });

  test("keeps loops over different inputs or of different direction apart", async () => {
    const graph = graphOf({ x: f64(4, 2, 3), z: f64(4, 2, 3), w: f64(3, 3) }, ({ x, z, w }) => [
      recurrence({ x, w }).last,
      recurrence({ x: z, w }).last,
    ]);
    expect((await after(simplify, graph)).scan).toBe(2);
  });
});

describe("pruneScans", () => {
  test("drops outputs that nobody reads and stores each tensor once", async () => {
    const graph = graphOf({ x: f64(5, 3) }, ({ x }) => {
      const { carries, outputs } = scan(
        ([total], [slice]) => {
          const next = add(total!, slice!);
          return { carries: [next], outputs: [next, exp(next), next] };
        },
        { init: [full([3], 0, "float64")], xs: [x] },
      );
      return [carries[0]!, outputs[0]!, outputs[2]!];
    });
    const pruned = pruneScans(graph);
    await expectSameValues(graph, pruned);
    expect(opCounts(graph).exp).toBe(1);
    expect(opCounts(pruned).exp).toBeUndefined();
    expect(allNodes(pruned).find((node) => node.op === "scan")!.outputs).toHaveLength(2);
  });
});

describe("foldEmpty", () => {
  test("makes sums and products over nothing constants", async () => {
    const graph = graphOf({ x: f64(0, 3), y: f64(3, 0) }, ({ x, y }) => [
      sum(x, 0),
      matmul(y, x),
      tanh(x),
      pad(x, [1, 0], [1, 0], 7),
      concat([x, full([1, 3], 2, "float64")], 0),
    ]);
    const counts = await after(foldEmpty, graph);
    expect(Object.keys(counts).sort()).toEqual(["broadcastTo", "constant", "reshape"]);
  });

  test("makes a loop of no steps its beginning", async () => {
    const graph = graphOf({ x: f64(0, 2, 3), w: f64(3, 3) }, (t) => {
      const { last, all } = recurrence(t);
      return [last, all];
    });
    expect(await after(foldEmpty, graph)).toEqual({ constant: 2 });
  });

  test("and its gradients zero", async () => {
    const graph = graphOf({ x: f64(0, 3, 7), w: f64(2, 3, 3) }, ({ x, w }) => {
      const y = conv1d(x, w);
      return grad(sum(y), [x, w]);
    });
    expect(Object.keys(await after(simplify, graph)).sort()).toEqual(["broadcastTo", "constant"]);
  });
});

describe("foldConstants", () => {
  const numbers = constant(Float64Array.of(1, 2), [2], "float64");

  test("computes what depends on constants only", async () => {
    const graph = graphOf({ x: f64(2) }, ({ x }) => mul(x, add(numbers, numbers)));
    evaluated.length = 0;
    expect(await after(fold, graph)).toEqual({ input: 1, constant: 1, mul: 1 });
    expect(evaluated).toEqual(["add"]);
  });

  test("leaves broadcasts and big results to the program", async () => {
    const graph = graphOf({}, () => [
      broadcastTo(full([], 1, "float64"), [300]),
      pad(numbers, [0], [2000]),
      add(full([70_000], 1, "float64"), 1),
    ]);
    evaluated.length = 0;
    expect(fold(graph)).toBe(graph);
    expect(evaluated).toEqual([]);
  });

  test("works inside loops", async () => {
    const graph = graphOf({ x: f64(4, 2) }, ({ x }) => {
      const step = ([h]: Tensor[], [slice]: Tensor[]) => ({
        carries: [add(add(h!, slice!), mul(numbers, numbers))],
      });
      return scan(step, { init: [numbers], xs: [x] }).carries[0]!;
    });
    expect((await after(simplify, graph)).mul).toBeUndefined();
  });
});

describe("algebra", () => {
  const x = { x: f64(2, 3) };
  test.each<[string, Record<string, number>, (t: { x: Tensor }) => Tensor]>([
    ["x + 0", { input: 1 }, ({ x }) => add(x, 0)],
    ["0 + x", { input: 1 }, ({ x }) => add(full([2, 3], 0, "float64"), x)],
    ["x − 0", { input: 1 }, ({ x }) => sub(x, 0)],
    ["x · 1", { input: 1 }, ({ x }) => mul(x, 1)],
    ["x · 1, stretched", { input: 1, broadcastTo: 1 }, ({ x }) => mul(x, full([4, 2, 3], 1, "float64"))],
    ["x / 1", { input: 1 }, ({ x }) => div(x, 1)],
    ["x¹", { input: 1 }, ({ x }) => pow(x, 1)],
    ["x²", { input: 1, mul: 1 }, ({ x }) => pow(x, 2)],
    ["−(−x)", { input: 1 }, ({ x }) => neg(neg(x))],
    ["x · 0 stays, for NaN", { input: 1, mul: 1, constant: 1 }, ({ x }) => mul(x, 0)],
    ["0 − x stays", { input: 1, sub: 1, constant: 1 }, ({ x }) => sub(full([], 0, "float64"), x)],
    ["reshape of reshape", { input: 1, reshape: 1 }, ({ x }) => reshape(reshape(x, [6]), [3, 2])],
    ["reshape back", { input: 1 }, ({ x }) => reshape(reshape(x, [6]), [2, 3])],
    ["transpose of transpose", { input: 1 }, ({ x }) => transpose(transpose(x))],
    [
      "transpose of transpose, three axes",
      { input: 1, reshape: 1, transpose: 1 },
      ({ x }) => transpose(transpose(reshape(x, [1, 2, 3]), [1, 2, 0]), [0, 2, 1]),
    ],
    [
      "broadcastTo of broadcastTo",
      { input: 1, broadcastTo: 1 },
      ({ x }) => broadcastTo(broadcastTo(x, [4, 2, 3]), [5, 4, 2, 3]),
    ],
    [
      "broadcastTo before an op that broadcasts",
      { input: 1, sum: 1, mul: 1 },
      ({ x }) => mul(x, broadcastTo(sum(x, 0, true), [2, 3])),
    ],
    [
      "broadcastTo before an op that does not",
      { input: 1, sum: 1, exp: 1, broadcastTo: 1 },
      ({ x }) => exp(broadcastTo(sum(x, 0, true), [2, 3])),
    ],
    [
      "movement of equal elements",
      { constant: 1, broadcastTo: 1 },
      () => flip(reshape(broadcastTo(full([], 2, "float64"), [2, 3]), [6]), 0),
    ],
    [
      "sum of equal elements",
      { constant: 1, broadcastTo: 1 },
      () => sum(broadcastTo(full([], 2, "float64"), [2, 3]), 1),
    ],
    ["matmul of a transpose", { input: 1, matmul: 1 }, ({ x }) => matmul(x, transpose(x))],
    ["matmul of a transposed transpose", { input: 1, matmul: 1 }, ({ x }) => matmul(transpose(x), x)],
  ])("%s", async (_, counts, build) => {
    expect(await after(simplify, graphOf(x, build))).toEqual(counts);
  });

  test("x · 0 keeps NaN", async () => {
    const graph = graphOf({ x: f64(1) }, ({ x }) => mul(log(sub(mul(x, 0), 1)), 0));
    const device = await openDevice("reference");
    const { y0 } = await runGraph(device, simplify(graph), {
      x: { shape: [1], dtype: "float64", data: Float64Array.of(1) },
    });
    expect(y0!.data[0]).toBeNaN();
  });

  test("leaves of a gradient of a mean square no broadcast and no sum", async () => {
    const graph = graphOf({ x: f64(7, 3), w: f64(3, 2) }, ({ x, w }) => {
      const error = sub(matmul(x, w), 1);
      return grad(div(sum(mul(error, error)), 14), [w]);
    });
    const counts = await after(simplify, graph);
    expect(counts.broadcastTo).toBeUndefined();
    expect(counts.sum).toBeUndefined();
    expect(counts.matmul).toBe(2);
  });

  test("works on its own, inside loops", async () => {
    const graph = graphOf({ x: f64(4, 2) }, ({ x }) => {
      const options = { init: [full([2], 0, "float64")], xs: [x] };
      return scan(([h], [slice]) => ({ carries: [add(mul(h!, 1), add(slice!, 0))] }), options).carries[0]!;
    });
    expect(opCounts(graph)).toMatchObject({ mul: 1, add: 2 });
    expect(await after(algebra, graph)).toEqual({ scan: 1, input: 3, constant: 1, add: 1 });
  });
});

describe("batchedSums", () => {
  test("makes the gradient of a shared weight one product", async () => {
    const graph = graphOf({ x: f64(2, 3, 5, 4), w: f64(4, 6) }, ({ x, w }) =>
      grad(sum(tanh(matmul(x, w))), [w]),
    );
    const after = batchedSums(graph);
    expect(opCounts(graph)).toMatchObject({ matmul: 2, sum: 1 });
    expect(opCounts(after)["sum"]).toBeUndefined();
    await expectSameValues(graph, after);
  });

  test("leaves products that are read otherwise, sums over some axes, and broadcast operands", () => {
    const inputs = { a: f64(2, 3, 5, 4), b: f64(2, 3, 5, 6), c: f64(5, 6) };
    const graph = graphOf(inputs, ({ a, b, c }) => {
      const product = matmul(a, b, { transposeA: true });
      const other = matmul(mul(a, 2), b, { transposeA: true });
      return [
        product,
        sum(product, [0, 1]),
        sum(other, 0),
        sum(matmul(neg(a), c, { transposeA: true }), [0, 1]),
        sum(matmul(exp(a), b, { transposeA: true })),
      ];
    });
    expect(batchedSums(graph)).toBe(graph);
  });
});

describe("cse", () => {
  test("computes equal expressions once, whatever the order of commuting operands", async () => {
    const graph = graphOf({ x: f64(3), y: f64(3) }, ({ x, y }) => [
      tanh(add(x, y)),
      tanh(add(y, x)),
      sub(x, y),
      sub(y, x),
    ]);
    expect(await after(cse, graph)).toEqual({ input: 2, add: 1, tanh: 1, sub: 2 });
  });

  test("compares attributes, NaN, infinities and −0 included", async () => {
    const graph = graphOf({ x: f64(3) }, ({ x }) => [
      ...[NaN, Infinity, -Infinity, 0, -0, NaN].map((value) => pad(x, [1], [0], value)),
      sum(reshape(x, [3, 1]), 0),
      sum(reshape(x, [3, 1]), 1),
    ]);
    expect(await after(cse, graph)).toMatchObject({ pad: 5, sum: 2 });
  });

  test("compares constants by value and element type, states by name, random numbers by key", () => {
    const graph = graphOf({}, () => [
      full([2], 1),
      full([2], 1),
      full([2], -1),
      full([2], 1, "float64"),
      state("a", [2]),
      state("a", [2]),
      state("b", [2]),
      random(randomKey(), [2]),
      random(randomKey(), [2]),
      random(randomKey(), [3]),
    ]);
    const made = cse(graph);
    expect(opCounts(made)).toEqual({ constant: 4, state: 2, random: 2 });
    expect(made.states).toHaveLength(2);
  });

  test("lets equal loops be one, and equal expressions in a body", async () => {
    const graph = graphOf({ x: f64(4, 3) }, ({ x }) => {
      const options = { init: [full([3], 0.5, "float64")], xs: [x] };
      return scan(
        ([h], [slice]) => ({ carries: [add(mul(tanh(h!), slice!), mul(slice!, tanh(h!)))] }),
        options,
      ).carries[0]!;
    });
    expect(await after(cse, graph)).toMatchObject({ tanh: 1, mul: 1 });
  });
});

describe("simplify", () => {
  test("keeps inputs and updates, and drops states that nothing reads any more", () => {
    const graph = trace({ x: f64(2) }, ({ x }) => {
      const [a, b, none] = [
        state("a", [2], "float64"),
        state("b", [2], "float64"),
        state("none", [0], "float64"),
      ];
      return { outputs: { y: add(x, b), e: tanh(none) }, updates: [[a, add(mul(a, 1), 0)]] };
    });
    const made = simplify(graph);
    expect(made.inputs).toBe(graph.inputs);
    expect(made.updates[0]![0]).toBe(graph.updates[0]![0]);
    expect(made.updates[0]![1]).toBe(graph.updates[0]![0]);
    expect(made.states.map((t) => t.shape)).toEqual([[2], [2]]);
  });

  test("returns the graph itself when there is nothing to do", () => {
    const graph = graphOf({ x: f64(2) }, ({ x }) => tanh(x));
    expect(simplify(graph)).toBe(graph);
  });

  test("changes no value of random graphs and their gradients, and never adds nodes that compute", async () => {
    await fc.assert(
      fc.asyncProperty(randomGraph, async (graph) => {
        const made = simplify(graph);
        await expectSameValues(graph, made);
        expect(computingNodes(made)).toBeLessThanOrEqual(computingNodes(graph));
        expect(simplify(made)).toBe(made);
      }),
      { numRuns: 400, seed: 2 },
    );
  });
});
