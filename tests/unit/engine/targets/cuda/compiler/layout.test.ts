/** @file The memory of a plan: what is alive together lies apart, and little is wasted. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { layOutMemory } from "../../../../../../src/engine/targets/cuda/compiler/layout.ts";
import type { PlanBuffer, Step } from "../../../../../../src/engine/targets/cuda/plan.ts";
import { mul, tanh } from "../../../../../../src/engine/graph/ops/elementwise.ts";
import { matmul } from "../../../../../../src/engine/graph/ops/contraction.ts";
import { float32, planOfModel } from "../../../../../support/engine/lowered.ts";

/** Steps that touch given buffers. */
function touching(buffers: readonly PlanBuffer[]): Step {
  return {
    kind: "kernel",
    label: "",
    source: { name: "k", code: "" },
    grid: [1, 1, 1],
    block: [1, 1, 1],
    sharedBytes: 0,
    arguments: buffers.map((buffer) => ({
      kind: "buffer",
      view: { buffer, offsetBytes: 0 },
      access: "read",
      bytes: buffer.bytes,
    })),
  };
}

test("no two buffers that are alive at one step overlap, and all are aligned", () => {
  const lifetimes = fc.array(
    fc.tuple(fc.nat({ max: 19 }), fc.nat({ max: 6 }), fc.integer({ min: 1, max: 5000 })),
    {
      minLength: 1,
      maxLength: 30,
    },
  );
  const property = fc.property(lifetimes, (list) => {
    const buffers = list.map(([, , bytes]): PlanBuffer => ({ kind: "scratch", name: "", bytes }));
    const steps = Array.from({ length: 26 }, (_, at) =>
      touching(buffers.filter((_, i) => at === list[i]![0] || at === list[i]![0] + list[i]![1])),
    );
    const { offsets, arenaBytes } = layOutMemory(steps);
    buffers.forEach((a, i) => {
      expect(offsets.get(a)! % 256).toBe(0);
      expect(offsets.get(a)! + a.bytes).toBeLessThanOrEqual(arenaBytes);
      buffers.slice(i + 1).forEach((b, j) => {
        const [first, second] = [list[i]!, list[i + 1 + j]!];
        const together = first[0] <= second[0] + second[1] && second[0] <= first[0] + first[1];
        const overlap =
          offsets.get(a)! < offsets.get(b)! + b.bytes && offsets.get(b)! < offsets.get(a)! + a.bytes;
        expect(together && overlap).toBe(false);
      });
    });
  });
  fc.assert(property, { numRuns: 200 });
});

test("a chain of products needs the memory of two results, however long it is", () => {
  const plan = planOfModel({ x: float32(64, 64), w: float32(64, 64) }, ({ x, w }) => {
    let y = x;
    for (let i = 0; i < 20; i++) y = tanh(matmul(mul(y, 0.5), w));
    return { outputs: { y } };
  });
  expect(plan.arenaBytes).toBeLessThanOrEqual(2 * 64 * 64 * 4);
});
