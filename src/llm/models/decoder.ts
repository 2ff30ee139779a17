/**
 * @file What a decoder-only language model is to everything that runs it: its shape, the tensors it needs, and its
 * three pieces of graph – what lies before a layer's attention, what lies behind it, and the head.
 *
 * Attention itself is no part of a model's graph: it runs over a cache whose entries a policy chooses, so whoever
 * holds the cache computes it, with the rotation, mask and scale that {@link DecoderConfig} states.
 */
import type { HalfDType } from "../../base/dtype.ts";
import type { Tensor } from "../../engine/graph/node.ts";
import type { Shape } from "../../base/shape.ts";
import type { Activation } from "./activation.ts";
import type { RotaryConfig } from "./rotary.ts";

/** The shape of a model. */
export interface DecoderConfig {
  readonly family: "llama" | "gpt2" | "gptj" | "mpt";
  /** What `config.json` calls it, e.g. `mistral`; `llama2.c` for that format. */
  readonly modelType: string;
  readonly layers: number;
  /** Elements of a hidden state. */
  readonly hiddenSize: number;
  /** Query heads. */
  readonly heads: number;
  /** Heads of keys and values; query head h reads head ⌊h / (heads / kvHeads)⌋. */
  readonly kvHeads: number;
  readonly headDim: number;
  /** Elements between the two products of an MLP. */
  readonly intermediateSize: number;
  readonly vocabSize: number;
  /** Positions the model was made for; with learned positions no later one exists. */
  readonly maxPositions: number;
  readonly normEpsilon: number;
  readonly activation: Activation;
  /** How queries and keys are rotated; null when they are not. */
  readonly rotary: RotaryConfig | null;
  /** What a query's logits lose with each position between it and the key, for each head (ALiBi); null for nothing. */
  readonly alibiSlopes: readonly number[] | null;
  /** Positions have embeddings, so that none lies beyond `maxPositions`. */
  readonly hasLearnedPositions: boolean;
  /** The head's matrix is the embedding's. */
  readonly tieWordEmbeddings: boolean;
  /** Linear layers that have a bias, besides those that a family always has. */
  readonly biases: { readonly queryKeyValue: boolean; readonly output: boolean; readonly mlp: boolean };
  /** RMSNorm over each head of queries and keys before they are rotated (Qwen3). */
  readonly hasHeadNorm: boolean;
  /** Queries, keys and values are cut to ± this (MPT); null for no limit. */
  readonly clip: number | null;
  /** What logits of tokens are multiplied by. */
  readonly logitScale: number;
  /** A query of a layer at position p sees keys at positions above p − slidingWindow(layer); null for all. */
  readonly slidingWindow: (layer: number) => number | null;
  /** What products of queries and keys are multiplied by, for each layer. */
  readonly attentionScale: (layer: number) => number;
  /** Tokens after which a text is over. */
  readonly eosTokenIds: readonly number[];
}

/** Queries, keys and values of some rows. */
export interface Projection {
  /** `[rows, heads · headDim]` */
  q: Tensor;
  /** `[rows, kvHeads · headDim]` */
  k: Tensor;
  /** `[rows, kvHeads · headDim]` */
  v: Tensor;
}

/** How a model's graph is written. */
export interface DecoderLayout {
  /** Element type of states and rows; logits are float32 always. Defaults to float32. */
  dtype?: "float32" | HalfDType;
  /**
   * Matrices that multiply the same rows are stacked into one state, and every matrix is `[outputs, inputs]`: fewer and
   * larger products, but states are not the tensors of a file any more. Defaults to false.
   */
  isMerged?: boolean;
}

/** What a state is made of. */
export interface StateSource {
  readonly shape: Shape;
  /** Tensors of the file, stacked along their first axis. */
  readonly from: readonly string[];
  /** The one tensor that it is made of is turned: `[outputs, inputs]` from `[inputs, outputs]`. */
  readonly isTurned: boolean;
}

/** A model as pieces of graph over named states. */
export interface Decoder {
  readonly config: DecoderConfig;
  /** Element type of states and of all rows but logits. */
  readonly dtype: "float32" | HalfDType;
  /** Shapes of a file's tensors, by the names that Hugging Face gives them. */
  readonly tensors: ReadonlyMap<string, Shape>;
  /** The states of the graph and the tensors that each is made of; the tensors themselves unless the layout is merged. */
  readonly states: ReadonlyMap<string, StateSource>;
  /** What stands before a layer's number in the names of its states: layers differ in nothing else. */
  readonly layerPrefix: string;
  /**
   * Hidden states before the first layer.
   * @param tokens int32 `[rows]`
   * @param positions int32 `[rows]`; a family without learned positions leaves them unread
   * @returns `[rows, width]`
   */
  embed(tokens: Tensor, positions: Tensor): Tensor;
  /** Queries, keys and values of a layer from the hidden states `[rows, width]` before it; not yet rotated. */
  project(layer: number, hidden: Tensor): Projection;
  /** The same side by side, `[rows, (heads + 2 · kvHeads) · headDim]`. */
  projectAll(layer: number, hidden: Tensor): Tensor;
  /** Hidden states behind a layer. @param attended what attention gave, `[rows, heads · headDim]` */
  finish(layer: number, hidden: Tensor, attended: Tensor): Tensor;
  /** Logits `[rows, vocabulary]` from the hidden states behind the last layer. */
  head(hidden: Tensor): Tensor;
}
