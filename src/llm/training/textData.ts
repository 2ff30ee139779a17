/** @file Text files as data: a byte-level BPE learned from them, all but the last tenth for training, the rest for validation. */
import { readFile } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { ParetoError } from "../../base/errors.ts";
import { fileError } from "../../base/fileErrors.ts";
import { Rng } from "../../base/rng.ts";
import { bpeTokenizer, encodeText, END_OF_TEXT, learnBpe } from "../tokenizer/learnBpe.ts";
import type { LmData } from "./lmData.ts";
import type { Recipe } from "./recipe.ts";

const VALIDATION_SHARE = 0.1;
/** Keeps these draws apart from those of weights and dropout. */
const STREAM = 0x74000000;

/**
 * Reads text files and cuts them into tokens.
 * @param onProgress receives characters cut so far, and in all
 * @throws ParetoError `LLM_TEXT_SHORT`, `FILE_MISSING`, `FILE_REFUSED`
 */
export async function textData(
  paths: readonly string[],
  vocabulary: number,
  { seed, stages, validation }: Pick<Recipe, "seed" | "stages" | "validation">,
  onProgress?: (done: number, total: number, unit: "characters") => void,
): Promise<LmData> {
  const parts: string[] = [];
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      throw fileError(error, path);
    });
    parts.push(text);
  }
  const text = parts.join("\n");
  // The words of the part for validation are not learned from.
  const split = Math.floor(text.length * (1 - VALIDATION_SHARE));
  const bpe = learnBpe(text.slice(0, split), vocabulary);
  const train = encodeText(bpe, text.slice(0, split));
  onProgress?.(split, text.length, "characters");
  const held = encodeText(bpe, text.slice(split));
  onProgress?.(text.length, text.length, "characters");
  const longest = Math.max(...stages.map((stage) => stage.length));
  requireTokens(paths, train.length, longest + 1);
  requireTokens(paths, held.length, validation.length + 1);
  const texts = Math.min(validation.texts, Math.floor((held.length - 1) / validation.length));
  return {
    vocabulary: bpe.tokens.length,
    tokenizer: bpeTokenizer(bpe),
    eosTokenId: END_OF_TEXT,
    fingerprint: crc32(text),
    fill: ({ tokens, targets }, first, length) => {
      const rng = new Rng(seed, STREAM + first);
      for (let at = 0; at < tokens.length; at += length) {
        const start = rng.integer(train.length - length);
        tokens.set(train.subarray(start, start + length), at);
        targets.set(train.subarray(start + 1, start + length + 1), at);
      }
    },
    validation: [
      {
        name: "text",
        length: validation.length,
        texts,
        fill: (index, tokens, targets) => {
          const start = index * validation.length;
          tokens.set(held.subarray(start, start + validation.length));
          targets.set(held.subarray(start + 1, start + validation.length + 1));
        },
      },
    ],
  };
}

function requireTokens(paths: readonly string[], tokens: number, least: number): void {
  if (tokens >= least) return;
  throw new ParetoError({
    code: "LLM_TEXT_SHORT",
    where: paths.join(", "),
    message: `training and validation (the last tenth) need ${least} tokens of text each, got ${tokens}`,
    fix: "Give more text, or shorter stages in the recipe.",
  });
}
