/** @file The families of models by name. */
import type { Decoder, DecoderConfig } from "./decoder.ts";
import { gpt2 } from "./gpt2.ts";
import { llama } from "./llama.ts";

const families: Readonly<Record<DecoderConfig["family"], (config: DecoderConfig) => Decoder>> = {
  llama,
  gpt2,
};

/** The model of a shape. */
export function decoderOf(config: DecoderConfig): Decoder {
  return families[config.family](config);
}
