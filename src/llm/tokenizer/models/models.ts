/** @file The kinds of models of a `tokenizer.json`. */
import { makeComponent, type Makers } from "../component.ts";
import { bpeModel } from "./bpe.ts";
import type { TokenModel } from "./model.ts";
import { unigramModel } from "./unigram.ts";
import { wordLevelModel } from "./wordLevel.ts";
import { wordPieceModel } from "./wordPiece.ts";

const MAKERS: Makers<TokenModel> = {
  BPE: bpeModel,
  Unigram: unigramModel,
  WordLevel: wordLevelModel,
  WordPiece: wordPieceModel,
};

/** Files of older versions do not name the kind: it shows in the options. */
function kindOf(config: object): string | null {
  if ("type" in config) return null;
  if ("merges" in config) return "BPE";
  if ("vocab" in config && Array.isArray(config.vocab)) return "Unigram";
  if ("continuing_subword_prefix" in config) return "WordPiece";
  return "vocab" in config ? "WordLevel" : null;
}

/** The model of a tokenizer. @throws ParetoError LLM_UNSUPPORTED, LLM_MODEL_DAMAGED */
export function makeModel(config: unknown, file: string): TokenModel {
  const kind = typeof config === "object" && config !== null ? kindOf(config) : null;
  const typed = kind === null ? config : { ...(config as object), type: kind };
  return makeComponent(MAKERS, "model", typed, { file, path: ["model"] });
}
