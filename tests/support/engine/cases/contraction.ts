/** @file Cases of the contractions; the gradient ops are reached as the engine reaches them, by differentiation. */
import { backpropagate } from "../../../../src/engine/autodiff.ts";
import type { Tensor } from "../../../../src/engine/graph/node.ts";
import { conv1d, dotInteraction, matmul } from "../../../../src/engine/graph/ops/contraction.ts";
import type { Shape } from "../../../../src/base/shape.ts";
import { float, opCase, type OpCase } from "../opCase.ts";

type ConvOptions = NonNullable<Parameters<typeof conv1d>[2]>;

const convolutions: readonly { name: string; x: Shape; w: Shape; y: Shape; options: ConvOptions }[] = [
  { name: "plain", x: [2, 3, 7], w: [4, 3, 3], y: [2, 4, 5], options: {} },
  { name: "padding", x: [2, 3, 5], w: [2, 3, 3], y: [2, 2, 5], options: { padding: 1 } },
  { name: "padding of one side", x: [1, 2, 5], w: [3, 2, 3], y: [1, 3, 5], options: { padding: [2, 0] } },
  { name: "stride", x: [2, 2, 9], w: [3, 2, 3], y: [2, 3, 4], options: { stride: 2 } },
  { name: "stride that leaves a rest", x: [1, 2, 10], w: [3, 2, 3], y: [1, 3, 3], options: { stride: 3 } },
  { name: "dilation", x: [2, 2, 9], w: [3, 2, 3], y: [2, 3, 5], options: { dilation: 2 } },
  { name: "groups", x: [2, 4, 6], w: [6, 2, 3], y: [2, 6, 4], options: { groups: 2 } },
  { name: "depthwise", x: [1, 3, 6], w: [3, 1, 2], y: [1, 3, 5], options: { groups: 3 } },
  {
    name: "all options",
    x: [2, 4, 17],
    w: [2, 2, 3],
    y: [2, 2, 9],
    options: { stride: 2, dilation: 2, padding: [3, 1], groups: 2 },
  },
  { name: "kernel of one", x: [1, 3, 5], w: [2, 3, 1], y: [1, 2, 5], options: {} },
  { name: "one step", x: [2, 1, 3], w: [1, 1, 3], y: [2, 1, 1], options: {} },
  { name: "empty batch", x: [0, 3, 7], w: [4, 3, 3], y: [0, 4, 5], options: {} },
];

/** The gradient of conv1d by operand `i`, as a function of the operands and dL/dy. */
function convGradient(i: 0 | 1, options: ConvOptions) {
  return (x: Tensor, w: Tensor, g: Tensor) => backpropagate([conv1d(x, w, options)], [g], [x, w])[i]!;
}

/** The gradient of dotInteraction, as a function of the operand and dL/dy. */
const interactionGradient = (x: Tensor, g: Tensor) => backpropagate([dotInteraction(x)], [g], [x])[0]!;

/** Cases by op. */
export const contractionCases = {
  matmul: [
    opCase("plain", [float([3, 5]), float([5, 2])], (a, b) => matmul(a, b)),
    opCase("transposeA", [float([5, 3]), float([5, 2])], (a, b) => matmul(a, b, { transposeA: true })),
    opCase("transposeB", [float([3, 5]), float([2, 5])], (a, b) => matmul(a, b, { transposeB: true })),
    opCase("both transposed", [float([5, 3]), float([2, 5])], (a, b) =>
      matmul(a, b, { transposeA: true, transposeB: true }),
    ),
    opCase("odd lengths", [float([17, 65]), float([65, 3])], (a, b) => matmul(a, b)),
    opCase("one element", [float([1, 1]), float([1, 1])], (a, b) => matmul(a, b)),
    opCase("batch", [float([2, 3, 5]), float([2, 5, 2])], (a, b) => matmul(a, b)),
    opCase("batch of one operand", [float([2, 3, 5]), float([5, 2])], (a, b) => matmul(a, b)),
    opCase("broadcast batches", [float([2, 1, 3, 5]), float([3, 5, 2])], (a, b) => matmul(a, b)),
    opCase("broadcast batches, transposed", [float([1, 5, 3]), float([4, 2, 5])], (a, b) =>
      matmul(a, b, { transposeA: true, transposeB: true }),
    ),
    opCase("inner length 0", [float([3, 0]), float([0, 2])], (a, b) => matmul(a, b)),
    opCase("no rows", [float([0, 5]), float([5, 2])], (a, b) => matmul(a, b)),
    opCase("empty batch", [float([0, 3, 5]), float([5, 2])], (a, b) => matmul(a, b)),
  ],
  conv1d: convolutions.map(({ name, x, w, options }) =>
    opCase(name, [float(x), float(w)], (a, b) => conv1d(a, b, options)),
  ),
  conv1dInputGradient: convolutions.map(({ name, x, w, y, options }) =>
    opCase(name, [float(x), float(w), float(y)], convGradient(0, options)),
  ),
  conv1dKernelGradient: convolutions.map(({ name, x, w, y, options }) =>
    opCase(name, [float(x), float(w), float(y)], convGradient(1, options)),
  ),
  dotInteraction: [
    opCase("plain", [float([2, 4, 3])], (x) => dotInteraction(x)),
    opCase("odd lengths", [float([3, 17, 5])], (x) => dotInteraction(x)),
    opCase("two features", [float([5, 2, 1])], (x) => dotInteraction(x)),
    opCase("DLRM's shape", [float([9, 27, 16])], (x) => dotInteraction(x)),
    opCase("more features than a warp has lanes", [float([3, 40, 6])], (x) => dotInteraction(x)),
    opCase("long vectors", [float([2, 5, 70])], (x) => dotInteraction(x)),
    opCase("a sample larger than shared memory", [float([2, 341, 1])], (x) => dotInteraction(x), {
      noFiniteDifference: "too many elements",
    }),
    opCase("one feature", [float([2, 1, 3])], (x) => dotInteraction(x)),
    opCase("no width", [float([2, 3, 0])], (x) => dotInteraction(x)),
    opCase("empty batch", [float([0, 4, 3])], (x) => dotInteraction(x)),
  ],
  dotInteractionGradient: [
    opCase("plain", [float([2, 4, 3]), float([2, 6])], interactionGradient),
    opCase("odd", [float([3, 5, 7]), float([3, 10])], interactionGradient),
    opCase("DLRM's shape", [float([9, 27, 16]), float([9, 351])], interactionGradient),
    opCase("more features than a warp has lanes", [float([3, 40, 6]), float([3, 780])], interactionGradient),
    opCase("long vectors", [float([2, 5, 70]), float([2, 10])], interactionGradient),
    opCase(
      "a sample larger than shared memory",
      [float([2, 341, 1]), float([2, 57_970])],
      interactionGradient,
      { noFiniteDifference: "too many elements" },
    ),
    opCase("one feature", [float([2, 1, 3]), float([2, 0])], interactionGradient),
    opCase("empty batch", [float([0, 4, 3]), float([0, 6])], interactionGradient),
  ],
} satisfies Record<string, readonly OpCase[]>;
