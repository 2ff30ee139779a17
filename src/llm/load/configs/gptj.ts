/** @file `config.json` of GPT-J. */
import { z } from "zod";
import type { DecoderConfig } from "../../models/decoder.ts";
import { damagedModel } from "../modelErrors.ts";
import {
  activationFrom,
  count,
  eosTokenIdsOr,
  headCount,
  headWidth,
  layerCount,
  orElse,
  parse,
  positionCount,
} from "./parse.ts";

const schema = z.object({
  n_embd: count,
  n_layer: layerCount,
  n_head: headCount,
  n_inner: count.nullish(),
  n_positions: orElse(positionCount, 2048),
  rotary_dim: count.nullable().default(64),
  vocab_size: count,
  layer_norm_epsilon: orElse(z.number().positive(), 1e-5),
  activation_function: orElse(z.string(), "gelu_new"),
  tie_word_embeddings: orElse(z.boolean(), false),
  eos_token_id: eosTokenIdsOr(50_256),
});

/** Keys that are read. */
export const gptjKeys = Object.keys(schema.shape);

/** @throws ParetoError LLM_MODEL_DAMAGED, LLM_UNSUPPORTED */
export function gptjConfig(modelType: string, json: unknown, where: string): DecoderConfig {
  const c = parse(schema, json, where);
  const headDim = headWidth(c.n_embd, c.n_head, where);
  const dim = c.rotary_dim ?? headDim;
  if (dim % 2 !== 0 || dim > headDim)
    throw damagedModel(where, `rotary_dim must be even and at most ${headDim}`, dim);
  return {
    family: "gptj",
    modelType,
    layers: c.n_layer,
    hiddenSize: c.n_embd,
    heads: c.n_head,
    kvHeads: c.n_head,
    headDim,
    intermediateSize: c.n_inner ?? 4 * c.n_embd,
    vocabSize: c.vocab_size,
    maxPositions: c.n_positions,
    normEpsilon: c.layer_norm_epsilon,
    activation: activationFrom(c.activation_function, where),
    rotary: { dim, theta: 10_000, isInterleaved: true, scaling: { kind: "default" } },
    tieWordEmbeddings: c.tie_word_embeddings,
    biases: { queryKeyValue: false, output: false, mlp: true },
    alibiSlopes: null,
    hasLearnedPositions: false,
    clip: null,
    logitScale: 1,
    hasHeadNorm: false,
    slidingWindow: () => null,
    attentionScale: () => 1 / Math.sqrt(headDim),
    eosTokenIds: c.eos_token_id,
  };
}
