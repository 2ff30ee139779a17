/**
 * @file Parts of @huggingface/tokenizers 0.2.0 that differ from Hugging Face's own tokenizers, brought in line: JavaScript
 * takes U+FEFF for a space and U+0085 for none, only decimal digits for numbers, and drops a byte order mark where it
 * decodes bytes.
 */

/** A part of a `tokenizer.json`; a sequence has others under one of these names. */
interface PartConfig {
  type?: unknown;
  pretokenizers?: PartConfig[];
  decoders?: PartConfig[];
  individual_digits?: boolean;
}

/** The library's object for a part. */
interface Part {
  pattern?: unknown;
  text_decoder?: unknown;
  tokenizers?: Part[];
  decoders?: Part[];
}

/** GPT-2's pieces of text. */
const GPT2 =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Brings a pre-tokenizer or a decoder in line, and all parts of a sequence. */
export function adaptPart(config: PartConfig | null | undefined, part: object | null): void {
  if (!config || part === null) return;
  const held = part as Part;
  if (config.type === "ByteLevel" && held.pattern !== undefined) held.pattern = GPT2;
  if (config.type === "Digits")
    held.pattern = config.individual_digits === true ? /\P{N}+|\p{N}/gu : /\P{N}+|\p{N}+/gu;
  if (config.type === "ByteFallback") held.text_decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const configs = config.pretokenizers ?? config.decoders ?? [];
  const parts = held.tokenizers ?? held.decoders ?? [];
  for (const [i, each] of configs.entries()) adaptPart(each, parts[i] ?? null);
}
