/**
 * @file The tokenizer of a model folder: `tokenizer.json`, read by @huggingface/tokenizers, with what
 * `tokenizer_config.json` adds where it is there. The library loads only when a tokenizer is opened.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileError } from "../../engine/partialFile.ts";
import { damagedModel, missingFile } from "../load/modelErrors.ts";
import type { Tokenizer } from "./tokenizer.ts";

async function jsonOf(path: string): Promise<object | null> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw fileError(error, path);
  });
  if (text === null) return null;
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null) return json;
  } catch {
    // Told of below.
  }
  throw damagedModel(path, "the file must be a JSON object", JSON.stringify(text.slice(0, 40)));
}

/**
 * Opens a folder's tokenizer.
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED
 */
export async function openTokenizerJson(folder: string): Promise<Tokenizer> {
  const path = join(folder, "tokenizer.json");
  const json = await jsonOf(path);
  if (json === null)
    throw missingFile(
      folder,
      "the model's tokenizer is a file tokenizer.json",
      "none",
      "Download tokenizer.json beside the weights.",
    );
  const settings = (await jsonOf(join(folder, "tokenizer_config.json"))) ?? {};
  const library = await import("@huggingface/tokenizers");
  let tokenizer: InstanceType<typeof library.Tokenizer>;
  try {
    tokenizer = new library.Tokenizer(json, settings);
  } catch (error) {
    throw damagedModel(path, "the tokenizer must be one that @huggingface/tokenizers reads", String(error));
  }
  return {
    encode: (text) => tokenizer.encode(text).ids,
    // The library refuses to decode nothing.
    decode: (tokens) =>
      tokens.length === 0
        ? ""
        : tokenizer.decode([...tokens], { skip_special_tokens: true, clean_up_tokenization_spaces: false }),
  };
}
