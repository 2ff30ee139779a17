/** @file The reference device: its contract as a Device, and kernels' corner cases that no other target defines. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TypedArray } from "../../../../../src/base/dtype.ts";
import { trace } from "../../../../../src/engine/graph/graph.ts";
import type { Tensor } from "../../../../../src/engine/graph/node.ts";
import { add, div, mul } from "../../../../../src/engine/graph/ops/elementwise.ts";
import { gather } from "../../../../../src/engine/graph/ops/indexing.ts";
import { constant, random, state } from "../../../../../src/engine/graph/ops/leaf.ts";
import { sum } from "../../../../../src/engine/graph/ops/movement.ts";
import { openDevice } from "../../../../../src/engine/openDevice.ts";
import type { Device } from "../../../../../src/engine/program.ts";
import { philox } from "../../../../../src/base/rng.ts";

const spec = { shape: [2], dtype: "float32" } as const;
const code = (code: string) => expect.objectContaining({ name: "ParetoError", code });

let device: Device;
beforeEach(async () => {
  device = await openDevice("reference");
});
afterEach(() => device.dispose());

describe("openDevice", () => {
  test("names the targets when it knows none of this name", async () => {
    for (const name of ["tpu", "toString"]) {
      await expect(openDevice(name)).rejects.toThrow(
        expect.objectContaining({ code: "TARGET_UNKNOWN", fix: expect.stringContaining("reference") }),
      );
    }
  });
});

/** The value of an expression of constants. */
async function run(build: () => Tensor): Promise<TypedArray> {
  const program = await device.compile(trace({}, () => ({ outputs: { y: build() } })));
  return (await program.run({})).y!;
}

function ints(...values: number[]): Tensor {
  return constant(Int32Array.from(values), [values.length], "int32");
}

describe("states", () => {
  test("stay as they were when a run fails", async () => {
    await device.createState("s", spec, Float32Array.of(1, 2));
    const graph = trace({ rows: { shape: [2], dtype: "int32" } }, ({ rows }) => {
      const s = state("s", [2]);
      return { outputs: { y: gather(s, rows) }, updates: [[s, add(s, 1)]] };
    });
    const program = await device.compile(graph);
    await expect(program.run({ rows: Int32Array.of(0, 2) })).rejects.toThrow(code("INDEX_RANGE"));
    expect(await device.readState("s")).toEqual(Float32Array.of(1, 2));
  });
});

describe("kernels", () => {
  test("int32 wraps around and divides towards zero", async () => {
    expect(await run(() => add(ints(2147483647), ints(1)))).toEqual(Int32Array.of(-2147483648));
    expect(await run(() => mul(ints(123456789), ints(987654321)))).toEqual(
      Int32Array.of(Math.imul(123456789, 987654321)),
    );
    expect(await run(() => div(ints(7, -7, 7, -7), ints(2, 2, -2, -2)))).toEqual(Int32Array.of(3, -3, -3, 3));
  });

  test("sums accumulate in float64 and round once", async () => {
    const values = Float32Array.of(2 ** 24, ...Array.from({ length: 64 }, () => 1));
    expect(await run(() => sum(constant(values, [65])))).toEqual(Float32Array.of(2 ** 24 + 64));
  });

  test("random numbers are the words of Philox blocks, at the counter (i div 4, 0, stream, step)", async () => {
    const values = await run(() => random(ints(-1, 5, 3, 9), [2, 3]));
    const words = new Uint32Array(8);
    philox([0, 0, 3, 9], [0xffffffff, 5], words.subarray(0, 4));
    philox([1, 0, 3, 9], [0xffffffff, 5], words.subarray(4));
    expect(values).toEqual(Float32Array.from(words.subarray(0, 6), (word) => (word >>> 8) / 2 ** 24));
  });
});
