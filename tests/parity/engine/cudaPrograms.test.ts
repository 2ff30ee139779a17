/** @file What programs of the `cuda` target hold on the GPU: all of it is freed with them. Skipped without a GPU. */
import { expect, test } from "vitest";
import { trace } from "../../../src/engine/graph/graph.ts";
import { matmul } from "../../../src/engine/graph/ops/contraction.ts";
import { add, tanh } from "../../../src/engine/graph/ops/elementwise.ts";
import { scan } from "../../../src/engine/graph/ops/scan.ts";
import type { CudaDevice } from "../../../src/engine/targets/cuda/index.ts";
import { liveObjects } from "../../../src/engine/targets/cuda/driver/liveObjects.ts";
import { tryOpenDevice } from "../../support/engine/devices.ts";

const opened = await tryOpenDevice("cuda");
if ("missing" in opened) {
  test.skip(`skipped: ${opened.missing}`);
} else {
  const device = opened as CudaDevice;
  const float32 = (...shape: number[]) => ({ shape, dtype: "float32" as const });

  /** h ← tanh(h · w + x) over nine steps. */
  const recurrence = () =>
    trace({ xs: float32(9, 4, 8), w: float32(8, 8), h: float32(4, 8) }, ({ xs, w, h }) => {
      const { carries } = scan(([state], [x]) => ({ carries: [tanh(add(matmul(state!, w), x!))] }), {
        init: [h],
        xs: [xs],
      });
      return { outputs: { last: carries[0]! } };
    });

  test("programs that are disposed of leave nothing, and a loop's equal matmuls are one", async () => {
    const feeds = {
      xs: new Float32Array(9 * 4 * 8).fill(0.1),
      w: new Float32Array(64).fill(0.2),
      h: new Float32Array(32).fill(0.3),
    };
    const round = async () => {
      const program = await device.compile(recurrence());
      expect(program.plan.steps.filter((step) => step.kind === "matmul")).toHaveLength(9);
      expect(liveObjects()["cublasLt matmul"]).toBe(1);
      await program.run(feeds);
      await program.dispose();
    };
    // Kernels, the library's workspace and events stay for the next program.
    await round();
    const settled = liveObjects();
    const { allocatedBytes } = device.allocator.stats();
    for (let i = 0; i < 3; i++) await round();
    expect(liveObjects()).toEqual(settled);
    expect(device.allocator.stats().allocatedBytes).toBe(allocatedBytes);
    await device.dispose();
  });
}
