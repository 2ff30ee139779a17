/** @file Post-processors of a `tokenizer.json`: the special tokens that stand around those of a text. */
import { z } from "zod";
import { damagedModel } from "../load/modelErrors.ts";
import { makeOptional, makeSequence, optionsOf, placeText, type Makers, type Place } from "./component.ts";
import { idSchema } from "./models/vocabulary.ts";

/** Tokens with special ones around them. */
export type PostProcessor = (tokens: readonly number[]) => readonly number[];

const named = z.tuple([z.string(), idSchema]);

/** `[CLS] text [SEP]`. */
function around(options: unknown, place: Place): PostProcessor {
  const { cls, sep } = optionsOf(z.object({ cls: named, sep: named }), options, place);
  return (tokens) => [cls[1], ...tokens, sep[1]];
}

const sequencePiece = z.object({ Sequence: z.object({ id: z.enum(["A", "B"]) }) });
const specialPiece = z.object({ SpecialToken: z.object({ id: z.string() }) });
const templateOptions = z.object({
  single: z.array(z.union([sequencePiece, specialPiece])),
  special_tokens: z.record(z.string(), z.object({ ids: z.array(idSchema) })),
});

/** A template: where the text stands among special tokens. That of a pair of texts is not used. */
function template(options: unknown, place: Place): PostProcessor {
  const { single, special_tokens } = optionsOf(templateOptions, options, place);
  const parts = single.map((part): readonly number[] | null => {
    if ("Sequence" in part) {
      if (part.Sequence.id === "A") return null;
      throw damagedModel(placeText(place), "a template for one text must use A alone", "B");
    }
    const { id } = part.SpecialToken;
    const token = Object.hasOwn(special_tokens, id) ? special_tokens[id] : undefined;
    if (token !== undefined) return token.ids;
    throw damagedModel(placeText(place), "every special token must have ids", JSON.stringify(id));
  });
  return (tokens) => parts.flatMap((part) => part ?? tokens);
}

const MAKERS: Makers<PostProcessor> = {
  BertProcessing: around,
  // It trims offsets, which nothing here uses.
  ByteLevel: () => (tokens) => tokens,
  RobertaProcessing: around,
  Sequence: (options, place) => {
    const all = makeSequence(MAKERS, "post-processor", "processors", options, place);
    return (tokens) => all.reduce((done, process) => process(done), tokens);
  },
  TemplateProcessing: template,
};

/** The post-processor of a tokenizer. @throws ParetoError LLM_UNSUPPORTED, LLM_MODEL_DAMAGED */
export function makePostProcessor(config: unknown, file: string): PostProcessor {
  const made = makeOptional(MAKERS, "post-processor", config, { file, path: ["post_processor"] });
  return made ?? ((tokens) => tokens);
}
