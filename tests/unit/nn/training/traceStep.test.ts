/** @file A training step's graphs: parts and their update against the whole, weight decay, gradients of inputs, ties. */
import { afterAll, expect, test } from "vitest";
import { trace } from "../../../../src/engine/graph/graph.ts";
import { add, mul, sub } from "../../../../src/engine/graph/ops/elementwise.ts";
import { state } from "../../../../src/engine/graph/ops/leaf.ts";
import { sum } from "../../../../src/engine/graph/ops/movement.ts";
import { openDevice } from "../../../../src/engine/openDevice.ts";
import type { Device } from "../../../../src/engine/program.ts";
import { constantFill } from "../../../../src/nn/initializers.ts";
import { optimizerUpdates, type DenseOptimizer } from "../../../../src/nn/optimizers.ts";
import { Parameters } from "../../../../src/nn/parameters.ts";
import { differentiate } from "../../../../src/nn/training/differentiate.ts";
import type { LossFunction } from "../../../../src/nn/training/lossFunction.ts";
import {
  traceGradients,
  traceStep,
  traceUpdate,
  type TrainedStates,
  type UpdateRule,
} from "../../../../src/nn/training/traceStep.ts";

const open: Device[] = [];
afterAll(async () => {
  for (const device of open) await device.dispose();
});

const vector = (length: number) => ({ shape: [length], dtype: "float32" as const });

/** Σ (w·x − y)² over the batch, whose w is [3] and whose bias is [1]; `xGradient` is dL/dx. */
const squares = (rows: number): LossFunction => ({
  inputs: { x: { shape: [rows, 3], dtype: "float32" }, y: vector(rows) },
  apply(parameters, { x, y }) {
    const w = parameters.get("w", [3], constantFill(0.5));
    const bias = parameters.get("bias", [1], constantFill(-0.25));
    const error = sub(add(sum(mul(x!, w), 1), bias), y!);
    return { loss: sum(mul(error, error)), outputs: { error }, gradients: { xGradient: x! } };
  },
});

async function create(): Promise<{ device: Device; states: TrainedStates }> {
  const device = await openDevice("reference");
  open.push(device);
  return { device, states: { parameters: new Parameters(1), optimizerState: new Parameters(1) } };
}

async function createStates(device: Device, { parameters, optimizerState }: TrainedStates): Promise<void> {
  await parameters.create(device);
  await optimizerState.create(device);
}

const x = Float32Array.of(1, 2, -1, 0.5, -1, 3);
const y = Float32Array.of(1, -2);
const rates = { learningRate: Float32Array.of(0.1), step: Float32Array.of(1) };
const values = async (device: Device) => {
  const all: Record<string, number[]> = {};
  for (const name of device.states().keys()) all[name] = [...(await device.readState(name))] as number[];
  return all;
};

const rules: UpdateRule[] = [
  { optimizer: { kind: "sgd" } },
  { optimizer: { kind: "adagrad" }, maxGradientNorm: 0.5 },
  { optimizer: { kind: "adam" }, maxGradientNorm: 2, weightDecay: { rate: 0.1 } },
];

test.each(rules)(
  "gradients of two parts, summed, then the update: as the whole step, by %o",
  async (rule) => {
    const whole = await create();
    const step = traceStep(squares(2), rule, whole.states);
    await createStates(whole.device, whole.states);
    const outputs = await (await whole.device.compile(step)).run({ x, y, ...rates });

    const { device, states } = await create();
    const part = traceGradients(squares(1), states.parameters);
    const update = traceUpdate(rule, states);
    await createStates(device, states);
    const gradients = await device.compile(part);
    const rows = [0, 1].map((row) => ({ x: x.subarray(3 * row, 3 * row + 3), y: y.subarray(row, row + 1) }));
    const found = [await gradients.run(rows[0]!), await gradients.run(rows[1]!)];
    const total = Float32Array.from(
      found[0]!["gradients"]!,
      (g, i) => Number(g) + Number(found[1]!["gradients"]![i]),
    );
    await (await device.compile(update)).run({ gradients: total, ...rates });

    expect(Number(found[0]!["loss"]![0]) + Number(found[1]!["loss"]![0])).toBeCloseTo(
      Number(outputs["loss"]![0]),
      5,
    );
    expect([...found[0]!["xGradient"]!, ...found[1]!["xGradient"]!]).toEqual([...outputs["xGradient"]!]);
    const [expected, received] = [await values(whole.device), await values(device)];
    expect(Object.keys(received).toSorted()).toEqual(Object.keys(expected).toSorted());
    for (const [name, elements] of Object.entries(expected)) {
      received[name]!.forEach((value, i) => expect(value, name).toBeCloseTo(elements[i]!, 5));
    }
  },
);

test("a step gives the loss, the outputs and the gradients of inputs, of before its update", async () => {
  const { device, states } = await create();
  const graph = traceStep(squares(2), { optimizer: { kind: "sgd" } }, states);
  await createStates(device, states);
  const outputs = await (await device.compile(graph)).run({ x, y, ...rates });
  // w·x + b − y: 0.5·(1 + 2 − 1) − 0.25 − 1 and 0.5·(0.5 − 1 + 3) − 0.25 + 2.
  expect([...outputs["error"]!]).toEqual([-0.25, 3]);
  expect(outputs["loss"]![0]).toBe(0.0625 + 9);
  // dL/dx = 2·error·w.
  expect([...outputs["xGradient"]!]).toEqual([-0.25, -0.25, -0.25, 3, 3, 3]);
  expect([...(await device.readState("bias"))][0]).toBeCloseTo(-0.25 - 0.1 * 2 * (3 - 0.25), 6);
});

test("weight decay shrinks the parameters that it applies to, and no others", async () => {
  const { device, states } = await create();
  const zero: LossFunction = {
    inputs: {},
    apply(parameters) {
      const [a, b] = ["matrix", "norm"].map((name) => parameters.get(name, [2], constantFill(2)));
      return { loss: mul(sum(add(a!, b!)), 0) };
    },
  };
  const weightDecay = { rate: 0.5, appliesTo: (name: string) => name === "matrix" };
  const graph = traceStep(zero, { optimizer: { kind: "sgd" }, weightDecay }, states);
  await createStates(device, states);
  await (await device.compile(graph)).run(rates);
  expect([...(await device.readState("matrix"))]).toEqual([
    Math.fround(2 - 2 * 0.05),
    Math.fround(2 - 2 * 0.05),
  ]);
  expect([...(await device.readState("norm"))]).toEqual([2, 2]);
});

test("a decay of rate 0 adds nothing to the graph", () => {
  const updatesOf = (weightDecay?: { rate: number }) => {
    const w = state("w", [2]);
    const scalar = state("s", []);
    const optimizer: DenseOptimizer = { kind: "adam" };
    const updates = optimizerUpdates(optimizer, {
      parameters: [w],
      gradients: [mul(w, 2)],
      optimizerState: new Parameters(0),
      learningRate: scalar,
      step: scalar,
      ...(weightDecay && { weightDecay }),
    });
    return updates.at(-1)![1].node.op;
  };
  const [none, zero, some] = [updatesOf(), updatesOf({ rate: 0 }), updatesOf({ rate: 0.1 })];
  expect(zero).toBe(none);
  expect(some).toBe("sub");
});

test("a parameter that is read twice has the sum of both gradients, one that is not read has none", async () => {
  const { device } = await create();
  const parameters = new Parameters(1);
  const tied = parameters.get("tied", [2], constantFill(3));
  parameters.get("unused", [2], constantFill(1));
  const graph = trace({}, () => {
    const again = state("tied", [2]);
    const { gradients } = differentiate(sum(add(mul(tied, 5), mul(again, again))), parameters);
    return { outputs: { tied: gradients[0]!, unused: gradients[1]! } };
  });
  await parameters.create(device);
  const { tied: both, unused } = await (await device.compile(graph)).run({});
  expect([...both!]).toEqual([11, 11]);
  expect([...unused!]).toEqual([0, 0]);
});
