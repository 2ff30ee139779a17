/** @file Opens a model with its tokenizer, whichever of the two forms it has on disk. */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ParetoError } from "../../base/errors.ts";
import { fileExists } from "../../base/files.ts";
import { fileError } from "../../base/fileErrors.ts";
import { openLlama2cTokenizer } from "../tokenizer/llama2cTokenizer.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { openTokenizerJson } from "../tokenizer/tokenizerJson.ts";
import { openLlama2c } from "./llama2c.ts";
import { missingFile } from "./modelErrors.ts";
import { openModelFolder } from "./modelFolder.ts";
import { missingModel } from "./otherFormats.ts";
import type { ModelFiles } from "./weights.ts";

/** A model's files and what reads text for it. */
export interface OpenedModel {
  files: ModelFiles;
  tokenizer: Tokenizer;
}

/** The tokenizer beside a `.bin` file: one of the model's own size, or the general one. */
async function tokenizerBeside(path: string, vocabulary: number): Promise<string> {
  const names = [`tok${vocabulary}.bin`, "tokenizer.bin"];
  for (const name of names) {
    const file = join(dirname(path), name);
    if (await fileExists(file)) return file;
  }
  throw missingFile(
    path,
    `a llama2.c model has its tokenizer beside it, ${names.join(" or ")}`,
    "neither",
    "Put the tokenizer that the model was trained with there, or name it with --tokenizer.",
  );
}

/** A tokenizer whose tokens are looked at before a model reads them. */
function withinVocabulary(tokenizer: Tokenizer, vocabulary: number, where: string): Tokenizer {
  return {
    ...tokenizer,
    encode: (text) => {
      const tokens = tokenizer.encode(text);
      const unknown = tokens.find((token) => token >= vocabulary);
      if (unknown === undefined) return tokens;
      throw new ParetoError({
        code: "LLM_TOKENIZER",
        where,
        message: `the model knows ${vocabulary} tokens, got token ${unknown} from the tokenizer`,
        fix: "Take the tokenizer that the model was trained with; --tokenizer names another one.",
      });
    },
  };
}

/**
 * Opens a folder as Hugging Face publishes it, or a llama2.c `.bin` file.
 * @param tokenizerPath a `tokenizer.json` or a folder with one, or llama2.c's tokenizer; by default what lies with the model
 * @throws ParetoError FILE_MISSING, LLM_FILE_MISSING, LLM_MODEL_DAMAGED, LLM_UNSUPPORTED, LLM_TENSOR;
 *   LLM_TOKENIZER by `encode`
 */
export async function openModel(path: string, tokenizerPath?: string): Promise<OpenedModel> {
  const entry = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? missingModel(path) : fileError(error, path);
  });
  const isFolder = entry.isDirectory();
  const files = isFolder ? await openModelFolder(path) : await openLlama2c(path);
  try {
    const { vocabSize } = files.config;
    if (isFolder) {
      const tokenizer = await openTokenizerJson(tokenizerPath ?? path);
      return { files, tokenizer: withinVocabulary(tokenizer, vocabSize, tokenizerPath ?? path) };
    }
    const file = tokenizerPath ?? (await tokenizerBeside(path, vocabSize));
    return { files, tokenizer: await openLlama2cTokenizer(file, vocabSize) };
  } catch (error) {
    await files.close();
    throw error;
  }
}
