/** @file A state that is memory of somebody else: programs read it where it lies. */
import { expect, test } from "vitest";
import { trace } from "../../../../../src/engine/graph/graph.ts";
import { matmul } from "../../../../../src/engine/graph/ops/contraction.ts";
import { state } from "../../../../../src/engine/graph/ops/leaf.ts";
import { CpuDevice } from "../../../../../src/engine/targets/cpu/cpuDevice.ts";
import { Arena } from "../../../../../src/engine/targets/cpu/kernels/arena.ts";

test("a shared state is read in place", async () => {
  const device = new CpuDevice({ threads: 1 });
  try {
    const arena = new Arena(2 ** 20);
    arena.allocate(1000);
    const weights = arena.float32At(arena.allocate(4 * 6), 6);
    weights.set([1, 2, 3, 4, 5, 6]);
    await device.shareState("w", { shape: [2, 3], dtype: "float32" }, weights);
    const graph = trace({ x: { shape: [1, 3], dtype: "float32" } } as const, ({ x }) => ({
      outputs: { y: matmul(x, state("w", [2, 3]), { transposeB: true }) },
    }));
    const program = await device.compile(graph);
    const run = async () => Array.from((await program.run({ x: Float32Array.of(1, 10, 100) }))["y"]!);
    expect(await run()).toEqual([321, 654]);
    expect(Array.from(await device.readState("w"))).toEqual([1, 2, 3, 4, 5, 6]);
    weights[0] = 7;
    expect(await run()).toEqual([327, 654]);
    const again = device.shareState("w", { shape: [2, 3], dtype: "float32" }, weights);
    await expect(again).rejects.toThrow(expect.objectContaining({ code: "STATE_EXISTS" }));
  } finally {
    await device.dispose();
  }
});
