/** @file The graphs of a protein network: one step of training, and prediction. */
import { grad } from "../../engine/autodiff.ts";
import { trace, type Graph, type StateUpdate } from "../../engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../../engine/graph/node.ts";
import { crossEntropy, logSoftmax } from "../../engine/graph/ops/composite/crossEntropy.ts";
import { add, div, equal, neg, where } from "../../engine/graph/ops/elementwise.ts";
import { full } from "../../engine/graph/ops/leaf.ts";
import { concat, reshape, slice, sum } from "../../engine/graph/ops/movement.ts";
import { softmax } from "../../engine/graph/ops/reduce.ts";
import { sizeOf } from "../../base/shape.ts";
import { dropout, mean } from "../../nn/functional.ts";
import { clipGradientNorm, optimizerUpdates, type DenseOptimizer } from "../../nn/optimizers.ts";
import type { Parameters } from "../../nn/parameters.ts";
import type { ProteinModel } from "../models/proteinModel.ts";
import { DECOY } from "./bucketedBatches.ts";

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

/** Inputs of training: a batch, and a Philox key for each dropout. */
function trainingInputs(model: ProteinModel, { batchSize, length }: BatchShape): Record<string, TensorSpec> {
  const keys = Array.from({ length: model.dropouts }, (_, layer) => [dropoutKey(layer), int32(4)] as const);
  return {
    ids: int32(batchSize, length),
    lengths: int32(batchSize),
    labels: int32(batchSize),
    count: scalar,
    ...Object.fromEntries(keys),
  };
}

/** The loss, its logits, and its gradient by every parameter. */
function differentiate(
  model: ProteinModel,
  t: Record<string, Tensor>,
  { parameters, hasDecoys }: TrainedStates,
) {
  const drop = (x: Tensor, probability: number, layer: number) =>
    dropout(x, probability, t[dropoutKey(layer)]!);
  const { logits } = model.apply(parameters, { ids: t["ids"]!, lengths: t["lengths"]! }, drop);
  const known = crossEntropy(logits, t["labels"]!);
  const losses = hasDecoys ? add(known, decoyLosses(logits, t["labels"]!)) : known;
  const loss = div(sum(losses), t["count"]!);
  return { loss, logits, gradients: grad(loss, parameters.tensors) };
}

/**
 * The cross-entropy of decoys against equal probabilities for all families, −mean log softmax (outlier exposure of
 * Hendrycks, Mazeika and Dietterich 2019, section 3); 0 for other rows.
 */
function decoyLosses(logits: Tensor, labels: Tensor): Tensor {
  const isDecoy = equal(labels, full([], DECOY, "int32"));
  return where(isDecoy, neg(mean(logSoftmax(logits), -1)), full([], 0));
}

/** What a step of training declares and does. */
export interface TrainedStates {
  parameters: Parameters;
  /** Of the optimizer. */
  slots: Parameters;
  /** The joint norm that gradients are scaled down to. */
  gradientNorm: number;
  /** Whether batches hold decoys. */
  hasDecoys: boolean;
}

function updates(
  { parameters, slots, gradientNorm }: TrainedStates,
  gradients: readonly Tensor[],
  t: Record<string, Tensor>,
): StateUpdate[] {
  const clipped = clipGradientNorm(gradients, gradientNorm).gradients;
  return optimizerUpdates(ADAM, slots, parameters.tensors, clipped, t["learningRate"]!, t["step"]!);
}

/**
 * The graph of one step: cross-entropy averaged over the sequences that have a label, gradients clipped to a joint
 * norm, Adam.
 * Inputs: `ids` int32 `[B, T]`, `lengths` int32 `[B]`, `labels` int32 `[B]` (−1 for a row that is not trained on, −2 for a
 * decoy, which is to have no family),
 * `count` `[]` (rows that are), `learningRate` `[]`, `step` `[]` from 1, and a key int32 `[4]` for each dropout.
 * Outputs: `loss` `[]`, `logits` `[B, C]`.
 */
export function traceTraining(model: ProteinModel, shape: BatchShape, states: TrainedStates): Graph {
  const inputs = { ...trainingInputs(model, shape), learningRate: scalar, step: scalar };
  return trace(inputs, (t: Record<string, Tensor>) => {
    const { loss, logits, gradients } = differentiate(model, t, states);
    return { outputs: { loss, logits }, updates: updates(states, gradients, t) };
  });
}

/**
 * The first half of a step for a part of its batch: `count` is that of the whole batch, so that losses and gradients of
 * the parts add up. Outputs: `loss`, `logits`, and `gradients` `[P]`, those of all parameters one after the other.
 */
export function traceGradients(model: ProteinModel, shape: BatchShape, states: TrainedStates): Graph {
  return trace(trainingInputs(model, shape), (t: Record<string, Tensor>) => {
    const { loss, logits, gradients } = differentiate(model, t, states);
    const flat = concat(
      gradients.map((g) => reshape(g, [-1])),
      0,
    );
    return { outputs: { loss, logits, gradients: flat } };
  });
}

/** The second half: from the summed `gradients` `[P]`, `learningRate` and `step` to the next parameters. */
export function traceUpdate(states: TrainedStates): Graph {
  const { parameters } = states;
  const inputs = {
    gradients: { shape: [parameters.size], dtype: "float32" as const },
    learningRate: scalar,
    step: scalar,
  };
  return trace(inputs, (t: Record<string, Tensor>) => {
    let end = 0;
    const gradients = parameters.tensors.map(({ shape }) => {
      const start = end;
      end += sizeOf(shape);
      return reshape(slice(t["gradients"]!, { 0: [start, end] }), shape);
    });
    return { outputs: {}, updates: updates(states, gradients, t) };
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
