/**
 * @file The tokenizer of a model folder: `tokenizer.json`, read by @huggingface/tokenizers, with what
 * `tokenizer_config.json` adds where it is there. The library loads only when a tokenizer is opened.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ParetoError } from "../../base/errors.ts";
import { fileError } from "../../base/fileErrors.ts";
import { parseJson } from "../load/jsonText.ts";
import { readTextIfExists } from "../../base/files.ts";
import { damagedModel, missingFile, unsupported } from "../load/modelErrors.ts";
import { adaptPart } from "./adaptTokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What is read here of a `tokenizer.json`. */
interface Parts {
  pre_tokenizer?: object | null;
  decoder?: object | null;
  model?: { unk_token?: unknown };
}

async function jsonOf(path: string): Promise<object | null> {
  const text = await readTextIfExists(path);
  if (text === null) return null;
  const json = parseJson(text, path);
  if (typeof json === "object" && json !== null) return json;
  throw damagedModel(path, "the file must be a JSON object", text.slice(0, 40));
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
 * Opens a tokenizer. A part of a text that is no token becomes the unknown one, or nothing where there is none; a
 * token that the tokenizer does not know, as a model with a padded vocabulary has them, says nothing.
 * @param path a folder with `tokenizer.json`, or such a file
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, LLM_UNSUPPORTED, FILE_MISSING, FILE_REFUSED
 */
export async function openTokenizerJson(path: string): Promise<Tokenizer> {
  const { folder, file } = await placeOf(path);
  const where = join(folder, file);
  const json = await jsonOf(where);
  if (json === null) throw await withoutTokenizer(folder);
  const settings = (await jsonOf(join(folder, "tokenizer_config.json"))) ?? {};
  const library = await import("@huggingface/tokenizers");
  let tokenizer: InstanceType<typeof library.Tokenizer>;
  try {
    tokenizer = new library.Tokenizer(json, settings);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (!reason.startsWith("Unknown "))
      throw damagedModel(where, "the tokenizer must be one that @huggingface/tokenizers reads", reason);
    throw unsupported(
      where,
      "this kind of tokenizer",
      reason,
      "a tokenizer that @huggingface/tokenizers reads",
    );
  }
  const { pre_tokenizer: pieces, decoder, model } = json as Parts;
  adaptPart(pieces, tokenizer.pre_tokenizer);
  adaptPart(decoder, tokenizer.decoder);
  const unknown = model?.unk_token;
  const unknownId = typeof unknown === "string" ? tokenizer.token_to_id(unknown) : undefined;
  return {
    // The library gives undefined for what is no token of a word-level vocabulary.
    encode: (text) => {
      const ids: (number | undefined)[] = tokenizer.encode(text).ids;
      return ids.map((id) => id ?? unknownId).filter((id) => id !== undefined);
    },
    decode: (tokens) => {
      const known = tokens.filter((token) => tokenizer.id_to_token(token) !== undefined);
      // The library refuses to decode nothing.
      if (known.length === 0) return "";
      return tokenizer.decode(known, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
    },
  };
}
