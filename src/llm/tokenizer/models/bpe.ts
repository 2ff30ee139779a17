/** @file Byte-pair encoding (Sennrich et al. 2016): characters of a piece, joined by the merges in their order. */
import { z } from "zod";
import { damagedModel, unsupported } from "../../load/modelErrors.ts";
import { optionsOf, placeText, type Place } from "../component.ts";
import { joinPairs, type Joins } from "../joinPairs.ts";
import { byteTokens, cached, type TokenModel } from "./model.ts";
import { MOST_IDS, vocabularyMap, vocabularySchema } from "./vocabulary.ts";

/** Merges: pairs, or texts with a space between. Checked by hand, since zod would copy them. */
const mergesSchema = z.custom<(string | [string, string])[]>(
  (value) =>
    Array.isArray(value) &&
    (value.every((merge) => typeof merge === "string") ||
      value.every(
        (merge) =>
          Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === "string"),
      )),
  "expected pairs of tokens, or texts of two tokens with a space between",
);

const schema = z.object({
  vocab: vocabularySchema,
  merges: mergesSchema,
  dropout: z.number().nullish(),
  unk_token: z.string().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  fuse_unk: z.boolean().nullish(),
  byte_fallback: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
});
type Options = z.infer<typeof schema>;

function pairOf(merge: string | [string, string], index: number, place: Place): readonly string[] {
  if (typeof merge !== "string") return merge;
  const parts = merge.split(" ");
  if (parts.length === 2) return parts;
  throw damagedModel(placeText(place), `merge ${index} must be two tokens`, JSON.stringify(merge));
}

/** The merges as {@link Joins}: a join is a merge's index. */
function readMerges(options: Options, vocabulary: ReadonlyMap<string, number>, place: Place): Joins {
  const merges =
    typeof options.merges[0] === "string"
      ? options.merges.filter((merge) => !(merge as string).startsWith("#version"))
      : options.merges;
  const prefix = options.continuing_subword_prefix?.length ?? 0;
  const made = new Int32Array(merges.length);
  const joins = new Map<number, number>();
  for (const [i, merge] of merges.entries()) {
    const [left, right] = pairOf(merge, i, place);
    const ids = [left!, right!, left! + right!.slice(prefix)].map((token) => {
      const id = vocabulary.get(token);
      if (id !== undefined) return id;
      const problem = `merge ${i} must be of tokens in the vocabulary`;
      throw damagedModel(placeText(place), problem, JSON.stringify(token));
    });
    made[i] = ids[2]!;
    joins.set(ids[0]! * MOST_IDS + ids[1]!, i);
  }
  return {
    find: (left, right) => joins.get(left * MOST_IDS + right) ?? -1,
    order: (join) => join,
    token: (join) => made[join]!,
  };
}

/** Makes the model. @throws ParetoError LLM_MODEL_DAMAGED, LLM_UNSUPPORTED */
export function bpeModel(options: unknown, place: Place): TokenModel {
  const read = optionsOf(schema, options, place);
  const { dropout, unk_token: unknown, continuing_subword_prefix: prefix, end_of_word_suffix: suffix } = read;
  if (dropout !== null && dropout !== undefined && dropout !== 0)
    throw unsupported(placeText(place), "dropout of merges", dropout, "a tokenizer without dropout");
  const vocabulary = vocabularyMap(read.vocab, place);
  const joins = readMerges(read, vocabulary, place);
  const unknownId = unknown === null || unknown === undefined ? null : vocabulary.get(unknown);
  if (unknownId === undefined)
    throw damagedModel(
      placeText(place),
      "the unknown token must be in the vocabulary",
      JSON.stringify(unknown),
    );

  const charactersOf = (piece: string): number[] => {
    const tokens: number[] = [];
    // An unknown token that waits for the next one to be fused with.
    let waiting = false;
    const characters = [...piece];
    for (const [i, character] of characters.entries()) {
      let name = character;
      if (i > 0 && prefix) name = prefix + name;
      if (i === characters.length - 1 && suffix) name += suffix;
      const id = vocabulary.get(name);
      if (id !== undefined) {
        if (waiting) tokens.push(unknownId!);
        waiting = false;
        tokens.push(id);
        continue;
      }
      const bytes = read.byte_fallback === true ? byteTokens(name, vocabulary) : null;
      if (bytes !== null) tokens.push(...bytes);
      else if (unknownId !== null) {
        if (waiting && read.fuse_unk !== true) tokens.push(unknownId);
        waiting = true;
      }
    }
    if (waiting) tokens.push(unknownId!);
    return tokens;
  };
  const merged = cached((piece) => joinPairs(charactersOf(piece), joins));
  return {
    vocabulary,
    tokenize: (piece) => {
      const whole = read.ignore_merges === true ? vocabulary.get(piece) : undefined;
      return whole === undefined ? merged(piece) : [whole];
    },
  };
}
