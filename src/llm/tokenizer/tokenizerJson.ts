/**
 * @file The tokenizer of a model folder: `tokenizer.json`, with the special tokens that `tokenizer_config.json` names beside
 * it where that is there.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import type { ParetoError } from "../../base/errors.ts";
import { fileError } from "../../base/fileErrors.ts";
import { parseJsonObject } from "../load/jsonText.ts";
import { readTextIfExists } from "../../base/files.ts";
import { missingFile } from "../load/modelErrors.ts";
import { optionsOf } from "./component.ts";
import { makeTokenizer } from "./pipeline.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What is read of a `tokenizer_config.json`. */
const settingsSchema = z.object({
  additional_special_tokens: z.array(z.union([z.string(), z.object({ content: z.string() })])).nullish(),
});

async function jsonOf(path: string): Promise<object | null> {
  const text = await readTextIfExists(path);
  return text === null ? null : parseJsonObject(text, path);
}

/** The folder of a tokenizer and the name of its file there. */
async function placeOf(path: string): Promise<{ folder: string; file: string }> {
  const entry = await stat(path).catch((error: unknown) => {
    throw fileError(error, path);
  });
  if (entry.isDirectory()) return { folder: path, file: "tokenizer.json" };
  return { folder: dirname(path), file: basename(path) };
}

async function withoutTokenizer(folder: string): Promise<ParetoError> {
  const others = new Set(["tokenizer.model", "spiece.model", "vocab.json", "merges.txt", "vocab.txt"]);
  const held = (await readdir(folder)).filter((file) => others.has(file)).sort();
  return missingFile(
    folder,
    "the model's tokenizer is a file tokenizer.json",
    held.length === 0 ? "none" : held.join(", "),
    held.length === 0
      ? "Download tokenizer.json beside the weights, or name another one with --tokenizer."
      : 'Make it of those files: AutoTokenizer.from_pretrained("FOLDER").save_pretrained("FOLDER") of transformers in Python.',
  );
}

/**
 * Opens a tokenizer. A part of a text that is no token becomes what `tokenizers` makes of it; a token that the tokenizer does
 * not know, as a model with a padded vocabulary has them, says nothing.
 * @param path a folder with `tokenizer.json`, or such a file
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, LLM_UNSUPPORTED, FILE_MISSING, FILE_REFUSED
 */
export async function openTokenizerJson(path: string): Promise<Tokenizer> {
  const { folder, file } = await placeOf(path);
  const where = join(folder, file);
  const json = await jsonOf(where);
  if (json === null) throw await withoutTokenizer(folder);
  const settingsFile = join(folder, "tokenizer_config.json");
  const settings = optionsOf(settingsSchema, (await jsonOf(settingsFile)) ?? {}, {
    file: settingsFile,
    path: [],
  });
  const special = (settings.additional_special_tokens ?? []).map((token) =>
    typeof token === "string" ? token : token.content,
  );
  return makeTokenizer(json, where, special);
}
