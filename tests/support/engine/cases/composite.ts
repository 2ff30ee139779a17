/** @file Cases of the composites; gradient ops are reached as the engine reaches them, by differentiation. */
import { backpropagate } from "../../../../src/engine/autodiff.ts";
import type { Tensor } from "../../../../src/engine/graph/node.ts";
import { crossEntropy } from "../../../../src/engine/graph/ops/composite/crossEntropy.ts";
import { featureInteraction } from "../../../../src/engine/graph/ops/composite/featureInteraction.ts";
import { layerNorm } from "../../../../src/engine/graph/ops/composite/layerNorm.ts";
import { rmsNorm } from "../../../../src/engine/graph/ops/composite/rmsNorm.ts";
import { lstmCell } from "../../../../src/engine/graph/ops/composite/lstmCell.ts";
import { add, mul, tanh } from "../../../../src/engine/graph/ops/elementwise.ts";
import { softmax } from "../../../../src/engine/graph/ops/reduce.ts";
import { scan } from "../../../../src/engine/graph/ops/scan.ts";
import type { Shape } from "../../../../src/base/shape.ts";
import { float, given, int, opCase, type OpCase } from "../opCase.ts";

/** The rows that kernels treat differently: narrow, odd, one lane short of a vector, wider than a block of threads. */
const rows: readonly { name: string; shape: Shape }[] = [
  { name: "narrow rows", shape: [5, 3] },
  { name: "odd rows", shape: [3, 65] },
  { name: "rows of vectors", shape: [2, 3, 128] },
  { name: "one wide row", shape: [1, 200] },
  { name: "one element", shape: [3, 1] },
  { name: "one axis", shape: [17] },
  { name: "no rows", shape: [0, 3] },
];
/** Rows that would take central differences too long. */
const wide: typeof rows = [
  { name: "rows of many vectors", shape: [2, 1000] },
  { name: "a row wider than a block", shape: [2, 5003] },
  { name: "a row of a long vocabulary", shape: [1, 40_000] },
];
const tooWide = { noFiniteDifference: "too many elements" };

const width = ({ shape }: { shape: Shape }) => [shape.at(-1)!];

const softmaxGradientOf = (x: Tensor, g: Tensor) => backpropagate([softmax(x)], [g], [x])[0]!;

const normalise = (x: Tensor, weight: Tensor, bias: Tensor) => layerNorm(x, weight, bias);

const scaleRows = (x: Tensor, weight: Tensor) => rmsNorm(x, weight);

const layerNormGradientsOf = (x: Tensor, weight: Tensor, bias: Tensor, g: Tensor) =>
  backpropagate([layerNorm(x, weight, bias)], [g], [x, weight, bias]).map((t) => t!);

const crossEntropyGradientOf = (logits: Tensor, targets: Tensor, g: Tensor) =>
  backpropagate([crossEntropy(logits, targets)], [g], [logits])[0]!;

const lstmCellGradientsOf = (gates: Tensor, c: Tensor, dh: Tensor, dc: Tensor) =>
  backpropagate(lstmCell(gates, c), [dh, dc], [gates, c]).map((t) => t!);

const featureInteractionGradientsOf = (x: Tensor, rows: Tensor, g: Tensor) =>
  backpropagate([featureInteraction(x, rows)], [g], [x, rows]).map((t) => t!);

/** Samples of a vector of D and T rows beside it. */
const samples: readonly { name: string; batch: number; tables: number; dim: number }[] = [
  { name: "plain", batch: 2, tables: 3, dim: 4 },
  { name: "DLRM's shape", batch: 9, tables: 26, dim: 16 },
  { name: "odd vectors", batch: 5, tables: 4, dim: 7 },
  { name: "vectors of two, one row", batch: 3, tables: 1, dim: 2 },
  { name: "vectors of one", batch: 7, tables: 2, dim: 1 },
  { name: "long vectors", batch: 3, tables: 4, dim: 70 },
  { name: "no rows", batch: 3, tables: 0, dim: 4 },
  { name: "no width", batch: 3, tables: 2, dim: 0 },
  { name: "empty batch", batch: 0, tables: 3, dim: 4 },
];
/** Samples that would take central differences too long. */
const larger: typeof samples = [
  { name: "more features than a warp has lanes", batch: 3, tables: 39, dim: 6 },
  { name: "more features than two rows a lane", batch: 3, tables: 70, dim: 5 },
  { name: "more samples than warps in flight", batch: 12_301, tables: 3, dim: 3 },
  { name: "a sample that fits shared memory once", batch: 2, tables: 239, dim: 8 },
  { name: "a sample larger than shared memory", batch: 2, tables: 341, dim: 3 },
];
const interactionOperands = ({ batch, tables, dim }: (typeof samples)[number]) => [
  float([batch, dim]),
  float([batch, tables, dim]),
];
/** A gradient of the result; smaller for many features, as what sums of many terms of either sign leave is. */
const interactionResult = ({ batch, tables, dim }: (typeof samples)[number]) => {
  const most = tables > 100 ? 0.1 : 2;
  return float([batch, dim + (tables * (tables + 1)) / 2], -most, most);
};

/** Cells of B × H. */
const cells: readonly { name: string; batch: number; hidden: number }[] = [
  { name: "plain", batch: 2, hidden: 3 },
  { name: "vectors", batch: 3, hidden: 8 },
  { name: "one unit", batch: 1, hidden: 1 },
  { name: "odd", batch: 5, hidden: 13 },
  { name: "empty batch", batch: 0, hidden: 4 },
];

/** A loop whose step is an lstmCell over a captured weight. */
function lstmLoop(x: Tensor, h: Tensor, c: Tensor, w: Tensor): Tensor[] {
  const { carries, outputs } = scan(
    ([hNow, cNow], [slice]) => {
      const [hNext, cNext] = lstmCell(add(slice!, mul(tanh(slice!), w)), add(cNow!, hNow!));
      return { carries: [hNext, cNext], outputs: [hNext] };
    },
    { init: [h, c], xs: [x] },
  );
  return [...carries, ...outputs];
}

/** Cases by op. */
export const compositeCases = {
  softmaxGradient: [
    ...rows.map((r) => opCase(r.name, [float(r.shape), float(r.shape)], softmaxGradientOf)),
    ...wide.map((r) => opCase(r.name, [float(r.shape), float(r.shape)], softmaxGradientOf, tooWide)),
  ],
  rmsNorm: [
    ...rows.map((r) => opCase(r.name, [float(r.shape), float(width(r))], scaleRows)),
    ...wide.map((r) => opCase(r.name, [float(r.shape), float(width(r))], scaleRows, tooWide)),
    opCase("an epsilon that counts", [float([3, 5]), float([5])], (x, w) => rmsNorm(x, w, 0.5)),
    opCase("no width", [float([3, 0]), float([0])], scaleRows),
  ],
  layerNorm: [
    ...rows
      .filter((r) => r.name !== "one element")
      .map((r) => opCase(r.name, [float(r.shape), float(width(r)), float(width(r))], normalise)),
    ...wide.map((r) =>
      opCase(r.name, [float(r.shape), float(width(r)), float(width(r))], normalise, tooWide),
    ),
    opCase("one element", [float([3, 1]), float([1]), float([1])], normalise),
    opCase("an epsilon that counts", [float([3, 5]), float([5]), float([5])], (x, w, b) =>
      layerNorm(x, w, b, 0.5),
    ),
    opCase("rows far from 0", [float([3, 64], 9, 11), float([64]), float([64])], normalise, {
      noFiniteDifference: "cancellation",
    }),
    opCase("no width", [float([3, 0]), float([0]), float([0])], normalise),
  ],
  layerNormGradient: [
    ...rows.map((r) =>
      opCase(
        r.name,
        [float(r.shape), float(width(r)), float(width(r)), float(r.shape)],
        layerNormGradientsOf,
      ),
    ),
    ...wide.map((r) =>
      opCase(
        r.name,
        [float(r.shape), float(width(r)), float(width(r)), float(r.shape)],
        layerNormGradientsOf,
        tooWide,
      ),
    ),
    opCase(
      "many rows",
      [float([700, 5]), float([5]), float([5]), float([700, 5])],
      layerNormGradientsOf,
      tooWide,
    ),
  ],
  crossEntropy: [
    ...rows.map((r) =>
      opCase(r.name, [float(r.shape), int(r.shape.slice(0, -1), 0, width(r)[0]!)], crossEntropy),
    ),
    ...wide.map((r) =>
      opCase(r.name, [float(r.shape), int(r.shape.slice(0, -1), 0, width(r)[0]!)], crossEntropy, tooWide),
    ),
    opCase("targets that are no class", [float([4, 5]), given("int32", [4], [2, -1, 5, 0])], crossEntropy),
    opCase(
      "large logits",
      [given("float", [2, 3], [1000, 999, 0, -1000, -1001, -2000]), given("int32", [2], [1, 0])],
      crossEntropy,
      { noFiniteDifference: "saturated" },
    ),
  ],
  crossEntropyGradient: [
    ...rows.map((r) =>
      opCase(
        r.name,
        [float(r.shape), int(r.shape.slice(0, -1), 0, width(r)[0]!), float(r.shape.slice(0, -1))],
        crossEntropyGradientOf,
      ),
    ),
    ...wide.map((r) =>
      opCase(
        r.name,
        [float(r.shape), int(r.shape.slice(0, -1), 0, width(r)[0]!), float(r.shape.slice(0, -1))],
        crossEntropyGradientOf,
        tooWide,
      ),
    ),
    opCase(
      "targets that are no class",
      [float([4, 5]), given("int32", [4], [2, -1, 5, 0]), float([4])],
      crossEntropyGradientOf,
    ),
  ],
  featureInteraction: [
    ...samples.map((s) => opCase(s.name, interactionOperands(s), featureInteraction)),
    ...larger.map((s) => opCase(s.name, interactionOperands(s), featureInteraction, tooWide)),
  ],
  featureInteractionGradient: [
    ...samples.map((s) =>
      opCase(s.name, [...interactionOperands(s), interactionResult(s)], featureInteractionGradientsOf),
    ),
    ...larger.map((s) =>
      opCase(
        s.name,
        [...interactionOperands(s), interactionResult(s)],
        featureInteractionGradientsOf,
        tooWide,
      ),
    ),
  ],
  lstmCell: [
    ...cells.map(({ name, batch, hidden }) =>
      opCase(name, [float([batch, 4 * hidden]), float([batch, hidden])], lstmCell),
    ),
    opCase("in a loop", [float([4, 2, 12]), float([2, 3]), float([2, 3]), float([12])], lstmLoop),
    opCase("saturated gates", [float([2, 16], -60, 60), float([2, 4])], lstmCell, {
      noFiniteDifference: "saturated",
    }),
    opCase(
      "only the next cell is used",
      [float([2, 12]), float([2, 3])],
      (gates, c) => lstmCell(gates, c)[1],
    ),
  ],
  lstmCellGradient: cells.map(({ name, batch, hidden }) =>
    opCase(
      name,
      [float([batch, 4 * hidden]), float([batch, hidden]), float([batch, hidden]), float([batch, hidden])],
      lstmCellGradientsOf,
    ),
  ),
} satisfies Record<string, readonly OpCase[]>;
