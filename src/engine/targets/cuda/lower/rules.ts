/** @file Every op that has kernels of its own; the compiler generates code for all others. */
import type { OpName } from "../../../graph/opAttrs.ts";
import { lowerArgmax } from "./argmax.ts";
import { lowerAttention, lowerAttentionGradient } from "./attention.ts";
import { lowerConv1d, lowerConv1dInputGradient, lowerConv1dKernelGradient } from "./conv1d.ts";
import { lowerCrossEntropy, lowerCrossEntropyGradient } from "./crossEntropy.ts";
import { lowerCumsum } from "./cumsum.ts";
import {
  lowerDotInteraction,
  lowerDotInteractionGradient,
  lowerFeatureInteraction,
  lowerFeatureInteractionGradient,
} from "./dotInteraction.ts";
import { lowerLayerNorm, lowerLayerNormGradient } from "./layerNorm.ts";
import type { LowerRule } from "./lowering.ts";
import { lowerLstmCell, lowerLstmCellGradient } from "./lstmCell.ts";
import { lowerLstmScan, lowerLstmScanGradient } from "./lstmScan.ts";
import { lowerRmsNorm } from "./rmsNorm.ts";
import { lowerScan } from "./scan.ts";
import { lowerScatterAdd } from "./scatterAdd.ts";
import { lowerSoftmax, lowerSoftmaxGradient } from "./softmax.ts";

/** Rules by op. An op that has neither a rule nor generated code is a compile error here. */
export const rules: { readonly [K in Exclude<OpName, GeneratedOp>]: LowerRule<K> } = {
  argmax: lowerArgmax,
  attention: lowerAttention,
  attentionGradient: lowerAttentionGradient,
  conv1d: lowerConv1d,
  conv1dInputGradient: lowerConv1dInputGradient,
  conv1dKernelGradient: lowerConv1dKernelGradient,
  crossEntropy: lowerCrossEntropy,
  crossEntropyGradient: lowerCrossEntropyGradient,
  cumsum: lowerCumsum,
  dotInteraction: lowerDotInteraction,
  dotInteractionGradient: lowerDotInteractionGradient,
  featureInteraction: lowerFeatureInteraction,
  featureInteractionGradient: lowerFeatureInteractionGradient,
  layerNorm: lowerLayerNorm,
  layerNormGradient: lowerLayerNormGradient,
  lstmCell: lowerLstmCell,
  lstmCellGradient: lowerLstmCellGradient,
  lstmScan: lowerLstmScan,
  lstmScanGradient: lowerLstmScanGradient,
  rmsNorm: lowerRmsNorm,
  scan: lowerScan,
  scatterAdd: lowerScatterAdd,
  softmax: lowerSoftmax,
  softmaxGradient: lowerSoftmaxGradient,
};

/** Leaves, matrix products, which the compiler matches with their epilogues, and what it generates code for. */
type GeneratedOp =
  | ("input" | "state" | "constant" | "random" | "matmul")
  | (
      | "neg"
      | "abs"
      | "sign"
      | "exp"
      | "log"
      | "sqrt"
      | "sin"
      | "cos"
      | "tanh"
      | "sigmoid"
      | "softplus"
      | "relu"
    )
  | ("erf" | "floor" | "logicalNot" | "cast")
  | ("add" | "sub" | "mul" | "div" | "pow" | "maximum" | "minimum" | "equal" | "less" | "lessEqual")
  | ("logicalAnd" | "logicalOr" | "where")
  | ("reshape" | "broadcastTo" | "transpose" | "slice" | "pad" | "concat" | "flip" | "take" | "gather")
  | ("sum" | "max");
