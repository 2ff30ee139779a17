/**
 * @file The graphs of a language model in training: one step, and the scoring of texts. Both run a model's own pieces
 * over whole texts, with the op `attention` between them.
 *
 * Parameters, their gradients and the hidden states are float32. On `cuda` queries, keys and values are rounded to
 * bfloat16 before they meet, which tensor cores need.
 */
import { grad } from "../../engine/autodiff.ts";
import { stateName, trace, type Graph, type StateUpdate } from "../../engine/graph/graph.ts";
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
import { reachableNodes } from "../../engine/graph/rewrite.ts";
import { dropout, oneHot } from "../../nn/functional.ts";
import { clipGradientNorm, optimizerUpdates } from "../../nn/optimizers.ts";
import type { Parameters } from "../../nn/parameters.ts";
import type { Decoder } from "../models/decoder.ts";
import { rotaryTables, rotateHeads } from "../models/rotaryGraph.ts";

/** Sizes of a batch. */
export interface TextShape {
  /** B. */
  texts: number;
  /** T. */
  length: number;
}

/** How a model is trained. */
export interface LmTraining {
  decoder: Decoder;
  parameters: Parameters;
  /** Of the optimizer. */
  slots: Parameters;
  beta2: number;
  weightDecay: number;
  gradientNorm: number;
  dropout: number;
  /** Whether queries, keys and values meet as bfloat16. */
  hasHalfAttention: boolean;
}

const scalar: TensorSpec = { shape: [], dtype: "float32" };
const BETA1 = 0.9;
const EPSILON = 1e-8;
/** What is learned about single tokens and positions is not pulled to 0. */
const EMBEDDING = /(^|\.)(wte|wpe|embed_tokens)\.weight$/;

/** Name of the input with the Philox key of a dropout. */
export const dropoutKey = (place: number): string => `dropout${place}`;

/** Dropouts in a training graph: one behind the embedding, one behind each layer. */
export function dropoutCount({ decoder, dropout: share }: Pick<LmTraining, "decoder" | "dropout">): number {
  return share > 0 ? decoder.config.layers + 1 : 0;
}

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
    const out = attention(
      narrow(turn(split(q, heads))),
      narrow(turn(split(k, kvHeads))),
      narrow(split(v, kvHeads)),
      {
        causal: true,
        scale: attentionScale(layer),
        ...(alibiSlopes && { alibiSlopes }),
        ...(slidingWindow !== null && { window: slidingWindow }),
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

/** dL/dstate of each parameter; a tied matrix is read in two places. */
function gradientsOf(loss: Tensor, parameters: Parameters): Tensor[] {
  const reads = new Map<string, Tensor[]>();
  for (const node of reachableNodes([loss])) {
    if (node.op !== "state") continue;
    const read = node.outputs[0]!;
    reads.set(stateName(read), [...(reads.get(stateName(read)) ?? []), read]);
  }
  const all = parameters.names.flatMap((name) => reads.get(name) ?? []);
  const byRead = new Map(grad(loss, all).map((gradient, i) => [all[i]!, gradient]));
  return parameters.names.map((name) =>
    reads
      .get(name)!
      .map((read) => byRead.get(read)!)
      .reduce((a, b) => add(a, b)),
  );
}

/**
 * The graph of one step: cross-entropy averaged over the tokens that count, gradients clipped to a joint norm, AdamW
 * (Loshchilov and Hutter 2019: decay apart from the gradient).
 * Inputs: `tokens`, `targets` (−1 where nothing counts), `positions` int32 `[B·T]`, `learningRate` `[]`, `step` `[]` from
 * 1, and a key int32 `[4]` for each dropout. Output: `loss` `[]`.
 */
export function traceStep(training: LmTraining, shape: TextShape): Graph {
  const { parameters, slots, beta2, weightDecay, gradientNorm, dropout: share } = training;
  const keys = Array.from({ length: dropoutCount(training) }, (_, place) => [
    dropoutKey(place),
    { shape: [4], dtype: "int32" } as TensorSpec,
  ]);
  const inputs = { ...batchInputs(shape), learningRate: scalar, step: scalar, ...Object.fromEntries(keys) };
  return trace(inputs as Record<string, TensorSpec>, (t: Record<string, Tensor>) => {
    const drop = share > 0 ? (x: Tensor, place: number) => dropout(x, share, t[dropoutKey(place)]!) : keep;
    const losses = crossEntropy(logitsOf(training, shape, t, drop), t["targets"]!);
    const loss = div(sum(losses), maximum(sum(countOf(t["targets"]!)), full([], 1)));
    const { gradients } = clipGradientNorm(gradientsOf(loss, parameters), gradientNorm);
    const adam = { kind: "adam", beta1: BETA1, beta2, epsilon: EPSILON } as const;
    const updates = optimizerUpdates(
      adam,
      slots,
      parameters.tensors,
      gradients,
      t["learningRate"]!,
      t["step"]!,
    );
    const decays = (state: Tensor) => state.shape.length === 2 && !EMBEDDING.test(stateName(state));
    const isParameter = new Set(parameters.tensors);
    const decayed = updates.map(([state, value]): StateUpdate => {
      if (weightDecay === 0 || !isParameter.has(state) || !decays(state)) return [state, value];
      return [state, sub(value, mul(state, mul(t["learningRate"]!, weightDecay)))];
    });
    return { outputs: { loss }, updates: decayed };
  });
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
    const right = sum(mul(isBest, oneHot(targets, training.decoder.config.vocabulary)), -1);
    return { outputs: { loss: byText(crossEntropy(logits, targets)), right: byText(right) } };
  });
}

/** 1 where a token counts, else 0. */
function countOf(targets: Tensor): Tensor {
  return cast(logicalNot(less(targets, full([], 0, "int32"))), "float32");
}
