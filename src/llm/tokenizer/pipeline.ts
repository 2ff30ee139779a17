/**
 * @file A tokenizer as `tokenizer.json` describes it: added tokens are found, the rest is normalized, cut into pieces, turned
 * into tokens by the model, and special tokens come around them; and back.
 *
 * It gives what Hugging Face's tokenizers 0.23 gives, or refuses the file. `truncation` and `padding` of the file are not
 * applied, as transformers does not apply them unless asked.
 */
import { z } from "zod";
import { AddedTokens } from "./addedTokens.ts";
import { optionsOf } from "./component.ts";
import { makeDecoder } from "./decoders.ts";
import { makeModel } from "./models/models.ts";
import { makeNormalizer } from "./normalizers.ts";
import { makePostProcessor } from "./postProcessors.ts";
import { makePreTokenizer } from "./preTokenizers.ts";
import type { Tokenizer } from "./tokenizer.ts";

const schema = z.object({
  version: z.literal("1.0").optional(),
  added_tokens: z.unknown().optional(),
  normalizer: z.unknown().optional(),
  pre_tokenizer: z.unknown().optional(),
  model: z.unknown().optional(),
  post_processor: z.unknown().optional(),
  decoder: z.unknown().optional(),
});

/**
 * Makes a tokenizer.
 * @param json what the file holds
 * @param special names of further tokens that no decoded text holds
 * @throws ParetoError LLM_UNSUPPORTED, LLM_MODEL_DAMAGED
 */
export function makeTokenizer(json: unknown, file: string, special: readonly string[] = []): Tokenizer {
  const parts = optionsOf(schema, json, { file, path: [] });
  const model = makeModel(parts.model, file);
  const normalize = makeNormalizer(parts.normalizer, file);
  const added = new AddedTokens(parts.added_tokens, model.vocabulary, normalize, file);
  for (const name of special) added.special.add(name);
  const cut = makePreTokenizer(parts.pre_tokenizer, file);
  const process = makePostProcessor(parts.post_processor, file);
  const decode = makeDecoder(parts.decoder, file);
  const names = new Map<number, string>();
  for (const [name, id] of model.vocabulary) names.set(id, name);
  for (const [id, name] of added.names) names.set(id, name);

  return {
    encode: (text) => {
      const tokens: number[] = [];
      // A half of a surrogate pair is no character; Rust's texts have none.
      for (const part of added.split(text.toWellFormed())) {
        if (typeof part === "number") tokens.push(part);
        else
          for (const { text: piece } of cut(part))
            for (const token of model.tokenize(piece)) tokens.push(token);
      }
      return [...process(tokens)];
    },
    decode: (tokens) => {
      const texts = tokens
        .map((token) => names.get(token))
        .filter((name) => name !== undefined && !added.special.has(name)) as string[];
      return texts.length === 0 ? "" : decode(texts);
    },
  };
}
