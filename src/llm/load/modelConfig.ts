/** @file A model's shape alone: from its `config.json` or the head of a llama2.c file. No weights are read. */
import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { fileError } from "../../base/fileErrors.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { readTextIfExists } from "../../base/files.ts";
import { readLlama2cConfig } from "./llama2c.ts";
import { missingModel } from "./otherFormats.ts";
import { withoutConfig } from "./otherFolders.ts";
import { readConfig } from "./readConfig.ts";

/** A model by its shape. */
export interface ModelShape {
  /** What it is called, e.g. the name of its folder. */
  name: string;
  config: DecoderConfig;
}

/**
 * Reads a model's shape.
 * @param path a folder with a `config.json`, such a file itself, or a llama2.c `.bin` file
 * @throws ParetoError FILE_MISSING, FILE_REFUSED, LLM_MODEL_DAMAGED, LLM_UNSUPPORTED
 */
export async function readModelShape(path: string): Promise<ModelShape> {
  const entry = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? missingModel(path) : fileError(error, path);
  });
  const isFolder = entry.isDirectory();
  if (!isFolder && !path.endsWith(".json")) {
    return { name: basename(path, ".bin"), config: await readLlama2cConfig(path) };
  }
  const file = isFolder ? join(path, "config.json") : path;
  const text = await readTextIfExists(file);
  if (text === null) throw await withoutConfig(path);
  const name = basename(isFolder ? resolve(path) : resolve(path, ".."));
  return { name, config: readConfig(text, file) };
}
