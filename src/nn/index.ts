/** @file `pareto/nn`: layers, losses, optimizers, schedules and initial values over the engine's graphs. */
export {
  attention,
  binaryCrossEntropyWithLogits,
  crossEntropy,
  dropout,
  gelu,
  layerNorm,
  logSoftmax,
  mean,
  oneHot,
  rmsNorm,
  scaledDotProductAttention,
} from "./functional.ts";
export { constantFill, normal, orthogonal, uniform, xavierNormal, xavierUniform } from "./initializers.ts";
export type { Initializer } from "./initializers.ts";
export { convolution1d, embedding, linear, mlp } from "./layers.ts";
export type { LayerOptions, MlpInitializers, MlpOptions } from "./layers.ts";
export { clipGradientNorm, optimizerUpdates } from "./optimizers.ts";
export type { DenseOptimizer, OptimizerInputs, WeightDecay } from "./optimizers.ts";
export { declaredParameters, Parameters } from "./parameters.ts";
export { bidirectionalLstm, lstm } from "./recurrent.ts";
export type { LstmOptions } from "./recurrent.ts";
export {
  additiveAttention,
  embeddingConvolution,
  maskSteps,
  maxPool,
  maskedMean,
  lengthMask,
  sequenceConvolution,
  maskedMax,
} from "./sequences.ts";
export { cosineWithWarmup, learningRateAt, polynomialDecay } from "./schedules.ts";
export type { LearningRateSchedule, PolynomialDecay } from "./schedules.ts";
export { summarizeLayers } from "./summary.ts";
export type { LayerSummary } from "./summary.ts";
export { differentiate } from "./training/differentiate.ts";
export type { Dropout, LossFunction, TracedLoss } from "./training/lossFunction.ts";
export { dropoutKey, traceGradients, traceStep, traceUpdate } from "./training/traceStep.ts";
export type { TrainedStates, UpdateRule } from "./training/traceStep.ts";
