/** @file The families of models by name. */
import type { Decoder, DecoderConfig } from "./decoder.ts";
import { gpt2 } from "./gpt2.ts";
import { gptj } from "./gptj.ts";
import { llama } from "./llama.ts";
import { mpt } from "./mpt.ts";

const families: Readonly<Record<DecoderConfig["family"], (config: DecoderConfig) => Decoder>> = {
  llama,
  gpt2,
  gptj,
  mpt,
};

/** The model of a shape. */
export function decoderOf(config: DecoderConfig): Decoder {
  return families[config.family](config);
}
