/** @file Whole words: a piece is a token, or the unknown one. */
import { z } from "zod";
import { optionsOf, type Place } from "../component.ts";
import type { TokenModel } from "./model.ts";
import { unknownText, vocabularyMap, vocabularySchema } from "./vocabulary.ts";

const schema = z.object({ vocab: vocabularySchema, unk_token: z.string() });

/** Makes the model. @throws ParetoError LLM_MODEL_DAMAGED */
export function wordLevelModel(options: unknown, place: Place): TokenModel {
  const { vocab, unk_token } = optionsOf(schema, options, place);
  const vocabulary = vocabularyMap(vocab, place);
  return {
    vocabulary,
    tokenize: (piece) => {
      const id = vocabulary.get(piece) ?? vocabulary.get(unk_token);
      if (id === undefined) throw unknownText(place, piece);
      return [id];
    },
  };
}
