/** @file `config.json` of GPT-2 and Cerebras-GPT. */
import { z } from "zod";
import type { DecoderConfig } from "../../models/decoder.ts";
import { count, eosTokenIds, geluOf, headWidth, layerCount, parse } from "./parse.ts";

const gpt2Schema = z.object({
  n_embd: count,
  n_layer: layerCount,
  n_head: count,
  n_inner: count.nullish(),
  n_positions: count.default(1024),
  vocab_size: count,
  layer_norm_epsilon: z.number().positive().default(1e-5),
  activation_function: z.string().default("gelu_new"),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(true),
  add_cross_attention: z.literal(false).default(false),
  eos_token_id: eosTokenIds,
});

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
    activation: geluOf(c.activation_function, where),
    rotary: null,
    tieWordEmbeddings: c.tie_word_embeddings,
    biases: { queryKeyValue: true, output: true, mlp: true },
    alibiSlopes: null,
    hasLearnedPositions: true,
    clip: null,
    logitScale: 1,
    hasHeadNorm: false,
    slidingWindow: null,
    attentionScale: (layer) => (c.scale_attn_by_inverse_layer_idx ? scale / (layer + 1) : scale),
    eosTokenIds: c.eos_token_id,
  };
}
