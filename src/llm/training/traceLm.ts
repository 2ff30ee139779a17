/**
 * @file What a language model is trained on as graph: its loss, and the scoring of texts. Both run a model's own pieces
 * over whole texts, with the op `attention` between them.
 *
 * Parameters, their gradients and the hidden states are float32. On `cuda` queries, keys and values are rounded to
 * bfloat16 before they meet, which tensor cores need.
 */
import { trace, type Graph } from "../../engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../../engine/graph/node.ts";
import { attention } from "../../engine/graph/ops/composite/attention.ts";
import { crossEntropy } from "../../engine/graph/ops/composite/crossEntropy.ts";
import {
  add,
  cast,
  div,
  equal,
  less,
  logicalNot,
  maximum,
  mul,
  sub,
} from "../../engine/graph/ops/elementwise.ts";
import { full } from "../../engine/graph/ops/leaf.ts";
import { reshape, sum, transpose } from "../../engine/graph/ops/movement.ts";
import { max } from "../../engine/graph/ops/reduce.ts";
import { oneHot } from "../../nn/functional.ts";
import type { LossFunction } from "../../nn/training/lossFunction.ts";
import type { UpdateRule } from "../../nn/training/traceStep.ts";
import type { Decoder } from "../models/decoder.ts";
import { rotaryTables, rotateHeads } from "../models/rotaryGraph.ts";
import { initializerOf } from "./initialWeights.ts";
import type { Recipe } from "./recipe.ts";

/** Sizes of a batch. */
export interface TextShape {
  /** B. */
  texts: number;
  /** T. */
  length: number;
}

/** What decides a model's training graph, beside the sizes of a batch. */
export interface LmTraining {
  decoder: Decoder;
  /** Share of elements dropped behind the embedding and behind each layer. */
  dropout: number;
  /** Whether queries, keys and values meet as bfloat16. */
  hasHalfAttention: boolean;
}

/** What is learned about single tokens and positions is not pulled to 0. */
const EMBEDDING = /(^|\.)(wte|wpe|embed_tokens)\.weight$/;

function batchInputs({ texts, length }: TextShape): Record<string, TensorSpec> {
  const rows: TensorSpec = { shape: [texts * length], dtype: "int32" };
  return { tokens: rows, targets: rows, positions: rows };
}

/** Logits `[B·T, vocabulary]`. @param drop called on what a layer adds to the hidden states, by its place */
function logitsOf(
  { decoder, hasHalfAttention }: Pick<LmTraining, "decoder" | "hasHalfAttention">,
  { texts, length }: TextShape,
  t: Record<string, Tensor>,
  drop: (x: Tensor, place: number) => Tensor,
): Tensor {
  const { layers, heads, kvHeads, headDim, rotary, alibiSlopes, attentionScale, slidingWindow } =
    decoder.config;
  const tables = rotary && rotaryTables(rotary, length);
  const split = (x: Tensor, count: number) =>
    transpose(reshape(x, [texts, length, count, headDim]), [0, 2, 1, 3]);
  const turn = (x: Tensor) => (tables ? rotateHeads(x, tables) : x);
  const narrow = (x: Tensor) => (hasHalfAttention ? cast(x, "bfloat16") : x);
  let hidden = drop(decoder.embed(t["tokens"]!, t["positions"]!), 0);
  for (let layer = 0; layer < layers; layer++) {
    const { q, k, v } = decoder.project(layer, hidden);
    const window = slidingWindow(layer);
    const out = attention(
      narrow(turn(split(q, heads))),
      narrow(turn(split(k, kvHeads))),
      narrow(split(v, kvHeads)),
      {
        causal: true,
        scale: attentionScale(layer),
        ...(alibiSlopes && { alibiSlopes }),
        ...(window !== null && { window }),
      },
    );
    const merged = reshape(transpose(out, [0, 2, 1, 3]), [texts * length, heads * headDim]);
    const next = decoder.finish(layer, hidden, cast(merged, "float32"));
    const added = drop(sub(next, hidden), layer + 1);
    hidden = drop === keep ? next : add(hidden, added);
  }
  return decoder.head(hidden);
}

/** No dropout. */
const keep = (x: Tensor): Tensor => x;

/**
 * The cross-entropy averaged over the tokens that count.
 * Inputs: `tokens`, `targets` (−1 where nothing counts), `positions` int32 `[B·T]`. Dropouts: one behind the embedding, one
 * behind each layer.
 */
export function languageModelLoss(training: LmTraining, shape: TextShape): LossFunction {
  const { decoder, dropout: share } = training;
  const { config, tensors } = decoder;
  return {
    inputs: batchInputs(shape),
    dropouts: share > 0 ? config.layers + 1 : 0,
    apply(parameters, t, dropout) {
      for (const [name, size] of tensors) parameters.get(name, size, initializerOf(name, size, config));
      const drop = share > 0 ? (x: Tensor, place: number) => dropout(x, share, place) : keep;
      const losses = crossEntropy(logitsOf(training, shape, t, drop), t["targets"]!);
      return { loss: div(sum(losses), maximum(sum(countOf(t["targets"]!)), full([], 1))) };
    },
  };
}

/** AdamW on gradients clipped to a joint norm; only matrices decay, embeddings and norms do not. */
export function languageModelUpdate({
  beta2,
  weightDecay,
  gradientNorm,
}: Pick<Recipe["optimizer"], "beta2" | "weightDecay" | "gradientNorm">): UpdateRule {
  return {
    optimizer: { kind: "adam", beta2 },
    maxGradientNorm: gradientNorm,
    weightDecay: {
      rate: weightDecay,
      appliesTo: (name, shape) => shape.length === 2 && !EMBEDDING.test(name),
    },
  };
}

/**
 * The graph that scores texts: inputs `tokens`, `targets`, `positions`; outputs for each text `loss` `[B]` (a sum), and
 * `right` `[B]`, the tokens that count and are the most probable.
 */
export function traceScores(
  training: Pick<LmTraining, "decoder" | "hasHalfAttention">,
  shape: TextShape,
): Graph {
  const { texts, length } = shape;
  return trace(batchInputs(shape), (t: Record<string, Tensor>) => {
    const targets = t["targets"]!;
    const logits = logitsOf(training, shape, t, keep);
    const byText = (x: Tensor) => sum(reshape(x, [texts, length]), 1);
    const isBest = cast(equal(logits, max(logits, -1, true)), "float32");
    const right = sum(mul(isBest, oneHot(targets, training.decoder.config.vocabSize)), -1);
    return { outputs: { loss: byText(crossEntropy(logits, targets)), right: byText(right) } };
  });
}

/** 1 where a token counts, else 0. */
function countOf(targets: Tensor): Tensor {
  return cast(logicalNot(less(targets, full([], 0, "int32"))), "float32");
}
