/** @file Rule of argmax along any axis. */
import type { Tensor } from "../../../graph/node.ts";
import { alongAxis, elementType } from "./axes.ts";
import { elementwise, int32, int64, kernelStep, reads, writes } from "./kernelStep.ts";
import type { LowerRule } from "./lowering.ts";
import { rowShape } from "./rowShape.ts";

/** Elements a thread of a warp reads before a row gets a block. */
const ROW_READS = 32;

/** Rule of argmax. */
export const lowerArgmax: LowerRule<"argmax"> = ({ inputs, outputs, attrs }, context) => {
  const [x, y] = [inputs[0]!, outputs[0]!] as [Tensor, Tensor];
  const { outer, length, inner } = alongAxis(x, attrs.axis);
  const size = outer * inner;
  if (size === 0) return;
  const { THREADS, ROWS } = rowShape(length, 1, ROW_READS);
  const common = { file: "argmax", defines: { ELEMENT: elementType(x), THREADS, ROWS }, about: x };
  const operands = [reads(context, x), writes(context, y)];
  context.emit(
    inner === 1
      ? kernelStep({
          ...common,
          name: "argmaxRows",
          grid: [Math.ceil(outer / ROWS), 1, 1],
          block: [THREADS * ROWS, 1, 1],
          arguments: [...operands, int32(outer), int32(length)],
        })
      : kernelStep({
          ...common,
          name: "argmaxColumns",
          ...elementwise(size),
          arguments: [...operands, int64(size), int32(length), int32(inner)],
        }),
  );
};
