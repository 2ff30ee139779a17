/**
 * @file Reads `config.json` as Hugging Face publishes it, for the model types that are known. What would change a
 * model's output and is not known here is refused by name.
 */
import type { DecoderConfig } from "../models/decoder.ts";
import type { NoticeEvent } from "../../run/events.ts";
import { gpt2Config, gpt2Keys } from "./configs/gpt2.ts";
import { gptjConfig, gptjKeys } from "./configs/gptj.ts";
import { checkKeys } from "./configs/keys.ts";
import { llamaConfig, llamaKeys } from "./configs/llama.ts";
import { mptConfig, mptKeys, mptUnknownKeys } from "./configs/mpt.ts";
import { parseJsonObject } from "./jsonText.ts";
import { modelNotice, shownNames, unsupported } from "./modelErrors.ts";

/** How a family's configurations are read. */
interface Family {
  read: (modelType: string, json: unknown, where: string) => DecoderConfig;
  /** Keys that it reads. */
  keys: readonly string[];
  /** Further keys that change nothing in it. */
  passed?: readonly string[];
  /** Keys of parts of it of which nothing is known. */
  unknown?: (json: unknown, where: string) => string[];
}

const llama: Family = { read: llamaConfig, keys: llamaKeys };

/** By `model_type`. */
const families: Readonly<Record<string, Family>> = {
  llama,
  mistral: llama,
  qwen2: llama,
  qwen3: llama,
  gpt2: { read: gpt2Config, keys: gpt2Keys },
  gptj: { read: gptjConfig, keys: gptjKeys, passed: ["rotary", "scale_attn_weights"] },
  mpt: { read: mptConfig, keys: mptKeys, unknown: mptUnknownKeys },
};

/**
 * A model's shape.
 * @param text of `config.json`
 * @param where its path
 * @param notices receives what the user should know
 * @throws ParetoError LLM_MODEL_DAMAGED, LLM_UNSUPPORTED
 */
export function readConfig(text: string, where: string, notices: NoticeEvent[] = []): DecoderConfig {
  const json = parseJsonObject(text, where);
  const { model_type: modelType, quantization_config: quantization } = json as Record<string, unknown>;
  if (typeof modelType !== "string" || !Object.hasOwn(families, modelType))
    throw unsupported(where, "this model_type", modelType ?? null, Object.keys(families).join(", "));
  if (quantization !== undefined && quantization !== null) {
    const { quant_method: method } = quantization as Record<string, unknown>;
    const wanted = "weights in F32, F16 or BF16, without quantization_config";
    throw unsupported(where, "a quantised model", method ?? quantization, wanted);
  }
  const family = families[modelType]!;
  const unknown = checkKeys(json, where, ["quantization_config", ...family.keys], family.passed);
  const config = family.read(modelType, json, where);
  unknown.push(...(family.unknown?.(json, where) ?? []));
  if (unknown.length > 0)
    notices.push(
      modelNotice(
        `config.json has keys that are not known here and that are left out: ${shownNames(unknown)}`,
      ),
    );
  return config;
}
