/**
 * @file `generation_config.json`: how a model's makers would have its texts generated. Its values are the defaults of
 * the model, as in transformers; what it asks for and is not done here is said by name.
 */
import { z } from "zod";
import type { NoticeEvent } from "../../run/events.ts";
import type { SamplerOptions } from "../generate/sampler.ts";
import { eosTokenIds, parse } from "./configs/parse.ts";
import { parseJsonObject } from "./jsonText.ts";
import { modelNotice, shownNames, shownValue } from "./modelErrors.ts";

/** How a model's texts are generated where the user does not say. */
export interface GenerationDefaults {
  /** Whether tokens are drawn. */
  isSampled: boolean;
  /**
   * The values of the file. They hold for tokens that are drawn, but for `repetitionPenalty`, which always does. Where
   * `isSampled`, temperature and topK are given whatever the file says: 1 and 50 by default, as in transformers.
   */
  sampling: Omit<SamplerOptions, "seed">;
  /** Most new tokens; null where the file does not say. */
  maxNewTokens: number | null;
  /** Most tokens of prompt and new text together; null where the file does not say. */
  maxLength: number | null;
  /** Tokens after which a text is over; none where the file does not say. */
  eosTokenIds: readonly number[];
}

/** transformers' number of tokens to draw from, where a file does not say. */
const TOP_K = 50;

const schema = z.object({
  do_sample: z.boolean().nullish(),
  temperature: z.number().min(0).nullish(),
  top_k: z.int().min(0).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  typical_p: z.number().positive().max(1).nullish(),
  repetition_penalty: z.number().positive().nullish(),
  max_new_tokens: z.int().min(1).nullish(),
  max_length: z.int().min(0).nullish(),
  eos_token_id: eosTokenIds,
});

/** Keys that ask for something that is not done here, by the values, besides null, that ask for nothing. */
const notDone: readonly (readonly [values: readonly unknown[], keys: string])[] = [
  [
    [],
    "bad_words_ids force_words_ids constraints forced_bos_token_id forced_eos_token_id max_time stop_strings top_h exponential_decay_length_penalty sequence_bias watermarking_config dola_layers",
  ],
  [[[]], "suppress_tokens begin_suppress_tokens"],
  [
    [0],
    "no_repeat_ngram_size min_length min_new_tokens encoder_no_repeat_ngram_size epsilon_cutoff eta_cutoff penalty_alpha diversity_penalty",
  ],
  [[1], "num_beams num_beam_groups num_return_sequences guidance_scale encoder_repetition_penalty"],
  [[false], "token_healing low_memory"],
];
const notDoneBy = new Map(
  notDone.flatMap(([values, keys]) => keys.split(" ").map((key) => [key, values] as const)),
);

/** Keys that change no text here. */
const harmless = new Set(
  [
    "_from_model_config transformers_version bos_token_id pad_token_id decoder_start_token_id use_cache",
    "output_attentions output_hidden_states output_scores output_logits return_dict_in_generate",
    "cache_implementation cache_config return_legacy_cache compile_config disable_compile max_cache_len use_mtp",
    "renormalize_logits remove_invalid_values early_stopping length_penalty",
    "generation_kwargs num_assistant_tokens num_assistant_tokens_schedule",
    "assistant_confidence_threshold assistant_early_exit assistant_lookbehind target_lookbehind is_assistant",
    "prompt_lookup_num_tokens max_matching_ngram_size trust_remote_code _commit_hash model_type",
  ].flatMap((line) => line.split(" ")),
);

/** What a file asks for that is not done. */
function askedInVain(json: object): { asked: string[]; unknown: string[] } {
  const asked: string[] = [];
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(json)) {
    if (key in schema.shape || harmless.has(key)) continue;
    const values = notDoneBy.get(key);
    if (!values) unknown.push(key);
    else if (value !== null && !values.some((one) => JSON.stringify(one) === JSON.stringify(value)))
      asked.push(`${key} ${shownValue(value)}`);
  }
  return { asked, unknown };
}

/**
 * The defaults of a model.
 * @param text of `generation_config.json`
 * @param where its path
 * @param notices receives what the user should know
 * @throws ParetoError LLM_MODEL_DAMAGED
 */
export function readGenerationConfig(
  text: string,
  where: string,
  notices: NoticeEvent[],
): GenerationDefaults {
  const json = parseJsonObject(text, where);
  const c = parse(schema, json, where);
  const { asked, unknown } = askedInVain(json);
  if (asked.length > 0)
    notices.push(modelNotice(`generation_config.json asks for what is not done here: ${shownNames(asked)}`));
  if (unknown.length > 0)
    notices.push(
      modelNotice(
        `generation_config.json has keys that are not known here and that are left out: ${shownNames(unknown)}`,
      ),
    );
  const isSampled = c.do_sample ?? false;
  const temperature = c.temperature ?? (isSampled ? 1 : undefined);
  const topK = c.top_k ?? (isSampled ? TOP_K : undefined);
  const given = {
    temperature,
    topK,
    topP: c.top_p,
    minP: c.min_p,
    typicalP: c.typical_p,
    repetitionPenalty: c.repetition_penalty,
  };
  return {
    isSampled,
    sampling: Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined && value !== null),
    ) as GenerationDefaults["sampling"],
    maxNewTokens: c.max_new_tokens ?? null,
    maxLength: c.max_length ?? null,
    eosTokenIds: c.eos_token_id,
  };
}
