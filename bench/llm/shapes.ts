/** @file The shapes of models that are measured with random weights, as their `config.json` has them. */
import { readConfig } from "../../src/llm/load/readConfig.ts";
import type { DecoderConfig } from "../../src/llm/models/decoder.ts";

const files = {
  "MPT-7B": {
    model_type: "mpt",
    d_model: 4096,
    n_heads: 32,
    n_layers: 32,
    max_seq_len: 16_384,
    vocab_size: 50_432,
    attn_config: { alibi: true },
  },
  "GPT-J-6B": {
    model_type: "gptj",
    n_embd: 4096,
    n_layer: 28,
    n_head: 16,
    rotary_dim: 64,
    n_positions: 16_384,
    vocab_size: 50_400,
  },
  "Llama-3-8B": {
    model_type: "llama",
    hidden_size: 4096,
    intermediate_size: 14_336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    vocab_size: 128_256,
    max_position_embeddings: 16_384,
    rope_theta: 500_000,
    rms_norm_eps: 1e-5,
  },
} as const;

/** A model that is measured. */
export type ShapeName = keyof typeof files;

export const shapeNames = Object.keys(files) as ShapeName[];

/** What scripts of peers call them. */
export const peerNames: Readonly<Record<ShapeName, string>> = {
  "MPT-7B": "mpt",
  "GPT-J-6B": "gptj",
  "Llama-3-8B": "llama",
};

/** The shape of a model; the small ones show only that everything runs. */
export function shapeOf(name: ShapeName, isSmall: boolean): DecoderConfig {
  const small = {
    "MPT-7B": { d_model: 64, n_heads: 4, n_layers: 2, vocab_size: 200 },
    "GPT-J-6B": { n_embd: 64, n_layer: 2, n_head: 4, rotary_dim: 8, vocab_size: 200 },
    "Llama-3-8B": {
      hidden_size: 64,
      intermediate_size: 128,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      vocab_size: 200,
    },
  } as const;
  return readConfig(JSON.stringify({ ...files[name], ...(isSmall && small[name]) }), name);
}
