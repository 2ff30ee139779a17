/**
 * @file Rule of adding rows at indices, without float atomics: few updates are looked through by every row of the
 * result, many are sorted by row and summed in segments.
 */
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf, tensorBytes } from "../../../../base/shape.ts";
import { elementType } from "./axes.ts";
import { elementwise, int32, int64, kernelStep, reads, writes } from "./kernelStep.ts";
import type { LowerRule } from "./lowering.ts";
import { emitSegmentSum } from "./segmentSum.ts";

/** Comparisons of an index with a row up to which looking is cheaper than sorting, which takes many launches. */
const COMPARISONS_MAX = 2 ** 24;

/** Rule of scatterAdd. */
export const lowerScatterAdd: LowerRule<"scatterAdd"> = ({ inputs, outputs }, context) => {
  const [updates, indices] = inputs as [Tensor, Tensor];
  const y = outputs[0]!;
  const size = sizeOf(y.shape);
  if (size === 0) return;
  const count = sizeOf(indices.shape);
  if (count === 0) {
    context.emit({ kind: "clear", to: context.view(y), bytes: tensorBytes(y) });
    return;
  }
  const rows = y.shape[0]!;
  const width = size / rows;
  if (updates.dtype === "float32" && size * count > COMPARISONS_MAX) {
    emitSegmentSum(context, {
      indices: context.view(indices),
      n: count,
      updates: context.view(updates),
      width,
      out: context.view(y),
      rows,
    });
    return;
  }
  context.emit(
    kernelStep({
      file: "scatterAdd",
      defines: { ELEMENT: elementType(updates) },
      about: updates,
      ...elementwise(size),
      arguments: [
        reads(context, updates),
        reads(context, indices),
        writes(context, y),
        int32(count),
        int32(width),
        int64(size),
      ],
    }),
  );
};
