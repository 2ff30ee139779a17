/** @file A protein network as graph: its loss in training, and prediction. */
import { trace, type Graph } from "../../engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../../engine/graph/node.ts";
import { crossEntropy, logSoftmax } from "../../engine/graph/ops/composite/crossEntropy.ts";
import { add, div, equal, neg, where } from "../../engine/graph/ops/elementwise.ts";
import { full } from "../../engine/graph/ops/leaf.ts";
import { sum } from "../../engine/graph/ops/movement.ts";
import { softmax } from "../../engine/graph/ops/reduce.ts";
import { mean } from "../../nn/functional.ts";
import { declaredParameters, type Parameters } from "../../nn/parameters.ts";
import type { LossFunction } from "../../nn/training/lossFunction.ts";
import type { UpdateRule } from "../../nn/training/traceStep.ts";
import type { ProteinModel } from "../models/proteinModel.ts";
import { DECOY } from "./bucketedBatches.ts";

/** Adam on gradients clipped to a joint norm. */
export const PROTEIN_UPDATE: UpdateRule = { optimizer: { kind: "adam" }, maxGradientNorm: 5 };

const int32 = (...shape: number[]): TensorSpec => ({ shape, dtype: "int32" });

/** Sizes of a batch. */
export interface BatchShape {
  /** B. */
  batchSize: number;
  /** T. */
  length: number;
}

/**
 * The cross-entropy, summed over the sequences that have a label and divided by `count`, the number of those in the whole
 * batch: losses and gradients of its parts add up.
 * Inputs: `ids` int32 `[B, T]`, `lengths` int32 `[B]`, `labels` int32 `[B]` (−1 for a row that is not trained on, −2 for a
 * decoy, which is to have no family), `count` `[]`. Output: `logits` `[B, C]`.
 * @param hasDecoys whether batches hold decoys; they are taken for padding otherwise
 */
export function proteinLoss(
  model: ProteinModel,
  { batchSize, length }: BatchShape,
  hasDecoys: boolean,
): LossFunction {
  return {
    inputs: {
      ids: int32(batchSize, length),
      lengths: int32(batchSize),
      labels: int32(batchSize),
      count: { shape: [], dtype: "float32" },
    },
    dropouts: model.dropouts,
    apply(parameters, t, dropout) {
      const { logits } = model.apply(parameters, { ids: t["ids"]!, lengths: t["lengths"]! }, dropout);
      const known = crossEntropy(logits, t["labels"]!);
      const losses = hasDecoys ? add(known, decoyLosses(logits, t["labels"]!)) : known;
      return { loss: div(sum(losses), t["count"]!), outputs: { logits } };
    },
  };
}

/**
 * The cross-entropy of decoys against equal probabilities for all families, −mean log softmax (outlier exposure of
 * Hendrycks, Mazeika and Dietterich 2019, section 3); 0 for other rows.
 */
function decoyLosses(logits: Tensor, labels: Tensor): Tensor {
  const isDecoy = equal(labels, full([], DECOY, "int32"));
  return where(isDecoy, neg(mean(logSoftmax(logits), -1)), full([], 0));
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

/** Any sizes, for tracing a network to declare its parameters. */
export const SMALLEST_BATCH: BatchShape = { batchSize: 1, length: 4 };

/** The parameters of a network by name, without a device. */
export function proteinParameters(model: ProteinModel): Parameters {
  return declaredParameters((parameters) => tracePrediction(model, SMALLEST_BATCH, parameters));
}
