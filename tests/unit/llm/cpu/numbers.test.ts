/** @file The kernels' exp and log against exact values, and their noise against the host's and against statistics. */
import { expect, test } from "vitest";
import { HeapKernels, type KernelName } from "../../../../src/engine/targets/cpu/index.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { noiseNumber } from "../../../../src/llm/cpu/cacheView.ts";
import { gumbelOfWord, openUniform, PairNoise } from "../../../../src/llm/kv/noise.ts";

const kernels = await HeapKernels.create(1);
const { heap } = kernels;

async function mapped(kernel: KernelName, inputs: Float32Array): Promise<Float32Array> {
  const pointer = heap.allocate(inputs.byteLength);
  const values = heap.float32At(pointer, inputs.length);
  values.set(inputs);
  await kernels.run([{ kernel, arguments: [pointer, inputs.length] }], 0);
  return values;
}

/** How many float32 lie between two, of the same sign. */
function unitsApart(a: number, b: number): number {
  const [x, y] = new Int32Array(Float32Array.of(a, b).buffer);
  return Math.abs(x! - y!);
}

function mostUnits(inputs: Float32Array, got: Float32Array, exact: (x: number) => number): number {
  let most = 0;
  for (const [i, x] of inputs.entries()) most = Math.max(most, unitsApart(got[i]!, Math.fround(exact(x))));
  return most;
}

test("exp is right to 2 units in the last place, 0 far below, and NaN of NaN", async () => {
  const rng = new Rng(1);
  const inputs = Float32Array.from({ length: 200_000 }, () => -87.3 * rng.uniform() ** 3);
  inputs[0] = 0;
  expect(mostUnits(inputs, await mapped("mapExp", inputs), Math.exp)).toBeLessThanOrEqual(2);
  const ends = await mapped("mapExp", Float32Array.of(-Infinity, -87.4, Number.NaN, -0));
  expect(Array.from(ends)).toEqual([0, 0, Number.NaN, 1]);
});

test("log is right to 2 units in the last place, just below 1 and just above too", async () => {
  const rng = new Rng(2);
  const inputs = Float32Array.from({ length: 200_000 }, (_, i) => {
    if (i < 50_000) return 1 - (i + 1) * 2 ** -24;
    if (i < 60_000) return 1 + (i - 49_999) * 2 ** -23;
    return Math.exp(rng.uniform() * 20 - 17);
  });
  expect(mostUnits(inputs, await mapped("mapLog", inputs), Math.log)).toBeLessThanOrEqual(2);
});

test("Gumbel's ends are those of the first and the last uniform", async () => {
  const words = [0, 0x80000000, 0xffffffff, 0x7fffffff];
  const once = await mapped("mapLog", Float32Array.from(words, openUniform));
  const twice = await mapped(
    "mapLog",
    once.map((x) => -x),
  );
  for (const [i, word] of words.entries()) expect(-twice[i]!).toBeCloseTo(gumbelOfWord(word), 5);
  expect(-twice[0]!).toBeCloseTo(-2.81154, 5);
  expect(-twice[2]!).toBeCloseTo(16.635532, 5);
});

test.each(["none", "constant", "gumbel", "gaussian"] as const)("%s noise is the host's", async (kind) => {
  const [layer, head, query, stream, seed, count] = [31, 17, 70_001, 0xfedcba98, 2n ** 63n + 12345n, 4096];
  const host = new PairNoise({ seed, stream }, layer);
  const { low, high } = host.key;
  const pointer = heap.allocate(4 * count);
  const args = [pointer, count, noiseNumber[kind], query, layer, head, stream, low, high];
  await kernels.run([{ kernel: "fillNoise", arguments: args }], 0);
  const noise = heap.float32At(pointer, count);
  for (let key = 0; key < count; key++) {
    expect(Math.abs(noise[key]! - host.sample(kind, head, query, key))).toBeLessThan(2e-6);
  }
});

test("ten million draws have Gumbel's mean, variance, distribution and upper tail", async () => {
  const count = 10_000_000;
  const pointer = heap.allocate(4 * count);
  const args = [pointer, count, noiseNumber.gumbel, 77, 3, 2, 1, 1234, 0];
  await kernels.run([{ kernel: "fillNoise", arguments: args }], 0);
  const noise = heap.float32At(pointer, count);
  const bins = 1000;
  const counts = new Int32Array(bins);
  let [total, squares, above] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    const g = noise[i]!;
    total += g;
    squares += g * g;
    if (g > 10) above++;
    // P(G ≤ g) = exp(−exp(−g)) is uniform.
    counts[Math.min(bins - 1, Math.floor(bins * Math.exp(-Math.exp(-g))))]!++;
  }
  const mean = total / count;
  expect(Math.abs(mean - 0.5772)).toBeLessThan(0.002);
  expect(Math.abs(squares / count - mean ** 2 - 1.6449)).toBeLessThan(0.005);
  expect(Math.abs(above / count / 4.54e-5 - 1)).toBeLessThan(0.15);
  // Kolmogorov and Smirnov's distance at the edges of the bins, at 1 %.
  let [below, distance] = [0, 0];
  for (let bin = 0; bin < bins; bin++) {
    below += counts[bin]!;
    distance = Math.max(distance, Math.abs(below / count - (bin + 1) / bins));
  }
  expect(distance).toBeLessThan(1.63 / Math.sqrt(count));
});
