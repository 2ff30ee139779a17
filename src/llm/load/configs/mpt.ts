/** @file `config.json` of MPT with ALiBi. */
import { z } from "zod";
import type { DecoderConfig } from "../../models/decoder.ts";
import { unsupported } from "../modelErrors.ts";
import { count, eosTokenIds, headWidth, layerCount, parse } from "./parse.ts";

/** What is left out is as transformers has it. */
const attentionSchema = z.object({
  attn_type: z.string().default("multihead_attention"),
  alibi: z.boolean().default(true),
  alibi_bias_max: z.number().positive().default(8),
  clip_qkv: z.number().positive().nullish(),
  qk_ln: z.boolean().default(false),
  softmax_scale: z.number().positive().nullish(),
  prefix_lm: z.boolean().default(false),
});

const schema = z.object({
  d_model: count,
  n_heads: count,
  n_layers: layerCount,
  expansion_ratio: z.number().positive().default(4),
  max_seq_len: count.default(2048),
  vocab_size: count,
  no_bias: z.boolean().default(true),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  norm_type: z.string().default("low_precision_layernorm"),
  logit_scale: z.union([z.number(), z.string()]).nullish(),
  tie_word_embeddings: z.boolean().default(true),
  eos_token_id: eosTokenIds,
  attn_config: attentionSchema.nullish(),
});

/**
 * The slopes of ALiBi (Press et al. 2022) as MPT has them: 2^(−m·most/H), m = 1 … H, for the power of two H that is
 * not below the number of heads; of more slopes than heads every second one first.
 */
export function alibiSlopes(heads: number, most: number): number[] {
  const power = 2 ** Math.ceil(Math.log2(heads));
  const slopes = Array.from({ length: power }, (_, m) => 2 ** ((-(m + 1) * most) / power));
  if (power === heads) return slopes;
  return [...slopes.filter((_, i) => i % 2 === 1), ...slopes.filter((_, i) => i % 2 === 0)].slice(0, heads);
}

/** @throws ParetoError LLM_MODEL_DAMAGED, LLM_UNSUPPORTED */
export function mptConfig(modelType: string, json: unknown, where: string): DecoderConfig {
  const c = parse(schema, json, where);
  const attention = c.attn_config ?? attentionSchema.parse({});
  if (attention.attn_type !== "multihead_attention")
    throw unsupported(where, "this attn_type", attention.attn_type, "multihead_attention");
  if (!attention.alibi) throw unsupported(where, "an MPT without ALiBi", false, "alibi: true");
  if (attention.qk_ln) throw unsupported(where, "a norm of queries and keys", true, "qk_ln: false");
  if (attention.prefix_lm)
    throw unsupported(where, "a prefix that sees itself whole", true, "prefix_lm: false");
  if (!c.norm_type.endsWith("layernorm"))
    throw unsupported(where, "this norm_type", c.norm_type, "layernorm, low_precision_layernorm");
  if (typeof c.logit_scale === "string" && c.logit_scale !== "inv_sqrt_d_model")
    throw unsupported(where, "this logit_scale", c.logit_scale, "a number, inv_sqrt_d_model");
  const headDim = headWidth(c.d_model, c.n_heads, where);
  const scale = attention.softmax_scale ?? 1 / Math.sqrt(headDim);
  const hasBias = !c.no_bias;
  return {
    family: "mpt",
    modelType,
    layers: c.n_layers,
    hiddenSize: c.d_model,
    heads: c.n_heads,
    kvHeads: c.n_heads,
    headDim,
    intermediateSize: Math.floor(c.expansion_ratio * c.d_model),
    vocabSize: c.vocab_size,
    maxPositions: c.max_seq_len,
    normEpsilon: c.layer_norm_epsilon,
    activation: "gelu",
    rotary: null,
    tieWordEmbeddings: c.tie_word_embeddings,
    biases: { queryKeyValue: hasBias, output: hasBias, mlp: hasBias },
    alibiSlopes: alibiSlopes(c.n_heads, attention.alibi_bias_max),
    hasLearnedPositions: false,
    clip: attention.clip_qkv ?? null,
    logitScale:
      c.logit_scale === "inv_sqrt_d_model" ? 1 / Math.sqrt(c.d_model) : ((c.logit_scale as number) ?? 1),
    hasHeadNorm: false,
    slidingWindow: null,
    attentionScale: () => scale,
    eosTokenIds: c.eos_token_id,
  };
}
