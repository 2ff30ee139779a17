/** @file `config.json` of GPT-2 and Cerebras-GPT. */
import { z } from "zod";
import type { DecoderConfig } from "../../models/decoder.ts";
import {
  activationFrom,
  count,
  eosTokenIdsOr,
  headCount,
  headWidth,
  layerCount,
  orElse,
  parse,
} from "./parse.ts";

const gpt2Schema = z.object({
  n_embd: count,
  n_layer: layerCount,
  n_head: headCount,
  n_inner: count.nullish(),
  n_positions: orElse(count, 1024),
  vocab_size: count,
  layer_norm_epsilon: orElse(z.number().positive(), 1e-5),
  activation_function: orElse(z.string(), "gelu_new"),
  scale_attn_weights: orElse(z.boolean(), true),
  scale_attn_by_inverse_layer_idx: orElse(z.boolean(), false),
  tie_word_embeddings: orElse(z.boolean(), true),
  eos_token_id: eosTokenIdsOr(50_256),
});

/** Keys that are read. */
export const gpt2Keys = Object.keys(gpt2Schema.shape);

/** @throws ParetoError LLM_MODEL_DAMAGED, LLM_UNSUPPORTED */
export function gpt2Config(modelType: string, json: unknown, where: string): DecoderConfig {
  const c = parse(gpt2Schema, json, where);
  const headDim = headWidth(c.n_embd, c.n_head, where);
  const scale = c.scale_attn_weights ? 1 / Math.sqrt(headDim) : 1;
  return {
    family: "gpt2",
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
    rotary: null,
    tieWordEmbeddings: c.tie_word_embeddings,
    biases: { queryKeyValue: true, output: true, mlp: true },
    alibiSlopes: null,
    hasLearnedPositions: true,
    clip: null,
    logitScale: 1,
    hasHeadNorm: false,
    slidingWindow: () => null,
    attentionScale: (layer) => (c.scale_attn_by_inverse_layer_idx ? scale / (layer + 1) : scale),
    eosTokenIds: c.eos_token_id,
  };
}
