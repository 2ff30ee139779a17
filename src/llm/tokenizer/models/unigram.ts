/** @file The unigram language model (Kudo 2018): of all ways to cut a piece into tokens the one with the highest score. */
import { z } from "zod";
import { damagedModel } from "../../load/modelErrors.ts";
import { optionsOf, placeText, type Place } from "../component.ts";
import { firstLength } from "../text.ts";
import { Trie } from "../trie.ts";
import { byteTokens, cached, type TokenModel } from "./model.ts";
import { MOST_IDS, unknownText } from "./vocabulary.ts";

/** How much worse than the worst token an unknown character is. */
const UNKNOWN_PENALTY = 10;

/** Tokens with their scores. Checked by hand, since zod would copy them. */
const scoresSchema = z.custom<[string, number][]>(
  (value) =>
    Array.isArray(value) &&
    value.length < MOST_IDS &&
    value.every(
      (entry) =>
        Array.isArray(entry) &&
        entry.length === 2 &&
        typeof entry[0] === "string" &&
        typeof entry[1] === "number",
    ),
  "expected pairs of a token and its score",
);

const schema = z.object({
  vocab: scoresSchema,
  unk_id: z.int().min(0).nullish(),
  byte_fallback: z.boolean().nullish(),
});

/** Makes the model. @throws ParetoError LLM_MODEL_DAMAGED */
export function unigramModel(options: unknown, place: Place): TokenModel {
  const { vocab, unk_id, byte_fallback } = optionsOf(schema, options, place);
  const unknownId = unk_id ?? null;
  if (unknownId !== null && unknownId >= vocab.length)
    throw damagedModel(placeText(place), `unk_id must be below ${vocab.length}`, unknownId);
  const vocabulary = new Map(vocab.map(([token], id) => [token, id]));
  const trie = new Trie();
  vocab.forEach(([token], id) => trie.set(token, id));
  const scores = Float64Array.from(vocab, ([, score]) => score);
  const unknownScore = scores.reduce((least, score) => Math.min(least, score), Infinity) - UNKNOWN_PENALTY;

  /** The best way to each place: the token that ends there, and where it starts. */
  const bestPath = (piece: string): { ids: Int32Array; starts: Int32Array } => {
    const ids = new Int32Array(piece.length + 1);
    const starts = new Int32Array(piece.length + 1).fill(-1);
    const best = new Float64Array(piece.length + 1);
    let at = 0;
    const reach = (end: number, score: number, id: number) => {
      if (starts[end] !== -1 && !(score > best[end]!)) return;
      best[end] = score;
      starts[end] = at;
      ids[end] = id;
    };
    while (at < piece.length) {
      const next = at + firstLength(piece.slice(at, at + 2));
      let hasSingle = false;
      trie.prefixes(piece, at, (end, id) => {
        reach(end, scores[id]! + best[at]!, id);
        if (end === next) hasSingle = true;
      });
      if (!hasSingle) {
        if (unknownId === null) throw unknownText(place, piece.slice(at, next));
        reach(next, unknownScore + best[at]!, unknownId);
      }
      at = next;
    }
    return { ids, starts };
  };

  const tokensOf = (text: string): readonly number[] => {
    const id = vocabulary.get(text);
    if (id !== undefined) return [id];
    const bytes = byte_fallback === true ? byteTokens(text, vocabulary) : null;
    if (bytes !== null) return bytes;
    if (unknownId === null) throw unknownText(place, text);
    return [unknownId];
  };

  return {
    vocabulary,
    tokenize: cached((piece) => {
      const { ids, starts } = bestPath(piece);
      // From the end; neighbouring unknown characters are one text.
      const texts: string[] = [];
      let unknownEnd = -1;
      for (let end = piece.length; end > 0;) {
        const start = starts[end]!;
        const isUnknown = ids[end] === unknownId;
        if (isUnknown && unknownEnd === -1) unknownEnd = end;
        if (!isUnknown) {
          if (unknownEnd !== -1) texts.push(piece.slice(end, unknownEnd));
          unknownEnd = -1;
          texts.push(piece.slice(start, end));
        }
        end = start;
      }
      if (unknownEnd !== -1) texts.push(piece.slice(0, unknownEnd));
      return texts.reverse().flatMap(tokensOf);
    }),
  };
}
