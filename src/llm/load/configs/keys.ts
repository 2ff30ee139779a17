/**
 * @file Keys of `config.json` beside those that are read. Keys that are known to change a model's output must have the
 * value that changes nothing; keys that are known to change nothing are passed over; of the rest the user is told.
 */
import { unsupported } from "../modelErrors.ts";

/** Keys that say nothing about what a model computes when it runs. */
const harmless = new Set(
  [
    // Of every configuration.
    "_name_or_path _commit_hash _attn_implementation_autoset architectures auto_map name_or_path model_type",
    "transformers_version torch_dtype dtype use_cache bos_token_id pad_token_id sep_token_id unk_token_id",
    "decoder_start_token_id output_attentions output_hidden_states output_router_logits return_dict use_return_dict",
    "torchscript tie_last_hidden_states use_bfloat16 return_dict_in_generate output_scores",
    "id2label label2id num_labels problem_type finetuning_task task_specific_params",
    "tokenizer_class prefix chunk_size_feed_forward cross_attention_hidden_size is_decoder gradient_checkpointing",
    "tf_legacy_loss attn_implementation use_flash_attn use_flash_attention unsloth_version unsloth_fixed",
    "unsloth_processed license tags hidden_size_per_head model_max_length n_ctx tokenizer_name mtp_num_layers",
    "num_nextn_predict_layers transformers.js_config base_model_tp_plan keys_to_ignore_at_inference",
    // Of training.
    "initializer_range attention_dropout hidden_dropout resid_pdrop embd_pdrop attn_pdrop emb_pdrop pretraining_tp",
    "router_aux_loss_coef summary_type summary_use_proj summary_activation summary_proj_to_labels",
    "summary_first_dropout reorder_and_upcast_attn initializer_std classifier_dropout hidden_dropout_prob",
    "attention_probs_dropout_prob attn_dropout embedding_dropout",
    // Of MPT: how it was set up and trained, and what transformers leaves unread.
    "init_config init_device verbose embedding_fraction learned_pos_emb loss_fn fc_type",
    // How texts were generated, which transformers takes from generation_config.json alone.
    "do_sample temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size bad_words_ids num_return_sequences num_beams num_beam_groups diversity_penalty",
    "early_stopping max_length min_length max_new_tokens min_new_tokens remove_invalid_values",
    "exponential_decay_length_penalty suppress_tokens begin_suppress_tokens forced_bos_token_id forced_eos_token_id",
  ].flatMap((line) => line.split(" ")),
);

/** Values, besides null, that leave what a model computes as it is, with the keys that change it by any other. */
const byNeutral: readonly (readonly [values: readonly unknown[], ...keys: string[]])[] = [
  [
    [],
    // Experts; logits and states that are scaled.
    "moe_intermediate_size attention_multiplier query_pre_attn_scalar scale_depth dim_model_base attention_scale",
    "softmax_scale attn_scale clip_qkv",
    // What attention sees, and positions.
    "sliding_window_pattern attention_chunk_size no_rope_layer_interval local_attention attention_window_size",
    "global_attn_every_n_layers attn_type_list attention_types rope_local_base_freq mrope_section nope_layer_interval",
    // Biases and norms; weights of another form.
    "qkv_bias use_qkv_bias norm_position kv_lora_rank q_lora_rank quantization compression_config kv_n_heads",
    "altup_num_inputs lora_rank",
  ],
  [[[]], "mlp_only_layers no_rope_layers"],
  [[{}], "pruned_heads per_layer_config"],
  [
    [0],
    "n_routed_experts n_shared_experts shared_expert_intermediate_size attn_logit_softcapping num_kv_shared_layers",
    "final_logit_softcapping logits_soft_cap logit_softcap attn_logit_softcap final_logit_softcap norm_offset",
  ],
  [[0, 1], "num_local_experts num_experts num_experts_per_tok"],
  [[-1], "sliding_window_size"],
  [
    [1],
    "embedding_multiplier residual_multiplier logits_scaling logit_scale scale_emb mup_width_scale embedding_scale",
    "partial_rotary_factor rotary_pct rotary_percentage rope_ratio",
  ],
  [
    [false],
    "use_mup attn_temperature_tuning scale_embeddings scale_embedding use_bidirectional_attention prefix_lm",
    "use_attention_sinks is_encoder_decoder add_cross_attention tie_encoder_decoder rope_interleaved",
    "rotary_interleaved alibi use_alibi use_mrope rope use_nope use_qk_norm qk_norm qk_layernorm use_qk_layernorm",
    "parallel_residual use_parallel_residual parallel_attn norm_after norm_bias attn_output_gate attention_out_bias",
    "use_post_norm zero_centered_rmsnorm add_unit_offset",
  ],
  [[true], "is_causal use_rope use_rotary use_position_embeddings layer_norm_bias use_gated_mlp"],
  [["silu", "swish"], "hidden_activation"],
  [["rope", "rotary", "absolute", "learned"], "position_embedding_type"],
];
const neutral = new Map(
  byNeutral.flatMap(([values, ...lines]) =>
    lines.flatMap((line) => line.split(" ")).map((key) => [key, values] as const),
  ),
);

function isAmong(value: unknown, values: readonly unknown[]): boolean {
  const text = JSON.stringify(value);
  return value === null || values.some((one) => JSON.stringify(one) === text);
}

/**
 * Checks the keys of an object that are not read.
 * @param read keys that are read, whatever their values
 * @param passed further keys that change nothing here
 * @returns keys of which nothing is known
 * @throws ParetoError LLM_UNSUPPORTED for one that would change the output
 */
export function checkKeys(
  json: unknown,
  where: string,
  read: readonly string[],
  passed: readonly string[] = [],
): string[] {
  const known = new Set([...read, ...passed]);
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(json as object)) {
    if (known.has(key)) continue;
    const values = neutral.get(key);
    if (values && !isAmong(value, values)) {
      const wanted = values.map((one) => JSON.stringify(one)).join(" or ");
      throw unsupported(where, key, value, `${key} ${wanted === "" ? "left out" : wanted}`);
    }
    if (values) continue;
    if (!harmless.has(key)) unknown.push(key);
  }
  return unknown;
}
