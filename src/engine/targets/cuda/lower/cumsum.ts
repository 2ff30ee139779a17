/** @file Rule of running sums along any axis. */
import type { Tensor } from "../../../graph/node.ts";
import { alongAxis, elementType } from "./axes.ts";
import { elementwise, int32, int64, kernelStep, reads, writes } from "./kernelStep.ts";
import type { LowerRule } from "./lowering.ts";

/** Rows up to this length are left to a warp. */
const WARP_LENGTH = 512;

/** Rule of cumsum. */
export const lowerCumsum: LowerRule<"cumsum"> = ({ inputs, outputs, attrs }, context) => {
  const [x, y] = [inputs[0]!, outputs[0]!] as [Tensor, Tensor];
  const { outer, length, inner } = alongAxis(x, attrs.axis);
  const lines = outer * inner;
  if (lines * length === 0) return;
  const [threads, rows] = length <= WARP_LENGTH ? [32, 8] : [256, 1];
  const common = {
    file: "cumsum",
    defines: { ELEMENT: elementType(x), THREADS: threads, ROWS: rows },
    about: x,
  };
  const operands = [reads(context, x), writes(context, y)];
  context.emit(
    inner === 1
      ? kernelStep({
          ...common,
          name: "cumsumRows",
          grid: [Math.ceil(outer / rows), 1, 1],
          block: [threads * rows, 1, 1],
          arguments: [...operands, int32(outer), int32(length)],
        })
      : kernelStep({
          ...common,
          name: "cumsumColumns",
          ...elementwise(lines),
          arguments: [...operands, int64(lines), int32(length), int32(inner)],
        }),
  );
};
