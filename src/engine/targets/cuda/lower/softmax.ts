/** @file Rules of softmax over the last axis and of its gradient. */
import type { LowerRule } from "./lowering.ts";
import { emitRowKernel } from "./rowKernel.ts";

/** Rule of softmax. */
export const lowerSoftmax: LowerRule<"softmax"> = ({ inputs, outputs }, context) => {
  emitRowKernel(context, { file: "softmax", inputs, output: outputs[0]! });
};

/** Rule of softmax's gradient. */
export const lowerSoftmaxGradient: LowerRule<"softmaxGradient"> = ({ inputs, outputs }, context) => {
  emitRowKernel(context, { file: "softmaxGradient", inputs, output: outputs[0]!, heldRows: 2 });
};
