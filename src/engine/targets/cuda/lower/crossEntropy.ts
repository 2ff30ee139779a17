/** @file Rules of cross-entropy and of its gradient. */
import type { LowerRule } from "./lowering.ts";
import { emitRowKernel } from "./rowKernel.ts";

/** Rule of cross-entropy. */
export const lowerCrossEntropy: LowerRule<"crossEntropy"> = ({ inputs, outputs }, context) => {
  emitRowKernel(context, { file: "crossEntropy", inputs, output: outputs[0]! });
};

/** Rule of cross-entropy's gradient. */
export const lowerCrossEntropyGradient: LowerRule<"crossEntropyGradient"> = (
  { inputs, outputs },
  context,
) => {
  emitRowKernel(context, {
    file: "crossEntropy",
    name: "crossEntropyGradient",
    inputs,
    output: outputs[0]!,
  });
};
