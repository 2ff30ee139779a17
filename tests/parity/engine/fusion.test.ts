/**
 * @file Chains of ops on tensors large enough for every way in which a target may split and combine work: vectors with
 * remainders, reductions in parts, results written along the way, states replaced in place.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { grad } from "../../../src/engine/autodiff.ts";
import { trace, type Graph, type Traced } from "../../../src/engine/graph/graph.ts";
import type { Tensor } from "../../../src/engine/graph/node.ts";
import { matmul } from "../../../src/engine/graph/ops/contraction.ts";
import * as op from "../../../src/engine/graph/ops/elementwise.ts";
import { gather, take } from "../../../src/engine/graph/ops/indexing.ts";
import { random, scalarLike, state } from "../../../src/engine/graph/ops/leaf.ts";
import { concat, flip, pad, reshape, slice, sum, transpose } from "../../../src/engine/graph/ops/movement.ts";
import { max } from "../../../src/engine/graph/ops/reduce.ts";
import { openDevice } from "../../../src/engine/openDevice.ts";
import type { Device } from "../../../src/engine/program.ts";
import { Rng } from "../../../src/base/rng.ts";
import type { Shape } from "../../../src/base/shape.ts";
import { mean } from "../../../src/nn/functional.ts";
import { optimizerUpdates } from "../../../src/nn/optimizers.ts";
import { Parameters } from "../../../src/nn/parameters.ts";
import { devices, hasHalf, tryOpenDevice } from "../../support/engine/devices.ts";
import { randomTensor } from "../../support/engine/hostTensor.ts";
import { runGraph } from "../../support/engine/runGraph.ts";
import "../../support/engine/toBeAllclose.ts";

/** Sums of some thousand terms of order one. */
const within = { rtol: 1e-4, atol: 5e-4 };

type Build = (...x: Tensor[]) => Tensor[] | Tensor;

/** Graphs over float32 inputs of some shapes. */
const graphs: readonly (readonly [name: string, shapes: readonly Shape[], build: Build])[] = [
  ["a bias row over a size that four does not divide", [[67, 129], [129]], (x, b) => op.relu(op.add(x!, b!))],
  ["a bias row over vectors", [[64, 128], [128]], (x, b) => op.mul(op.tanh(op.add(x!, b!)), x!)],
  [
    "a column over rows",
    [
      [90, 100],
      [90, 1],
    ],
    (x, c) => op.sub(x!, c!),
  ],
  ["a transpose", [[96, 100]], (x) => op.add(transpose(x!), 1)],
  [
    "heads apart and together again",
    [[8, 32, 3, 4, 16]],
    (x) => reshape(transpose(op.mul(transpose(x!, [2, 0, 3, 1, 4]), 2), [1, 3, 0, 2, 4]), [8, 32, 192]),
  ],
  [
    "a slice, a flip and a pad",
    [[40, 301]],
    (x) => pad(flip(slice(x!, { 0: [3, 33], 1: [5, 300, 2] }), 1), [1, 0], [2, 3], 7),
  ],
  [
    "a concat of three along rows",
    [
      [64, 33],
      [64, 64],
      [64, 8],
    ],
    (...x) => op.mul(concat(x, 1), 3),
  ],
  [
    "a concat of sums and products below each other",
    [
      [64, 64],
      [64, 64],
    ],
    (x, y) => concat([op.exp(x!), matmul(x!, y!), op.mul(y!, 2)], 0),
  ],
  [
    "a concat of six",
    [[50, 30]],
    (x) =>
      concat(
        [1, 2, 3, 4, 5, 6].map((n) => op.mul(x!, n)),
        1,
      ),
  ],
  ["rows taken at fixed places", [[30, 200]], (x) => op.mul(take(x!, 0, [3, 3, 29, 0, 7]), 2)],
  [
    "an outer product",
    [
      [70, 1],
      [1, 90],
    ],
    (a, b) => op.relu(matmul(a!, b!)),
  ],
  ["sums along rows", [[300, 64]], (x) => sum(op.mul(x!, x!), 1)],
  ["sums along long rows", [[3, 20_000]], (x) => mean(x!, 1)],
  ["sums along odd rows", [[130, 1001]], (x) => sum(x!, 1)],
  ["sums along short rows", [[5000, 3]], (x) => op.sqrt(op.add(sum(op.mul(x!, x!), 1), 1))],
  ["sums down columns", [[5000, 20]], (x) => op.mul(sum(x!, 0), 0.01)],
  ["sums down odd columns", [[3001, 7]], (x) => sum(x!, 0)],
  ["sums down many columns", [[33, 1500]], (x) => sum(x!, 0)],
  ["sums over a middle axis", [[16, 300, 20]], (x) => sum(x!, 1)],
  ["sums around a middle axis", [[16, 20, 300]], (x) => sum(x!, [0, 2])],
  ["a sum of everything", [[100_003]], (x) => mean(op.mul(x!, x!))],
  ["the largest of rows and columns", [[700, 120]], (x) => [max(x!, 0), max(x!, 1), max(x!)]],
  [
    "a mean and a deviation of rows",
    [[200, 256], [256]],
    (x, scale) => {
      const centred = op.sub(x!, mean(x!, 1, true));
      const deviation = op.sqrt(op.add(mean(op.mul(centred, centred), 1, true), 1e-5));
      return op.mul(op.div(centred, deviation), scale!);
    },
  ],
  [
    "the gradients of two layers",
    [[256, 48], [48, 64], [64], [64, 24]],
    (x, w, b, v) =>
      grad(mean(op.softplus(matmul(op.relu(op.add(matmul(x!, w!), b!)), v!))), [x!, w!, b!, v!]),
  ],
  [
    "the gradient of a normalisation",
    [[64, 128], [128]],
    (x, w) => {
      const centred = op.sub(x!, mean(x!, 1, true));
      const y = op.mul(op.div(centred, op.sqrt(op.add(mean(op.mul(centred, centred), 1, true), 0.1))), w!);
      return grad(sum(op.tanh(y)), [x!, w!]);
    },
  ],
  [
    "a result used along rows, down columns and by a product",
    [
      [256, 64],
      [64, 32],
    ],
    (x, w) => {
      const y = op.tanh(op.mul(x!, x!));
      return [sum(y, 0), sum(y, 1), matmul(y, w!)];
    },
  ],
];

/** A model with states; each test names its own. */
function stateful(
  name: string,
  model: (s: (suffix: string, shape: Shape) => Tensor, x: Tensor) => Traced,
): Graph {
  return trace({ x: { shape: [96, 64], dtype: "float32" } }, ({ x }) =>
    model((suffix, shape) => state(`${name}.${suffix}`, shape), x),
  );
}

const statefulGraphs: readonly (readonly [string, Graph])[] = [
  [
    "adam",
    stateful("adam", (s, x) => {
      const [w, b] = [s("w", [64, 80]), s("b", [80])];
      const loss = mean(op.softplus(op.add(matmul(x, w), b)));
      const adam = { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-3 } as const;
      const rate = scalarLike(x, 0.1);
      const updates = optimizerUpdates(adam, {
        parameters: [w, b],
        gradients: grad(loss, [w, b]),
        optimizerState: new Parameters(0),
        learningRate: rate,
        step: op.add(s("step", []), 1),
      });
      return { outputs: { loss }, updates: [...updates, [s("step", []), op.add(s("step", []), 1)]] };
    }),
  ],
  [
    "states that depend on each other",
    stateful("mutual", (s, x) => {
      const [a, b] = [s("a", [96, 64]), s("b", [96, 64])];
      return {
        outputs: { a, sum: sum(op.add(a, b), 1) },
        updates: [
          [a, op.add(flip(b, 0), x)],
          [b, op.mul(a, 0.5)],
        ],
      };
    }),
  ],
  [
    "a state that a product and a sum read",
    stateful("shared", (s, x) => {
      const w = s("w", [64, 64]);
      const next = op.add(w, matmul(x, op.tanh(matmul(x, w)), { transposeA: true }));
      return { outputs: { rows: sum(w, 1), next: max(next) }, updates: [[w, op.mul(next, 0.01)]] };
    }),
  ],
];

describe.each(devices)("%s agrees with reference", async (name) => {
  const probe = await tryOpenDevice(name);
  if ("missing" in probe) {
    test.skip(`skipped: ${probe.missing}`);
    return;
  }
  const device: Device = probe;
  let reference: Device;
  beforeAll(async () => {
    reference = await openDevice("reference");
  });
  afterAll(async () => {
    await device.dispose();
    await reference.dispose();
  });

  test.each(graphs)("on %s", async (_, shapes, build) => {
    const inputs = Object.fromEntries(
      shapes.map((shape, i) => [`x${i}`, { shape, dtype: "float32" as const }]),
    );
    const graph = trace(inputs, (x) => ({
      outputs: Object.fromEntries([build(...Object.values(x))].flat().map((y, i) => [`y${i}`, y])),
    }));
    const feeds = Object.fromEntries(
      shapes.map((shape, i) => [
        `x${i}`,
        randomTensor(new Rng(i + 1), shape, "float32", { low: -1, high: 1 }),
      ]),
    );
    const want = await runGraph(reference, graph, feeds);
    const got = await runGraph(device, graph, feeds);
    for (const [output, tensor] of Object.entries(want))
      expect(got[output], output).toBeAllclose(tensor, within);
  });

  const halves = hasHalf(name) ? (["float16", "bfloat16"] as const) : [];
  test.each(halves)("on rows and sums of %s", async (dtype) => {
    const inputs = {
      x: { shape: [130, 128], dtype },
      b: { shape: [128], dtype },
      y: { shape: [130, 128], dtype: "float32" as const },
    };
    const graph = trace(inputs, ({ x, b, y }) => {
      const z = op.relu(op.add(op.mul(x, x), b));
      return {
        outputs: {
          z,
          wide: op.add(op.cast(z, "float32"), y),
          rows: sum(x, 1),
          columns: sum(slice(x, { 0: [0, 40] }), 0),
        },
      };
    });
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([input, { shape, dtype }], i) => [
        input,
        randomTensor(new Rng(i + 1), shape, dtype, { low: -1, high: 1 }),
      ]),
    );
    const want = await runGraph(reference, graph, feeds);
    const got = await runGraph(device, graph, feeds);
    const tolerance = { rtol: 0.02, atol: 0.02 };
    for (const [output, tensor] of Object.entries(want)) {
      expect(got[output], output).toBeAllclose(tensor, tolerance);
    }
  });

  test("on rows gathered twice over and dropout", async () => {
    const graph = trace(
      {
        table: { shape: [50, 64], dtype: "float32" },
        ids: { shape: [90], dtype: "int32" },
        key: { shape: [4], dtype: "int32" },
      },
      ({ table, ids, key }) => {
        const rows = gather(op.mul(table, table), ids);
        const mask = op.less(random(key, rows.shape), scalarLike(rows, 0.75));
        const dropped = op.where(mask, rows, scalarLike(rows, 0));
        return {
          outputs: { dropped, rows: sum(gather(rows, ids.shape.length === 1 ? op.sub(ids, ids) : ids), 0) },
        };
      },
    );
    const feeds = {
      table: randomTensor(new Rng(1), [50, 64], "float32", { low: -1, high: 1 }),
      ids: randomTensor(new Rng(2), [90], "int32", { low: 0, high: 50 }),
      key: randomTensor(new Rng(3), [4], "int32", { low: -9, high: 9 }),
    };
    const want = await runGraph(reference, graph, feeds);
    const got = await runGraph(device, graph, feeds);
    for (const [output, tensor] of Object.entries(want))
      expect(got[output], output).toBeAllclose(tensor, within);
  });

  test.each(statefulGraphs)("on three steps with %s", async (_, graph) => {
    const names = graph.states.map((t) => (t.node.attrs as { name: string }).name);
    for (const each of [reference, device]) {
      for (const [i, t] of graph.states.entries()) {
        const { data, ...spec } = randomTensor(new Rng(i + 9), t.shape, "float32", { low: 0.1, high: 0.9 });
        await each.createState(names[i]!, spec, data);
      }
    }
    const programs = [await reference.compile(graph), await device.compile(graph)] as const;
    for (let step = 0; step < 3; step++) {
      const { data } = randomTensor(new Rng(step + 1), [96, 64], "float32", { low: -1, high: 1 });
      const [want, got] = [await programs[0].run({ x: data }), await programs[1].run({ x: data })];
      for (const [output, { shape }] of Object.entries(graph.outputs)) {
        const spec = { shape, dtype: "float32" } as const;
        expect({ ...spec, data: got[output]! }, output).toBeAllclose(
          { ...spec, data: want[output]! },
          within,
        );
      }
    }
    for (const [i, { shape }] of graph.states.entries()) {
      const spec = { shape, dtype: "float32" } as const;
      const [want, got] = [await reference.readState(names[i]!), await device.readState(names[i]!)];
      expect({ ...spec, data: got }, names[i]).toBeAllclose({ ...spec, data: want }, within);
    }
  });
});
