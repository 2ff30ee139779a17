/** @file `config.json` of MPT with ALiBi. */
import { z } from "zod";
import type { DecoderConfig } from "../../models/decoder.ts";
import { unsupported } from "../modelErrors.ts";
import { checkKeys } from "./keys.ts";
import {
  count,
  eosTokenIds,
  headCount,
  headWidth,
  layerCount,
  orElse,
  parse,
  positionCount,
} from "./parse.ts";

/** What is left out is as transformers has it. */
const attentionSchema = z.object({
  attn_type: orElse(z.string(), "multihead_attention"),
  alibi: orElse(z.boolean(), true),
  alibi_bias_max: orElse(z.number().positive(), 8),
  clip_qkv: z.number().positive().nullish(),
  qk_ln: orElse(z.boolean(), false),
  softmax_scale: z.number().positive().nullish(),
  prefix_lm: orElse(z.boolean(), false),
});

const schema = z.object({
  d_model: count,
  n_heads: headCount,
  n_layers: layerCount,
  expansion_ratio: orElse(z.number().positive().max(1024), 4),
  max_seq_len: orElse(positionCount, 2048),
  vocab_size: count,
  no_bias: orElse(z.boolean(), true),
  layer_norm_epsilon: orElse(z.number().positive(), 1e-5),
  norm_type: orElse(z.string(), "low_precision_layernorm"),
  logit_scale: z.union([z.number(), z.string()]).nullish(),
  tie_word_embeddings: orElse(z.boolean(), true),
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

/** Keys that are read. */
export const mptKeys = [...Object.keys(schema.shape), "ffn_config"];

/** Keys of `attn_config` of which nothing is known. @throws ParetoError LLM_UNSUPPORTED */
export function mptUnknownKeys(json: unknown, where: string): string[] {
  const { attn_config: attention, ffn_config: mlp } = json as Record<string, unknown>;
  const type = (mlp as { ffn_type?: unknown } | null | undefined)?.ffn_type ?? "mptmlp";
  if (type !== "mptmlp") throw unsupported(where, "this ffn_type", type, "mptmlp");
  const passed = [
    "attn_impl",
    "attn_pdrop",
    "attn_uses_sequence_id",
    "rope_theta",
    "rope_impl",
    "rope_dail_config",
    "rope_hf_config",
    "fused_qkv",
  ];
  return checkKeys(attention ?? {}, where, Object.keys(attentionSchema.shape), passed).map(
    (key) => `attn_config.${key}`,
  );
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
    slidingWindow: () => null,
    attentionScale: () => scale,
    eosTokenIds: c.eos_token_id,
  };
}
