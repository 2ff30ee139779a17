/** @file What every device promises: states, updates, feeds, outputs, errors, and no growth over many runs. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { trace } from "../../../src/engine/graph/graph.ts";
import { add } from "../../../src/engine/graph/ops/elementwise.ts";
import { state } from "../../../src/engine/graph/ops/leaf.ts";
import type { Device } from "../../../src/engine/program.ts";
import { devices, tryOpenDevice } from "../../support/engine/devices.ts";
import { leastGrowth } from "../../support/memoryGrowth.ts";

const spec = { shape: [2], dtype: "float32" } as const;
const code = (code: string) => expect.objectContaining({ name: "ParetoError", code });

/** y = x + s, with s ← y. */
const accumulateGraph = () =>
  trace({ x: spec }, ({ x }) => {
    const s = state("s", [2]);
    const y = add(x, s);
    return { outputs: { y }, updates: [[s, y]] };
  });

describe.each(["reference", ...devices])("%s", async (name) => {
  const probe = await tryOpenDevice(name);
  if ("missing" in probe) {
    test.skip(`skipped: ${probe.missing}`);
    return;
  }
  await probe.dispose();

  let device: Device;
  beforeEach(async () => {
    device = (await tryOpenDevice(name)) as Device;
  });
  afterEach(() => device.dispose());

  describe("states", () => {
    test("begin as zeros or as given, and are read and written by copy", async () => {
      const values = Float32Array.of(1, 2);
      await device.createState("zeros", { shape: [2, 2], dtype: "int32" });
      await device.createState("given", spec, values);
      values[0] = 9;
      expect(await device.readState("zeros")).toEqual(new Int32Array(4));
      const read = await device.readState("given");
      expect(read).toEqual(Float32Array.of(1, 2));
      read[0] = 7;
      await device.writeState("zeros", Int32Array.of(1, 2, 3, 4));
      expect(await device.readState("given")).toEqual(Float32Array.of(1, 2));
      expect(await device.readState("zeros")).toEqual(Int32Array.of(1, 2, 3, 4));
      expect([...device.states()]).toEqual([
        ["zeros", { shape: [2, 2], dtype: "int32" }],
        ["given", spec],
      ]);
    });

    test("errors", async () => {
      await device.createState("s", spec);
      await expect(device.createState("s", spec)).rejects.toThrow(code("STATE_EXISTS"));
      await expect(device.createState("t", spec, new Float32Array(3))).rejects.toThrow(
        code("SHAPE_HOST_ARRAY"),
      );
      await expect(device.createState("t", spec, new Int32Array(2))).rejects.toThrow(
        code("DTYPE_HOST_ARRAY"),
      );
      await expect(device.readState("none")).rejects.toThrow(code("STATE_MISSING"));
      await expect(device.writeState("none", new Float32Array(2))).rejects.toThrow(code("STATE_MISSING"));
      await expect(device.writeState("s", new Float32Array(3))).rejects.toThrow(code("SHAPE_HOST_ARRAY"));
      await expect(device.writeState("s", new Int32Array(2))).rejects.toThrow(code("DTYPE_HOST_ARRAY"));
      expect([...device.states().keys()]).toEqual(["s"]);
    });

    test("are shared by name between programs, and outputs see the values before the updates", async () => {
      await device.createState("s", spec, Float32Array.of(1, 2));
      const first = await device.compile(accumulateGraph());
      const second = await device.compile(trace({}, () => ({ outputs: { s: state("s", [2]) } })));
      expect(await first.run({ x: Float32Array.of(10, 20) })).toEqual({ y: Float32Array.of(11, 22) });
      expect(await second.run({})).toEqual({ s: Float32Array.of(11, 22) });
    });

    test("are updated together: two states swap", async () => {
      await device.createState("a", spec, Float32Array.of(1, 2));
      await device.createState("b", spec, Float32Array.of(3, 4));
      const swap = trace({}, () => {
        const [a, b] = [state("a", [2]), state("b", [2])];
        return {
          outputs: { a },
          updates: [
            [a, b],
            [b, a],
          ],
        };
      });
      const program = await device.compile(swap);
      expect(await program.run({})).toEqual({ a: Float32Array.of(1, 2) });
      expect(await device.readState("a")).toEqual(Float32Array.of(3, 4));
      expect(await device.readState("b")).toEqual(Float32Array.of(1, 2));
    });
  });

  describe("programs", () => {
    test("write into given arrays and return new ones for the rest", async () => {
      const graph = trace({ x: spec }, ({ x }) => ({ outputs: { double: add(x, x), same: x, again: x } }));
      const program = await device.compile(graph);
      const double = new Float32Array(2);
      const feeds = { x: Float32Array.of(1, 2) };
      const made = await program.run(feeds, { double });
      expect(made.double).toBe(double);
      expect(made).toEqual({ double: Float32Array.of(2, 4), same: feeds.x, again: feeds.x });
      expect(made.same).not.toBe(feeds.x);
      expect(made.same).not.toBe(made.again);
    });

    test("errors", async () => {
      const program = await device.compile(accumulateGraph());
      const x = new Float32Array(2);
      await expect(program.run({ x })).rejects.toThrow(code("STATE_MISSING"));
      await device.createState("s", { shape: [2, 1], dtype: "float32" });
      await expect(program.run({ x })).rejects.toThrow(code("STATE_SPEC"));
      await expect(program.run({})).rejects.toThrow(code("PROGRAM_FEED"));
      await expect(program.run({ x, z: x })).rejects.toThrow(code("PROGRAM_FEED"));
      await expect(program.run({ x: new Float32Array(3) })).rejects.toThrow(code("SHAPE_HOST_ARRAY"));
      await expect(program.run({ x: new Int32Array(2) })).rejects.toThrow(code("DTYPE_HOST_ARRAY"));
      await expect(program.run({ x }, { z: x })).rejects.toThrow(code("PROGRAM_OUTPUT"));
      await expect(program.run({ x }, { y: new Float32Array(3) })).rejects.toThrow(code("SHAPE_HOST_ARRAY"));
      await program.dispose();
      await expect(program.run({ x })).rejects.toThrow(code("PROGRAM_DISPOSED"));
    });

    test("10,000 steps count to 10,000 and leave no memory behind", async () => {
      // A state of 8 KiB: one copy left behind by each run would come to 16 MiB in each round.
      const wide = { shape: [2048], dtype: "float32" } as const;
      await device.createState("s", wide);
      const graph = trace({ x: wide }, ({ x }) => {
        const s = state("s", wide.shape);
        const y = add(x, s);
        return { outputs: { y }, updates: [[s, y]] };
      });
      const program = await device.compile(graph);
      const x = new Float32Array(2048).fill(0.5);
      const y = new Float32Array(2048);
      const steps = async (n: number) => {
        for (let i = 0; i < n; i++) await program.run({ x }, { y });
      };
      await steps(2_000);
      expect(await leastGrowth(() => steps(2_000))).toBeLessThan(8 * 2 ** 20);
      expect(await device.readState("s")).toEqual(new Float32Array(2048).fill(5_000));
      expect([...device.states().keys()]).toEqual(["s"]);
    });

    test("a device that was disposed of refuses everything", async () => {
      const program = await device.compile(accumulateGraph());
      await device.dispose();
      const x = new Float32Array(2);
      const refused = code("DEVICE_DISPOSED");
      await expect(program.run({ x })).rejects.toThrow(refused);
      await expect(device.compile(accumulateGraph())).rejects.toThrow(refused);
      await expect(device.createState("s", spec)).rejects.toThrow(refused);
      await expect(device.readState("s")).rejects.toThrow(refused);
      await expect(device.writeState("s", x)).rejects.toThrow(refused);
      expect(() => device.states()).toThrow(refused);
    });
  });
});
