/** @file Cases of the loop: carries, sequences, closures over outer tensors, both directions, loops in loops. */
import { add, mul, sigmoid, tanh } from "../../../../src/engine/graph/ops/elementwise.ts";
import { full } from "../../../../src/engine/graph/ops/leaf.ts";
import { matmul } from "../../../../src/engine/graph/ops/contraction.ts";
import { sum } from "../../../../src/engine/graph/ops/movement.ts";
import { scan } from "../../../../src/engine/graph/ops/scan.ts";
import { float, int, opCase, type OpCase } from "../opCase.ts";
import type { Tensor } from "../../../../src/engine/graph/node.ts";

/** h ← tanh(h·w + x), giving every h. */
function recurrence(x: Tensor, h: Tensor, w: Tensor, reverse = false): Tensor[] {
  const { carries, outputs } = scan(
    ([now], [slice]) => {
      const next = tanh(add(matmul(now!, w), slice!));
      return { carries: [next], outputs: [next] };
    },
    { init: [h], xs: [x], reverse },
  );
  return [...carries, ...outputs];
}

/** Cases by op. */
export const scanCases = {
  scan: [
    opCase("running sum", [float([5, 3]), float([3])], (x, init) => {
      const { carries, outputs } = scan(
        ([total], [slice]) => ({ carries: [add(total!, slice!)], outputs: [add(total!, slice!)] }),
        { init: [init], xs: [x] },
      );
      return [...carries, ...outputs];
    }),
    opCase("recurrence over a captured weight", [float([4, 2, 3]), float([2, 3]), float([3, 3])], (x, h, w) =>
      recurrence(x, h, w),
    ),
    opCase("reversed", [float([4, 2, 3]), float([2, 3]), float([3, 3])], (x, h, w) =>
      recurrence(x, h, w, true),
    ),
    opCase("only the last carry is used", [float([4, 2, 3]), float([2, 3]), float([3, 3])], (x, h, w) =>
      recurrence(x, h, w).slice(0, 1),
    ),
    opCase("only the outputs are used", [float([4, 2, 3]), float([2, 3]), float([3, 3])], (x, h, w) =>
      recurrence(x, h, w).slice(1),
    ),
    opCase(
      "two carries and two sequences",
      [float([3, 2]), float([3, 2]), float([2]), float([2])],
      (x, y, a, b) => {
        const { carries, outputs } = scan(
          ([c, h], [slice, gate]) => {
            const next = add(mul(sigmoid(gate!), c!), mul(slice!, h!));
            return { carries: [next, tanh(next)], outputs: [mul(next, gate!)] };
          },
          { init: [a, b], xs: [x, y] },
        );
        return [...carries, ...outputs];
      },
    ),
    opCase(
      "no sequence",
      [float([3])],
      (x) =>
        scan(([now]) => ({ carries: [mul(now!, 0.5)], outputs: [now!] }), { init: [x], length: 4 }).outputs,
    ),
    opCase(
      "no carry",
      [float([5, 3])],
      (x) =>
        scan((_, [slice]) => ({ carries: [], outputs: [tanh(slice!), sum(slice!)] }), { init: [], xs: [x] })
          .outputs,
    ),
    opCase("a closure over a computed tensor and a constant", [float([4, 3]), float([3])], (x, w) => {
      const scaled = mul(tanh(w), 2);
      const { carries, outputs } = scan(
        ([now], [slice]) => {
          const next = add(mul(now!, scaled), add(slice!, full([3], 0.5, x.dtype)));
          return { carries: [next], outputs: [mul(next, scaled)] };
        },
        { init: [full([3], 1, x.dtype)], xs: [x] },
      );
      return [...carries, ...outputs];
    }),
    opCase(
      "a loop in a loop, with closures over both",
      [float([3, 4, 2]), float([2]), float([2])],
      (x, w, init) => {
        const { carries, outputs } = scan(
          ([outer], [rows]) => {
            const gate = sigmoid(outer!);
            const inner = scan(
              ([now], [row]) => {
                const next = tanh(add(mul(now!, w), mul(row!, gate)));
                return { carries: [next], outputs: [mul(next, gate)] };
              },
              { init: [outer!], xs: [rows!] },
            );
            return { carries: inner.carries, outputs: inner.outputs };
          },
          { init: [init], xs: [x] },
        );
        return [...carries, ...outputs];
      },
    ),
    opCase("an int32 carry beside a float one", [float([4, 3]), int([], 0, 1)], (x, count) => {
      const { carries, outputs } = scan(
        ([n, total], [slice]) => ({ carries: [add(n!, 1), add(total!, tanh(slice!))], outputs: [n!] }),
        { init: [count, full([3], 0, x.dtype)], xs: [x] },
      );
      return [...carries, ...outputs];
    }),
    opCase("one step", [float([1, 2, 3]), float([2, 3]), float([3, 3])], (x, h, w) => recurrence(x, h, w)),
    opCase("no steps", [float([0, 2, 3]), float([2, 3]), float([3, 3])], (x, h, w) => recurrence(x, h, w)),
    opCase("a batch of nothing", [float([3, 0, 2]), float([0, 2]), float([2, 2])], (x, h, w) =>
      recurrence(x, h, w),
    ),
  ],
} satisfies Record<string, readonly OpCase[]>;
