/**
 * @file Reads `config.json` as Hugging Face publishes it, for the model types that are known. What would change a
 * model's output and is not known here is refused by name.
 */
import { z } from "zod";
import type { DecoderConfig } from "../models/decoder.ts";
import { gpt2Config } from "./configs/gpt2.ts";
import { gptjConfig } from "./configs/gptj.ts";
import { llamaConfig } from "./configs/llama.ts";
import { mptConfig } from "./configs/mpt.ts";
import { eosTokenIds, parse } from "./configs/parse.ts";
import { parseJson } from "./jsonText.ts";
import { unsupported } from "./modelErrors.ts";

/** Readers by `model_type`. */
const readers: Readonly<Record<string, (modelType: string, json: unknown, where: string) => DecoderConfig>> =
  {
    llama: llamaConfig,
    mistral: llamaConfig,
    qwen2: llamaConfig,
    qwen3: llamaConfig,
    gpt2: gpt2Config,
    gptj: gptjConfig,
    mpt: mptConfig,
  };

/**
 * A model's shape.
 * @param text of `config.json`
 * @param where its path
 * @throws ParetoError LLM_MODEL_DAMAGED, LLM_UNSUPPORTED
 */
export function readConfig(text: string, where: string): DecoderConfig {
  const json = parseJson(text, where);
  const { model_type: modelType, quantization_config: quantization } = (json ?? {}) as Record<
    string,
    unknown
  >;
  if (typeof modelType !== "string" || !Object.hasOwn(readers, modelType))
    throw unsupported(where, "this model_type", modelType ?? null, Object.keys(readers).join(", "));
  if (quantization !== undefined && quantization !== null) {
    const { quant_method: method } = quantization as Record<string, unknown>;
    const wanted = "weights in F32, F16 or BF16, without quantization_config";
    throw unsupported(where, "a quantised model", method ?? quantization, wanted);
  }
  return readers[modelType]!(modelType, json, where);
}

/**
 * The `eos_token_id` of `generation_config.json`.
 * @param where its path
 * @throws ParetoError LLM_MODEL_DAMAGED
 */
export function readEosTokenIds(json: unknown, where: string): number[] {
  return parse(z.object({ eos_token_id: eosTokenIds }), json, where).eos_token_id;
}
