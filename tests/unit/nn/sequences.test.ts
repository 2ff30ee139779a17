/** @file Layers over sequences: gradients by central differences, and the identities that they keep. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { grad } from "../../../src/engine/autodiff.ts";
import { trace } from "../../../src/engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../../../src/engine/graph/node.ts";
import { conv1d } from "../../../src/engine/graph/ops/contraction.ts";
import { add, mul } from "../../../src/engine/graph/ops/elementwise.ts";
import { gather } from "../../../src/engine/graph/ops/indexing.ts";
import { constant } from "../../../src/engine/graph/ops/leaf.ts";
import { reshape, sum, transpose } from "../../../src/engine/graph/ops/movement.ts";
import { openDevice } from "../../../src/engine/openDevice.ts";
import type { Device } from "../../../src/engine/program.ts";
import { Rng } from "../../../src/base/rng.ts";
import { sizeOf } from "../../../src/base/shape.ts";
import { clipGradientNorm } from "../../../src/nn/optimizers.ts";
import type { Parameters } from "../../../src/nn/parameters.ts";
import { bidirectionalLstm, lstm } from "../../../src/nn/recurrent.ts";
import {
  additiveAttention,
  embeddingConvolution,
  maskSteps,
  maxPool,
  maskedMean,
  lengthMask,
  sequenceConvolution,
  maskedMax,
} from "../../../src/nn/sequences.ts";

let device: Device;
beforeAll(async () => {
  device = await openDevice("reference");
});
afterAll(() => device.dispose());

type Arrays = Record<string, Float64Array>;
/** A layer of parameters taken from the inputs by name, and the inputs. */
type Layer = (p: Parameters, inputs: Record<string, Tensor>) => Tensor;

const ints = (shape: number[], ...values: number[]): Tensor =>
  constant(Int32Array.from(values), shape, "int32");

const random = (rng: Rng, shape: readonly number[]) =>
  Float64Array.from({ length: sizeOf(shape) }, () => rng.normal());

/** The layer's output, the sum of its products with fixed numbers, and that sum's gradients, in float64. */
async function compile(layer: Layer, shapes: Record<string, readonly number[]>) {
  const specs = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]): [string, TensorSpec] => [name, { shape, dtype: "float64" }]),
  );
  const graph = trace(specs, (t: Record<string, Tensor>) => {
    const y = layer({ get: (name: string) => t[name]! } as unknown as Parameters, t);
    const seed = constant(random(new Rng(77), y.shape), y.shape, "float64");
    const loss = sum(mul(y, seed));
    const names = Object.keys(shapes);
    const gradients = grad(
      loss,
      names.map((name) => t[name]!),
    );
    return {
      outputs: { y, loss, ...Object.fromEntries(names.map((name, i) => [`d ${name}`, gradients[i]!])) },
    };
  });
  const program = await device.compile(graph);
  return (arrays: Arrays) => program.run(arrays) as unknown as Promise<Arrays>;
}

const lengths = ints([3], 7, 1, 4);

const layers: Record<string, { shapes: Record<string, readonly number[]>; layer: Layer }> = {
  "convolution with padding and mask": {
    shapes: { x: [7, 3, 2], "c.weight": [4, 2, 5], "c.bias": [4] },
    layer: (p, { x }) =>
      maskSteps(
        sequenceConvolution(p, "c", maskSteps(x!, lengthMask(lengths, 7)), 4, 5),
        lengthMask(lengths, 7),
      ),
  },
  "embedding under a convolution": {
    shapes: { "e.weight": [5, 3], "c.weight": [4, 3, 4], "c.bias": [4] },
    layer: (p) => {
      const ids = ints([4, 2], 1, 2, 3, 0, 4, 0, 1, 0);
      const widths = { rows: 5, dim: 3, outputs: 4, kernel: 4 };
      return embeddingConvolution(p, { embedding: "e", convolution: "c" }, ids, widths);
    },
  },
  "max-pool of an odd number of steps": {
    shapes: { x: [7, 3, 2] },
    layer: (_, { x }) => maxPool(x!, 2),
  },
  "LSTM over 7 steps": {
    shapes: { x: [7, 3, 2], "l.input": [12, 2], "l.recurrent": [12, 3], "l.bias": [12] },
    layer: (p, { x }) =>
      lstm(p, "l", maskSteps(x!, lengthMask(lengths, 7)), 3, { mask: lengthMask(lengths, 7) }),
  },
  "LSTM over 7 steps, reversed": {
    shapes: { x: [7, 3, 2], "l.input": [12, 2], "l.recurrent": [12, 3], "l.bias": [12] },
    layer: (p, { x }) =>
      lstm(p, "l", maskSteps(x!, lengthMask(lengths, 7)), 3, { mask: lengthMask(lengths, 7), reverse: true }),
  },
  "additive attention with padding": {
    shapes: { h: [7, 3, 4], "a.weight": [5, 4], "a.bias": [5], "a.score": [5] },
    layer: (p, { h }) => additiveAttention(p, "a", h!, 5, lengthMask(lengths, 7)).context,
  },
  "maximum and mean under a mask": {
    shapes: { x: [7, 3, 2] },
    layer: (_, { x }) => {
      const mask = lengthMask(lengths, 7);
      return add(maskedMax(x!, mask), maskedMean(x!, mask));
    },
  },
};

describe.each(Object.entries(layers))("%s", (_, { shapes, layer }) => {
  test("gradients agree with central differences", async () => {
    const run = await compile(layer, shapes);
    const rng = new Rng(3);
    const arrays = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, random(rng, shape)]),
    );
    const found = await run(arrays);
    const step = 1e-6;
    for (const name of Object.keys(shapes)) {
      const gradient = found[`d ${name}`]!;
      const scale = Math.max(...gradient.map(Math.abs));
      expect(scale, name).toBeGreaterThan(0);
      for (let i = 0; i < gradient.length; i++) {
        const lossAt = async (delta: number) => {
          const moved = arrays[name]!.slice();
          moved[i]! += delta;
          return (await run({ ...arrays, [name]: moved }))["loss"]![0]!;
        };
        const numeric = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
        expect(Math.abs(gradient[i]! - numeric), `${name}[${i}]`).toBeLessThan(1e-5 * scale);
      }
    }
  });
});

test("ties of a max-pool share the gradient", async () => {
  const run = await compile((_, { x }) => maxPool(x!, 2), { x: [4, 1, 1] });
  const found = await run({ x: Float64Array.of(2, 2, 1, 5) });
  const seeds = random(new Rng(77), [2]);
  expect([...found["d x"]!].map((g) => g + 0)).toEqual([seeds[0]! / 2, seeds[0]! / 2, 0, seeds[1]!]);
});

test("an embedding under a convolution is the convolution of its vectors, those of padding zero", async () => {
  const shapes = { "e.weight": [5, 3], "c.weight": [4, 3, 5], "c.bias": [4] };
  const ids = ints([6, 2], 1, 2, 3, 4, 4, 4, 1, 3, 2, 0, 1, 0);
  const fused = await compile(
    (p) =>
      embeddingConvolution(p, { embedding: "e", convolution: "c" }, ids, {
        rows: 5,
        dim: 3,
        outputs: 4,
        kernel: 5,
      }),
    shapes,
  );
  const plain = await compile((p) => {
    const x = maskSteps(
      gather(
        p.get("e.weight", [], () => {}),
        ids,
      ),
      lengthMask(ints([2], 6, 4), 6),
    );
    const byChannel = transpose(x, [1, 2, 0]);
    const y = conv1d(
      byChannel,
      p.get("c.weight", [], () => {}),
      { padding: [2, 2] },
    );
    const biased = add(
      y,
      reshape(
        p.get("c.bias", [], () => {}),
        [1, 4, 1],
      ),
    );
    return transpose(biased, [2, 0, 1]);
  }, shapes);
  const rng = new Rng(4);
  const arrays = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, random(rng, shape)]),
  );
  const [a, b] = [await fused(arrays), await plain(arrays)];
  for (const name of Object.keys(a)) {
    a[name]!.forEach((value, i) => expect(value, name).toBeCloseTo(b[name]![i]!, 10));
  }
});

test("a reversed sequence under swapped directions gives the mirrored output", async () => {
  const weights = (direction: string) => ({
    [`l.${direction}.input`]: [12, 2],
    [`l.${direction}.recurrent`]: [12, 3],
    [`l.${direction}.bias`]: [12],
  });
  const shapes = { x: [5, 2, 2], ...weights("forward"), ...weights("backward") };
  const run = await compile((p, { x }) => bidirectionalLstm(p, "l", x!, 3), shapes);
  const rng = new Rng(6);
  const arrays: Arrays = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, random(rng, shape)]),
  );
  const swapped: Arrays = { x: new Float64Array(20) };
  for (let t = 0; t < 5; t++) swapped["x"]!.set(arrays["x"]!.subarray(4 * t, 4 * t + 4), 4 * (4 - t));
  for (const part of ["input", "recurrent", "bias"]) {
    swapped[`l.forward.${part}`] = arrays[`l.backward.${part}`]!;
    swapped[`l.backward.${part}`] = arrays[`l.forward.${part}`]!;
  }
  const [y, mirrored] = [(await run(arrays))["y"]!, (await run(swapped))["y"]!];
  for (let t = 0; t < 5; t++) {
    for (let row = 0; row < 2; row++) {
      const at = (time: number, unit: number) => (time * 2 + row) * 6 + unit;
      for (let unit = 0; unit < 3; unit++) {
        expect(mirrored[at(4 - t, unit)]).toBeCloseTo(y[at(t, unit + 3)]!, 12);
        expect(mirrored[at(4 - t, unit + 3)]).toBeCloseTo(y[at(t, unit)]!, 12);
      }
    }
  }
});

test("gradients beyond the norm are scaled together, others are left alone", async () => {
  const run = async (scale: number) => {
    const graph = trace({ a: { shape: [2], dtype: "float64" }, b: { shape: [1], dtype: "float64" } }, (t) => {
      const { gradients, norm } = clipGradientNorm([t.a, t.b], 5);
      return { outputs: { a: gradients[0]!, b: gradients[1]!, norm } };
    });
    const program = await device.compile(graph);
    return program.run({ a: Float64Array.of(2 * scale, 3 * scale), b: Float64Array.of(6 * scale) });
  };
  expect(await run(0.5)).toEqual({
    a: Float64Array.of(1, 1.5),
    b: Float64Array.of(3),
    norm: Float64Array.of(3.5),
  });
  const clipped = await run(10);
  expect(clipped["norm"]![0]).toBe(70);
  expect(clipped["b"]![0]).toBeCloseTo((60 * 5) / 70, 6);
  expect(Math.hypot(clipped["a"]![0]!, clipped["a"]![1]!, clipped["b"]![0]!)).toBeCloseTo(5, 6);
});
