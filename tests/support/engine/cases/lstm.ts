/** @file Cases of the LSTM's loop and its gradient, which is reached by differentiation. */
import { backpropagate } from "../../../../src/engine/autodiff.ts";
import type { Tensor } from "../../../../src/engine/graph/node.ts";
import { lstmScan } from "../../../../src/engine/graph/ops/composite/lstmScan.ts";
import { float, opCase, type OpCase } from "../opCase.ts";

interface Problem {
  readonly name: string;
  readonly steps: number;
  readonly batch: number;
  /** Width of the state of each direction. */
  readonly hidden: readonly number[];
  readonly reverse?: readonly boolean[];
}

const problems: readonly Problem[] = [
  { name: "from the first step", steps: 4, batch: 2, hidden: [3] },
  { name: "from the last step", steps: 4, batch: 2, hidden: [3], reverse: [true] },
  { name: "both directions", steps: 3, batch: 3, hidden: [4, 4], reverse: [false, true] },
  { name: "directions of unequal width", steps: 2, batch: 2, hidden: [2, 5], reverse: [true, false] },
  { name: "three directions", steps: 2, batch: 1, hidden: [2, 2, 2], reverse: [false, true, true] },
  { name: "one step", steps: 1, batch: 2, hidden: [3] },
  { name: "one unit", steps: 3, batch: 1, hidden: [1], reverse: [true] },
  { name: "no steps", steps: 0, batch: 2, hidden: [3] },
  { name: "empty batch", steps: 2, batch: 0, hidden: [3] },
];

/** Widths and batches that blocks treat differently; central differences would take too long. */
const large: readonly Problem[] = [
  { name: "the widest state of a block", steps: 5, batch: 3, hidden: [128, 128], reverse: [false, true] },
  { name: "pairs of rows and a tail", steps: 2, batch: 201, hidden: [128] },
  { name: "groups of rows", steps: 2, batch: 523, hidden: [128], reverse: [true] },
  {
    name: "several groups a block, and a tail",
    steps: 2,
    batch: 1031,
    hidden: [100, 100],
    reverse: [false, true],
  },
  { name: "a narrow state, many rows", steps: 2, batch: 611, hidden: [20] },
  { name: "a state too wide for a block", steps: 3, batch: 5, hidden: [132, 132], reverse: [false, true] },
];
const tooWide = { noFiniteDifference: "too many elements" };

/** For each direction the gates, then the weights, small enough that states do not saturate. */
const operandsOf = ({ steps, batch, hidden }: Problem) =>
  hidden.flatMap((h) => {
    const bound = 1 / Math.sqrt(h);
    return [float([steps, batch, 4 * h]), float([4 * h, h], -bound, bound)];
  });

const run = ({ reverse = [false] }: Problem, operands: readonly Tensor[]): Tensor[] =>
  lstmScan(
    reverse.map((isReverse, d) => ({
      projected: operands[2 * d]!,
      recurrent: operands[2 * d + 1]!,
      reverse: isReverse,
    })),
  );

const scanCase = (p: Problem, rest = {}): OpCase =>
  opCase(p.name, operandsOf(p), (...operands) => run(p, operands), rest);

/** The gradients by the gates, whose decomposition is what second derivatives differentiate. */
const gradientCase = (p: Problem, rest = {}): OpCase => {
  const seeds = p.hidden.map((h) => float([p.steps, p.batch, h]));
  const count = 2 * p.hidden.length;
  return opCase(
    p.name,
    [...operandsOf(p), ...seeds],
    (...all) => {
      const operands = all.slice(0, count);
      return backpropagate(run(p, operands), all.slice(count), operands).map((t) => t!);
    },
    rest,
  );
};

/** Cases by op. */
export const lstmCases = {
  lstmScan: [
    ...problems.map((p) => scanCase(p)),
    ...large.map((p) => scanCase(p, tooWide)),
    opCase(
      "one of two directions is used",
      operandsOf(problems[2]!),
      (...operands) => run(problems[2]!, operands)[1]!,
    ),
    opCase(
      "saturated gates",
      [float([3, 2, 16], -60, 60), float([16, 4])],
      (z, w) => run(problems[0]!, [z, w]),
      { noFiniteDifference: "saturated" },
    ),
  ],
  lstmScanGradient: [...problems.map((p) => gradientCase(p)), ...large.map((p) => gradientCase(p, tooWide))],
} satisfies Record<string, readonly OpCase[]>;
