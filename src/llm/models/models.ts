/** @file The families of models by name. */
import type { Decoder, DecoderConfig, DecoderLayout } from "./decoder.ts";
import { gpt2 } from "./gpt2.ts";
import { gptj } from "./gptj.ts";
import { llama } from "./llama.ts";
import { mpt } from "./mpt.ts";

type Family = (config: DecoderConfig, layout?: DecoderLayout) => Decoder;

const families: Readonly<Record<DecoderConfig["family"], Family>> = {
  llama,
  gpt2,
  gptj,
  mpt,
};

/** The model of a shape. */
export function decoderOf(config: DecoderConfig, layout?: DecoderLayout): Decoder {
  return families[config.family](config, layout);
}
