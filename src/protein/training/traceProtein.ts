/** @file The graphs of a protein network: one step of training, and prediction. */
import { grad } from "../../engine/autodiff.ts";
import { trace, type Graph } from "../../engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../../engine/graph/node.ts";
import { crossEntropy } from "../../engine/graph/ops/composite/crossEntropy.ts";
import { div } from "../../engine/graph/ops/elementwise.ts";
import { sum } from "../../engine/graph/ops/movement.ts";
import { softmax } from "../../engine/graph/ops/reduce.ts";
import { dropout } from "../../nn/functional.ts";
import { clipGradientNorm, optimizerUpdates, type DenseOptimizer } from "../../nn/optimizers.ts";
import type { Parameters } from "../../nn/parameters.ts";
import type { ProteinModel } from "../models/proteinModel.ts";

const ADAM: DenseOptimizer = { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** Name of the input that holds the Philox key of a layer's dropout. */
export const dropoutKey = (layer: number): string => `dropout${layer}`;

const int32 = (...shape: number[]): TensorSpec => ({ shape, dtype: "int32" });
const scalar: TensorSpec = { shape: [], dtype: "float32" };

/** Sizes of a batch. */
export interface BatchShape {
  /** B. */
  batchSize: number;
  /** T. */
  length: number;
}

/**
 * The graph of one step: cross-entropy averaged over the sequences that have a label, gradients clipped to a joint
 * norm, Adam.
 * Inputs: `ids` int32 `[B, T]`, `lengths` int32 `[B]`, `labels` int32 `[B]` (−1 for a row that is not trained on),
 * `count` `[]` (rows that are), `learningRate` `[]`, `step` `[]` from 1, and a key int32 `[4]` for each dropout.
 * Outputs: `loss` `[]`, `logits` `[B, C]`.
 */
export function traceTraining(
  model: ProteinModel,
  { batchSize, length }: BatchShape,
  parameters: Parameters,
  slots: Parameters,
  gradientNorm: number,
): Graph {
  const keys = Array.from({ length: model.dropouts }, (_, layer) => [dropoutKey(layer), int32(4)] as const);
  const inputs: Record<string, TensorSpec> = {
    ids: int32(batchSize, length),
    lengths: int32(batchSize),
    labels: int32(batchSize),
    count: scalar,
    learningRate: scalar,
    step: scalar,
    ...Object.fromEntries(keys),
  };
  return trace(inputs, (t) => {
    const drop = (x: Tensor, probability: number, layer: number) =>
      dropout(x, probability, t[dropoutKey(layer)]!);
    const { logits } = model.apply(parameters, { ids: t["ids"]!, lengths: t["lengths"]! }, drop);
    const loss = div(sum(crossEntropy(logits, t["labels"]!)), t["count"]!);
    const weights = parameters.tensors;
    const { gradients } = clipGradientNorm(grad(loss, weights), gradientNorm);
    const updates = optimizerUpdates(ADAM, slots, weights, gradients, t["learningRate"]!, t["step"]!);
    return { outputs: { loss, logits }, updates };
  });
}

/**
 * The graph of a prediction: `ids` int32 `[B, T]`, `lengths` int32 `[B]` → `probabilities` `[B, C]`, and `attention`
 * `[B, steps]` where it is asked for and the network has it.
 */
export function tracePrediction(
  model: ProteinModel,
  { batchSize, length }: BatchShape,
  parameters: Parameters,
  withAttention = false,
): Graph {
  return trace({ ids: int32(batchSize, length), lengths: int32(batchSize) }, ({ ids, lengths }) => {
    const { logits, attention } = model.apply(parameters, { ids: ids!, lengths: lengths! });
    const outputs = { probabilities: softmax(logits) };
    return { outputs: withAttention && attention ? { ...outputs, attention } : outputs };
  });
}
