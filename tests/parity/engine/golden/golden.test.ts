/** @file Values and gradients of layers against PyTorch's, on every target. */
import { afterAll, describe, expect, test } from "vitest";
import { grad } from "../../../../src/engine/autodiff.ts";
import { isFloat } from "../../../../src/base/dtype.ts";
import { trace } from "../../../../src/engine/graph/graph.ts";
import type { Tensor } from "../../../../src/engine/graph/node.ts";
import { matmul } from "../../../../src/engine/graph/ops/contraction.ts";
import { add, div, mul, pow, sqrt, sub } from "../../../../src/engine/graph/ops/elementwise.ts";
import { constant, scalarLike, state } from "../../../../src/engine/graph/ops/leaf.ts";
import { reshape, sum } from "../../../../src/engine/graph/ops/movement.ts";
import type { Device } from "../../../../src/engine/program.ts";
import { devices, tryOpenDevice } from "../../../support/engine/devices.ts";
import type { HostTensor } from "../../../support/engine/hostTensor.ts";
import { runGraph } from "../../../support/engine/runGraph.ts";
import { tolerance } from "../../../support/engine/tolerances.ts";
import "../../../support/engine/toBeAllclose.ts";
import { goldenCases, hostTensors, type GoldenCase } from "./fixtures.ts";
import { models } from "./models.ts";

type Float = "float32" | "float64";

const targets: [name: string, float: Float][] = [
  ["reference", "float64"],
  ["reference", "float32"],
  ...devices.map((name): [string, Float] => [name, "float32"]),
];

function asConstant({ data, shape, dtype }: HostTensor): Tensor {
  return constant(data, shape, dtype);
}

async function checkModel(device: Device, topic: string, golden: GoldenCase, float: Float): Promise<void> {
  const inputs = hostTensors(golden.inputs, float);
  const seeds = hostTensors(golden.seeds, float);
  const graph = trace(inputs, (tensors) => {
    const outputs = models[topic]!(tensors, golden.options);
    const loss = Object.entries(outputs)
      .map(([name, y]) => sum(mul(y, asConstant(seeds[name]!))))
      .reduce((a, b) => add(a, b));
    const names = Object.keys(inputs).filter((name) => isFloat(inputs[name]!.dtype));
    const gradients = grad(
      loss,
      names.map((name) => tensors[name]!),
    );
    return {
      outputs: { ...outputs, ...Object.fromEntries(names.map((name, i) => [`d ${name}`, gradients[i]!])) },
    };
  });
  const got = await runGraph(device, graph, inputs);
  const within = tolerance("chain", float);
  const wanted = {
    outputs: hostTensors(golden.outputs, float),
    gradients: hostTensors(golden.gradients, float),
  };
  for (const [name, tensor] of Object.entries(wanted.outputs))
    expect(got[name], name).toBeAllclose(tensor, within);
  for (const [name, tensor] of Object.entries(wanted.gradients)) {
    expect(got[`d ${name}`], `gradient by ${name}`).toBeAllclose(tensor, within);
  }
}

async function checkAdam(device: Device, golden: GoldenCase, float: Float): Promise<void> {
  const { a, b, w } = hostTensors(golden.inputs, float);
  const { lr, beta1, beta2, eps } = golden.options as Record<string, number>;
  const graph = trace({ a: a!, b: b! }, (feeds) => {
    const [weight, first, second] = ["w", "m", "v"].map((name) => state(name, w!.shape, float)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const step = state("step", [], float);
    const error = sub(matmul(feeds.a, reshape(weight, [-1, 1])), reshape(feeds.b, [-1, 1]));
    const [g] = grad(mul(sum(mul(error, error)), 0.5), [weight]);
    const now = add(step, 1);
    const m = add(mul(first, beta1!), mul(g!, 1 - beta1!));
    const v = add(mul(second, beta2!), mul(mul(g!, g!), 1 - beta2!));
    const unbiased = (x: Tensor, beta: number) =>
      div(x, sub(scalarLike(x, 1), pow(scalarLike(x, beta), now)));
    const next = sub(weight, div(mul(unbiased(m, beta1!), lr!), add(sqrt(unbiased(v, beta2!)), eps!)));
    return {
      outputs: { next },
      updates: [
        [weight, next],
        [first, m],
        [second, v],
        [step, now],
      ],
    };
  });
  const { data: _, ...spec } = w!;
  await device.createState("w", spec, w!.data);
  await device.createState("m", spec);
  await device.createState("v", spec);
  await device.createState("step", { shape: [], dtype: float });
  const program = await device.compile(graph);
  const { weights } = hostTensors(golden.outputs, float);
  const width = w!.data.length;
  for (let i = 0; i < weights!.shape[0]!; i++) {
    const { next } = await program.run({ a: a!.data, b: b!.data });
    const want = { ...spec, data: weights!.data.slice(i * width, (i + 1) * width) };
    expect({ ...spec, data: next! }, `weights after step ${i + 1}`).toBeAllclose(
      want,
      tolerance("chain", float),
    );
    expect(await device.readState("w")).toEqual(next);
  }
}

describe.each(targets)("%s in %s agrees with PyTorch", async (name, float) => {
  const device = await tryOpenDevice(name);
  if ("missing" in device) {
    test.skip(`skipped: ${device.missing}`);
    return;
  }
  afterAll(() => device.dispose());

  for (const topic of Object.keys(models)) {
    test.each(goldenCases(topic))(`${topic}: $name`, (golden) => checkModel(device, topic, golden, float));
  }
  test.each(goldenCases("adam"))("adam: $name", (golden) => checkAdam(device, golden, float));
});
