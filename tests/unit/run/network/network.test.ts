/** @file Networks: parts on one device and on several, the reduction's seam, order, dropout keys, save and load. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { trace } from "../../../../src/engine/graph/graph.ts";
import { add, mul, sub } from "../../../../src/engine/graph/ops/elementwise.ts";
import { sum } from "../../../../src/engine/graph/ops/movement.ts";
import { openDevice } from "../../../../src/engine/openDevice.ts";
import type { Device } from "../../../../src/engine/program.ts";
import { xavierUniform } from "../../../../src/nn/initializers.ts";
import { linear } from "../../../../src/nn/layers.ts";
import type { LossFunction } from "../../../../src/nn/training/lossFunction.ts";
import { loadCheckpoint, saveCheckpoint } from "../../../../src/run/checkpoint.ts";
import { Network, type BatchPart, type NetworkTraining } from "../../../../src/run/network/network.ts";
import { sumInOrder } from "../../../../src/run/network/reduce.ts";
import { Rng } from "../../../../src/base/rng.ts";

interface Shape {
  rows: number;
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A layer under dropout: its loss is a sum over rows, so those of parts add up. */
const loss = ({ rows }: Shape): LossFunction => ({
  inputs: { x: { shape: [rows, 4], dtype: "float32" } },
  dropouts: 1,
  apply(parameters, { x }, dropout) {
    const y = linear(parameters, "layer", dropout(x!, 0.5, 0), 2);
    const target = parameters.get("target", [2], xavierUniform);
    const error = sub(y, add(target, 1));
    return { loss: sum(mul(error, error)), outputs: { y } };
  },
});

const training: NetworkTraining<Shape> = {
  loss,
  update: { optimizer: { kind: "adam" }, maxGradientNorm: 1 },
  smallest: { rows: 1 },
};

async function devicesOf(count: number, target = "reference"): Promise<Device[]> {
  const devices = await Promise.all(Array.from({ length: count }, () => openDevice(target, { threads: 1 })));
  closing.push(async () => {
    for (const device of devices) await device.dispose();
  });
  return devices;
}

async function networkOf(devices: readonly Device[], more: Partial<NetworkTraining<Shape>> = {}) {
  const network = await Network.create(devices, { seed: 7, training: { ...training, ...more } });
  closing.push(() => network.dispose());
  return network;
}

function partsOf(count: number, step = 1): BatchPart<Shape>[] {
  const rng = new Rng(1, step);
  return Array.from({ length: count }, () => ({
    shape: { rows: 3 },
    feeds: { x: Float32Array.from({ length: 12 }, () => rng.normal()) },
  }));
}

async function learned(network: Network<Shape>): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const name of [...network.parameters.names, ...network.optimizerState.names])
    found[name] = [...(await network.readWeight(name))];
  return found;
}

test("parts give the same weights, to the bit, on any number of devices", async () => {
  const results = [];
  for (const count of [1, 2, 3]) {
    const devices = await devicesOf(count);
    const network = await networkOf(devices);
    for (let step = 1; step <= 3; step++) await network.train(partsOf(3, step), { step, learningRate: 0.1 });
    for (const device of devices.slice(1))
      for (const name of device.states().keys())
        expect(await device.readState(name), name).toEqual(await devices[0]!.readState(name));
    results.push(await learned(network));
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});

test("a batch of one part takes one program, two parts take gradients, their sum and an update", async () => {
  const [device] = await devicesOf(1);
  const compiled: string[][] = [];
  const compile = device!.compile.bind(device);
  device!.compile = (graph) => {
    compiled.push(Object.keys(graph.outputs));
    return compile(graph);
  };
  const network = await networkOf([device!]);
  await network.train(partsOf(1), { step: 1, learningRate: 0.1 });
  expect(compiled).toEqual([["loss", "y"]]);
  await network.train(partsOf(2), { step: 2, learningRate: 0.1 });
  await network.train(partsOf(2), { step: 3, learningRate: 0.1 });
  expect(compiled).toEqual([["loss", "y"], ["loss", "y", "gradients"], []]);
});

test("a reduction that is given sees the gradients of all parts in order, of one part too", async () => {
  const seen: number[] = [];
  const reduce = async (gradients: readonly Float32Array[], total: Float32Array) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    seen.push(gradients.length);
    sumInOrder(gradients, total);
  };
  const plain = await networkOf(await devicesOf(1));
  const reduced = await networkOf(await devicesOf(1), { reduce });
  for (const network of [plain, reduced]) {
    await network.train(partsOf(2, 1), { step: 1, learningRate: 0.1 });
    await network.train(partsOf(1, 2), { step: 2, learningRate: 0.1 });
  }
  expect(seen).toEqual([2, 1]);
  const [a, b] = [await learned(plain), await learned(reduced)];
  for (const [name, values] of Object.entries(a))
    b[name]!.forEach((value, i) => expect(value, name).toBeCloseTo(values[i]!, 5));
});

test("steps asked for before the last has come back go one after the other", async () => {
  const times = [1, 2, 3, 4].map((step) => ({ step, learningRate: 0.1 / step }));
  const waiting = await networkOf(await devicesOf(2));
  for (const time of times) await waiting.train(partsOf(1 + (time.step % 2), time.step), time);
  const eager = await networkOf(await devicesOf(2));
  await Promise.all(times.map((time) => eager.train(partsOf(1 + (time.step % 2), time.step), time)));
  expect(await learned(eager)).toEqual(await learned(waiting));
});

test("a step whose program is compiled waits for one before it whose program is not", async () => {
  const times = [1, 2, 3, 4].map((step) => ({ step, learningRate: 0.1 }));
  const batch = (step: number): BatchPart<Shape>[] => {
    const rows = step % 2 === 0 ? 2 : 3;
    return [{ shape: { rows }, feeds: { x: new Float32Array(4 * rows).fill(step) } }];
  };
  const networks = [];
  for (const isSlow of [false, true]) {
    const [device] = await devicesOf(1);
    const network = await networkOf([device!]);
    const compile = device!.compile.bind(device);
    await network.compile({ rows: 3 });
    if (isSlow) {
      device!.compile = async (graph) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return compile(graph);
      };
    } else await network.compile({ rows: 2 });
    await Promise.all(times.map((time) => network.train(batch(time.step), time)));
    networks.push(await learned(network));
  }
  expect(networks[1]).toEqual(networks[0]);
});

test("parts are asked for in their order, also when the program of the first is new", async () => {
  const [device] = await devicesOf(1);
  const asked: number[] = [];
  const compile = device!.compile.bind(device);
  device!.compile = async (graph) => {
    const program = await compile(graph);
    const run = program.run.bind(program);
    program.run = (feeds, into) => {
      if (feeds?.["x"]) asked.push((feeds["x"] as Float32Array).length / 4);
      return run(feeds, into);
    };
    return program;
  };
  const network = await networkOf([device!]);
  const part = (rows: number): BatchPart<Shape> => ({
    shape: { rows },
    feeds: { x: new Float32Array(4 * rows).fill(1) },
  });
  await network.train([part(3), part(3)], { step: 1, learningRate: 0.1 });
  await network.train([part(2), part(3)], { step: 2, learningRate: 0.1 });
  expect(asked).toEqual([3, 3, 2, 3]);
});

test("a compiled step is asked for before train returns, so that what follows comes after it", async () => {
  const [device] = await devicesOf(1, "cpu");
  const network = await networkOf([device!]);
  await network.compile({ rows: 3 });
  const before = await network.readWeight("layer.weight");
  const step = network.train(partsOf(1), { step: 1, learningRate: 0.1 });
  const after = await network.readWeight("layer.weight");
  await step;
  expect(after).not.toEqual(before);
  expect(after).toEqual(await network.readWeight("layer.weight"));
});

test("dropout depends on the seed, the step and the part", async () => {
  const ones = { shape: { rows: 3 }, feeds: { x: new Float32Array(12).fill(1) } };
  const outputsOf = async (seed: number, step: number) => {
    const devices = await devicesOf(1);
    const network = await Network.create(devices, { seed, training });
    closing.push(() => network.dispose());
    for (const name of network.parameters.names)
      await network.writeWeight(
        name,
        (await network.readWeight(name)).map((_, i) => i + 1),
      );
    const found = await network.train([ones, ones], { step, learningRate: 0 });
    return found.map(({ y }) => [...y!].join());
  };
  const [first, second] = await outputsOf(1, 1);
  expect(await outputsOf(1, 1)).toEqual([first, second]);
  const others = [
    second,
    (await outputsOf(1, 2))[0],
    (await outputsOf(2, 1))[0],
    (await outputsOf(2 ** 32 + 1, 1))[0],
  ];
  expect(new Set([first, ...others]).size).toBe(5);
});

test("a saved network, loaded into a new one on other devices, goes on to the same weights", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pareto-network-"));
  closing.push(() => rm(folder, { recursive: true }));
  const first = await networkOf(await devicesOf(1));
  await first.train(partsOf(2, 1), { step: 1, learningRate: 0.1 });
  await saveCheckpoint(folder, { kind: "test", state: { step: 1 }, parts: [first] });
  await first.train(partsOf(2, 2), { step: 2, learningRate: 0.1 });

  const second = await networkOf(await devicesOf(2));
  expect(await loadCheckpoint(folder, { kind: "test", parts: [second] })).toEqual({ step: 1 });
  await second.train(partsOf(2, 2), { step: 2, learningRate: 0.1 });
  expect(await learned(second)).toEqual(await learned(first));
});

test("a network that is only used has no optimizer state and takes given weights; graphs take devices in turn", async () => {
  const devices = await devicesOf(2);
  const network = await Network.create(devices, {
    seed: 1,
    declare: (parameters) => loss({ rows: 1 }).apply(parameters, inputs(), (x) => x),
    weights: new Map([["target", Float32Array.of(3, 4)]]),
  });
  closing.push(() => network.dispose());
  expect(network.optimizerState.names).toEqual([]);
  const target = () => trace({}, () => ({ outputs: { target: network.parameters.tensors[2]! } }));
  await devices[1]!.writeState("target", Float32Array.of(5, 6));
  const found = [await network.run("target", target, {}), await network.run("target", target, {})];
  expect(found.map(({ target: values }) => [...values!])).toEqual([
    [3, 4],
    [5, 6],
  ]);
});

function inputs() {
  let x!: Parameters<LossFunction["apply"]>[1][string];
  trace({ x: { shape: [1, 4], dtype: "float32" } }, (t) => {
    x = t.x;
    return { outputs: { x } };
  });
  return { x };
}

test("a program that cannot be compiled fails its step, is tried again, and does not hinder disposal", async () => {
  const [device] = await devicesOf(1);
  const compile = device!.compile.bind(device);
  let failures = 1;
  device!.compile = (graph) => (failures-- > 0 ? Promise.reject(new Error("no memory")) : compile(graph));
  const network = await networkOf([device!]);
  await expect(network.train(partsOf(1), { step: 1, learningRate: 0.1 })).rejects.toThrow("no memory");
  await network.train(partsOf(1), { step: 1, learningRate: 0.1 });
  failures = 1;
  await expect(network.run("other", () => trace({}, () => ({ outputs: {} })), {})).rejects.toThrow(
    "no memory",
  );
});

test("one that no memory holds is refused before any is taken", async () => {
  const device = await openDevice("reference");
  closing.push(() => device.dispose());
  const created = Network.create([device], {
    seed: 1,
    declare: (parameters) => parameters.get("wide", [2 ** 24, 2 ** 24], xavierUniform),
  });
  await expect(created).rejects.toMatchObject({
    code: "NETWORK_MEMORY",
    message: expect.stringMatching(/got [\d,.]+ \S+$/) as string,
  });
  expect(device.states().size).toBe(0);
});
