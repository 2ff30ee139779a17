/** @file WordPiece (Schuster and Nakajima 2012; Devlin et al. 2019): the longest token first, from the left. */
import { z } from "zod";
import { optionsOf, type Place } from "../component.ts";
import { Trie } from "../trie.ts";
import { cached, type TokenModel } from "./model.ts";
import { unknownText, vocabularyMap, vocabularySchema } from "./vocabulary.ts";

const schema = z.object({
  vocab: vocabularySchema,
  unk_token: z.string(),
  continuing_subword_prefix: z.string(),
  max_input_chars_per_word: z.int().min(0),
});

/** Makes the model. @throws ParetoError LLM_MODEL_DAMAGED */
export function wordPieceModel(options: unknown, place: Place): TokenModel {
  const read = optionsOf(schema, options, place);
  const vocabulary = vocabularyMap(read.vocab, place);
  const [first, later] = [new Trie(), new Trie()];
  for (const [token, id] of vocabulary) {
    first.set(token, id);
    if (token.startsWith(read.continuing_subword_prefix))
      later.set(token.slice(read.continuing_subword_prefix.length), id);
  }
  const unknown = (piece: string): number[] => {
    const id = vocabulary.get(read.unk_token);
    if (id === undefined) throw unknownText(place, piece);
    return [id];
  };
  return {
    vocabulary,
    tokenize: cached((piece) => {
      if ([...piece].length > read.max_input_chars_per_word) return unknown(piece);
      const tokens: number[] = [];
      for (let at = 0; at < piece.length;) {
        let [end, token] = [-1, -1];
        (at === 0 ? first : later).prefixes(piece, at, (to, id) => {
          [end, token] = [to, id];
        });
        if (end < 0) return unknown(piece);
        tokens.push(token);
        at = end;
      }
      return tokens;
    }),
  };
}
