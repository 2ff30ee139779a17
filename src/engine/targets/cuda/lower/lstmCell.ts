/** @file Rules of the LSTM cell and of its gradient. */
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../../base/shape.ts";
import { elementType } from "./axes.ts";
import { elementwise, int64, kernelStep, reads, vectorWidth, writes } from "./kernelStep.ts";
import type { LowerContext, LowerRule } from "./lowering.ts";

function emitCell(
  context: LowerContext,
  name: "lstmCell" | "lstmCellGradient",
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
): void {
  const c = inputs[1]!;
  const hidden = c.shape[1]!;
  if (sizeOf(c.shape) === 0) return;
  const vector = vectorWidth(hidden, c.dtype, ...[...inputs, ...outputs].map((t) => context.view(t)));
  const size = sizeOf(c.shape) / vector;
  context.emit(
    kernelStep({
      file: "lstmCell",
      name,
      defines: { ELEMENT: elementType(c), HIDDEN: hidden, VECTOR: vector },
      about: c,
      ...elementwise(size),
      arguments: [
        ...inputs.map((t) => reads(context, t)),
        ...outputs.map((t) => writes(context, t)),
        int64(size),
      ],
    }),
  );
}

/** Rule of the LSTM cell. */
export const lowerLstmCell: LowerRule<"lstmCell"> = ({ inputs, outputs }, context) => {
  emitCell(context, "lstmCell", inputs, outputs);
};

/** Rule of the LSTM cell's gradient. */
export const lowerLstmCellGradient: LowerRule<"lstmCellGradient"> = ({ inputs, outputs }, context) => {
  emitCell(context, "lstmCellGradient", inputs, outputs);
};
