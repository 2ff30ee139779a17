/** @file Rule of RMS norm. */
import { float32 } from "./kernelStep.ts";
import type { LowerRule } from "./lowering.ts";
import { emitRowKernel } from "./rowKernel.ts";

/** Rule of RMS norm. */
export const lowerRmsNorm: LowerRule<"rmsNorm"> = ({ inputs, outputs, attrs }, context) => {
  emitRowKernel(context, { file: "rmsNorm", inputs, output: outputs[0]!, more: [float32(attrs.epsilon)] });
};
