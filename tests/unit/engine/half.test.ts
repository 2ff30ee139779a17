/** @file 16-bit floats: every pattern, rounding to nearest even, and their way through graphs. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { grad } from "../../../src/engine/autodiff.ts";
import { checkHostArray, dtypeBytes, isFloat, type HalfDType } from "../../../src/base/dtype.ts";
import { trace, type Traced } from "../../../src/engine/graph/graph.ts";
import { matmul } from "../../../src/engine/graph/ops/contraction.ts";
import { add, cast, div, mul } from "../../../src/engine/graph/ops/elementwise.ts";
import { constant, full, input, state } from "../../../src/engine/graph/ops/leaf.ts";
import { broadcastTo, pad, sum } from "../../../src/engine/graph/ops/movement.ts";
import { decodeHalf, elementOf, encodeHalf, numberOf, roundToHalf } from "../../../src/base/half.ts";
import { openDevice } from "../../../src/engine/openDevice.ts";
import { simplify } from "../../../src/engine/passes/simplify.ts";
import type { HostTensors } from "../../../src/engine/program.ts";
import { mean } from "../../../src/nn/functional.ts";

const halves = ["float16", "bfloat16"] as const;
const patterns = Uint16Array.from({ length: 65_536 }, (_, i) => i);
const code = (code: string) => expect.objectContaining({ name: "ParetoError", code });

/** The one pattern of NaN that encoding gives. */
const quietNan = { float16: 0x7e00, bfloat16: 0x7fc0 } as const;

describe.each(halves)("%s", (dtype) => {
  test("every pattern decodes and encodes to itself, NaN to one NaN", () => {
    const values = decodeHalf(dtype, patterns);
    const again = encodeHalf(dtype, values);
    const wrong = patterns.filter((p, i) => again[i] !== (Number.isNaN(values[i]!) ? quietNan[dtype] : p));
    expect(wrong).toEqual(new Uint16Array(0));
    const nans = values.filter(Number.isNaN).length;
    expect(nans).toBe(dtype === "float16" ? 2 * 1023 : 2 * 127);
    const differ = patterns.filter((p, i) => !Object.is(numberOf(p, dtype), values[i]));
    expect(differ).toEqual(new Uint16Array(0));
  });

  test("positive patterns ascend", () => {
    const infinity = dtype === "float16" ? 0x7c00 : 0x7f80;
    const values = decodeHalf(dtype, patterns.subarray(0, infinity + 1));
    expect(values[0]).toBe(0);
    expect(values[infinity]).toBe(Infinity);
    expect([...values.keys()].filter((i) => i > 0 && !(values[i]! > values[i - 1]!))).toEqual([]);
  });

  test("numbers round to the nearer neighbour, the even one of two as near", () => {
    const infinity = dtype === "float16" ? 0x7c00 : 0x7f80;
    // The pattern behind the largest counts as the number that would follow it.
    const valueOf = (p: number) =>
      p === infinity ? 2 * numberOf(infinity - 1, dtype) - numberOf(infinity - 2, dtype) : numberOf(p, dtype);
    const near = fc
      .tuple(fc.integer({ min: 0, max: infinity - 1 }), fc.double({ min: 0, max: 1, noNaN: true }))
      .map(([p, part]) => [p, valueOf(p) + part * (valueOf(p + 1) - valueOf(p))] as const);
    fc.assert(
      fc.property(near, ([below, x]) => {
        const [toLow, toHigh] = [x - valueOf(below), valueOf(below + 1) - x];
        const low = toLow < toHigh || (toLow === toHigh && below % 2 === 0);
        expect(elementOf(x, dtype)).toBe(low ? below : below + 1);
        expect(elementOf(-x, dtype)).toBe(0x8000 | (low ? below : below + 1));
      }),
      { numRuns: 3000 },
    );
    for (let p = 0; p < infinity; p++) {
      const tie = (valueOf(p) + valueOf(p + 1)) / 2;
      const even = p % 2 === 0 ? p : p + 1;
      if (elementOf(tie, dtype) !== even) expect(elementOf(tie, dtype), `the tie above ${p}`).toBe(even);
    }
  });

  test("rounds in place", () => {
    const values = Float64Array.of(1 / 3, -1e-50, 1e300, NaN);
    roundToHalf(dtype, values);
    expect([...values]).toEqual([...decodeHalf(dtype, encodeHalf(dtype, [1 / 3, -1e-50, 1e300, NaN]))]);
  });

  test("takes two bytes of a Uint16Array", () => {
    expect(dtypeBytes(dtype)).toBe(2);
    expect(isFloat(dtype)).toBe(true);
    expect(() => checkHostArray("x", new Float32Array(2), dtype, 2)).toThrow(code("DTYPE_HOST_ARRAY"));
    expect(() => checkHostArray("x", new Uint16Array(2), dtype, 2)).not.toThrow();
  });
});

test.each<[HalfDType, number, number]>([
  ["float16", Math.PI, 0x4248],
  ["float16", -2, 0xc000],
  ["float16", 65504, 0x7bff],
  ["float16", 65519.99, 0x7bff],
  ["float16", 65520, 0x7c00],
  ["float16", -1e6, 0xfc00],
  ["float16", 2 ** -14, 0x0400],
  ["float16", 2 ** -24, 0x0001],
  ["float16", 2 ** -25, 0x0000],
  ["float16", 2 ** -25 * (1 + 2 ** -50), 0x0001],
  ["float16", 0.1, 0x2e66],
  ["float16", 1 + 2 ** -11 + 2 ** -45, 0x3c01],
  ["bfloat16", Math.PI, 0x4049],
  ["bfloat16", 0.1, 0x3dcd],
  ["bfloat16", 3.3895313892515355e38, 0x7f7f],
  ["bfloat16", 3.4e38, 0x7f80],
  ["bfloat16", -1e300, 0xff80],
  ["bfloat16", 2 ** -126, 0x0080],
  ["bfloat16", 2 ** -133, 0x0001],
  ["bfloat16", 2 ** -134, 0x0000],
  // Through float32 these would become ties and then round to even.
  ["bfloat16", 1 + 2 ** -8 + 2 ** -40, 0x3f81],
  ["bfloat16", 1 + 3 * 2 ** -8 - 2 ** -40, 0x3f81],
  ["bfloat16", -0, 0x8000],
  ["bfloat16", Infinity, 0x7f80],
  ["bfloat16", NaN, 0x7fc0],
])("%s of %d has the pattern %i", (dtype, value, pattern) => {
  expect(elementOf(value, dtype)).toBe(pattern);
});

async function run(build: () => Traced, feeds: HostTensors = {}, specs = {}): Promise<HostTensors> {
  const device = await openDevice("reference");
  const outputs = await (await device.compile(trace(specs, build))).run(feeds);
  await device.dispose();
  return outputs;
}

describe.each(halves)("graphs of %s", (dtype) => {
  const of = (...values: number[]) => constant(encodeHalf(dtype, values), [values.length], dtype);

  test("each op rounds once, and sums accumulate wide", async () => {
    const many = [dtype === "float16" ? 2048 : 256, ...Array.from({ length: 64 }, () => 1)];
    const { third, total, product } = await run(() => ({
      outputs: {
        third: div(of(1), of(3)),
        total: sum(of(...many)),
        product: matmul(
          broadcastTo(full([], 1, dtype), [1, 65]),
          constant(encodeHalf(dtype, many), [65, 1], dtype),
        ),
      },
    }));
    expect(third).toEqual(encodeHalf(dtype, [1 / 3]));
    expect(total).toEqual(encodeHalf(dtype, [many[0]! + 64]));
    expect(product).toEqual(encodeHalf(dtype, [many[0]! + 64]));
  });

  test("states hold bit patterns and are updated", async () => {
    const device = await openDevice("reference");
    await device.createState("s", { shape: [2], dtype }, encodeHalf(dtype, [1, 2]));
    const program = await device.compile(
      trace({ x: { shape: [2], dtype } }, ({ x }) => {
        const s = state("s", [2], dtype);
        return { outputs: { old: s }, updates: [[s, add(s, x)]] };
      }),
    );
    const old = new Uint16Array(2);
    expect((await program.run({ x: encodeHalf(dtype, [0.5, 0.25]) }, { old })).old).toBe(old);
    expect([...decodeHalf(dtype, old)]).toEqual([1, 2]);
    expect(await device.readState("s")).toEqual(encodeHalf(dtype, [1.5, 2.25]));
    await device.dispose();
  });

  test("the cpu target refuses them by name and says where they run", async () => {
    const device = await openDevice("cpu", { threads: 1 });
    const refused = expect.objectContaining({
      code: "TARGET_UNSUPPORTED",
      message: expect.stringContaining(dtype),
      fix: expect.stringContaining("cuda"),
    });
    await expect(device.createState("s", { shape: [1], dtype })).rejects.toThrow(refused);
    const graph = trace({ x: { shape: [1], dtype } }, ({ x }) => ({ outputs: { y: cast(x, "float32") } }));
    await expect(device.compile(graph)).rejects.toThrow(refused);
    await device.dispose();
  });

  test("passes fold constants and know neutral ones by value", async () => {
    const graph = trace({ x: { shape: [2], dtype } }, ({ x }) => ({
      outputs: { same: mul(add(x, 0), 1), folded: add(of(1, 2), 0.5), padded: pad(x, [0], [1], 1.5) },
    }));
    const simple = simplify(graph);
    expect(simple.outputs.same).toBe(simple.inputs.x);
    expect(simple.outputs.folded!.node.attrs).toMatchObject({ data: encodeHalf(dtype, [1.5, 2.5]) });
    const device = await openDevice("reference");
    const feeds = { x: encodeHalf(dtype, [3, 4]) };
    const outputs = await (await device.compile(simple)).run(feeds);
    expect(outputs).toEqual(await (await device.compile(graph)).run(feeds));
    expect(outputs.padded).toEqual(encodeHalf(dtype, [3, 4, 1.5]));
    await device.dispose();
  });

  test("a mean over more elements than the type can count is right, also where they are all one", async () => {
    const specs = { x: { shape: [], dtype }, y: { shape: [70_001], dtype } };
    const feeds = {
      x: encodeHalf(dtype, [3]),
      y: encodeHalf(
        dtype,
        Array.from({ length: 70_001 }, () => 3),
      ),
    };
    const graph = trace(specs, ({ x, y }) => {
      const loss = mean(mul(y, 1));
      return {
        outputs: { stretched: mean(broadcastTo(x, [70_001])), loss, gradient: sum(grad(loss, [y])[0]!) },
      };
    });
    const device = await openDevice("reference");
    for (const each of [graph, simplify(graph)]) {
      const outputs = await (await device.compile(each)).run(feeds);
      expect(numberOf(outputs.stretched![0]!, dtype)).toBe(3);
      expect(numberOf(outputs.loss![0]!, dtype)).toBe(3);
      expect(numberOf(outputs.gradient![0]!, dtype)).toBeCloseTo(1, 1);
    }
    await device.dispose();
  });

  test("a product may give its float32 sums; gradients have the operands' type", async () => {
    const a = input("a", [1, 2], dtype);
    const b = input("b", [2, 1], dtype);
    const wide = matmul(a, b, { outDtype: "float32" });
    expect(wide.dtype).toBe("float32");
    expect(grad(sum(wide), [a, b]).map((g) => g.dtype)).toEqual([dtype, dtype]);
    expect(() => matmul(wide, wide, { outDtype: dtype })).toThrow(code("DTYPE_MATMUL_OUT"));
    expect(() => matmul(a, b, { outDtype: "float64" })).toThrow(code("DTYPE_MATMUL_OUT"));
    expect(() => add(a, cast(b, "float32"))).toThrow(code("DTYPE_MIXED"));
  });
});
