/**
 * @file Reads `config.json` as Hugging Face publishes it, for the model types that are known. What would change a
 * model's output and is not known here is refused by name.
 */
import type { DecoderConfig } from "../models/decoder.ts";
import { gpt2Config } from "./configs/gpt2.ts";
import { gptjConfig } from "./configs/gptj.ts";
import { llamaConfig } from "./configs/llama.ts";
import { mptConfig } from "./configs/mpt.ts";
import { damagedModel, unsupported } from "./modelErrors.ts";

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
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw damagedModel(where, "the file must be JSON", JSON.stringify(text.slice(0, 40)));
  }
  const modelType = (json as { model_type?: unknown } | null)?.model_type;
  const reader = typeof modelType === "string" ? readers[modelType] : undefined;
  if (!reader)
    throw unsupported(where, "this model_type", modelType ?? null, Object.keys(readers).join(", "));
  return reader(modelType as string, json, where);
}
