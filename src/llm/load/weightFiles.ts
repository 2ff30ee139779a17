/** @file Which files of a model folder hold its weights: one, or those that an index names. */
import { open, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import type { ParetoError } from "../../base/errors.ts";
import { fileError } from "../../base/fileErrors.ts";
import { parseJsonObject } from "./jsonText.ts";
import { readTextIfExists } from "../../base/files.ts";
import { damagedModel, missingFile } from "./modelErrors.ts";
import { FIRST_BYTES, isLfsPointer, lfsPointer } from "./otherFormats.ts";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
/** Endings of files of weights in other formats. */
const OTHER_WEIGHTS = /\.(bin|pth?|ckpt|gguf|safetensors|h5|msgpack|onnx|index\.json)$/;

/** The files of a folder that hold its weights. */
export interface WeightFiles {
  /** Their names, each of which is there. */
  files: string[];
  /** The file in which each tensor lies, as an index says; null without one. */
  fileOf: ReadonlyMap<string, string> | null;
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/**
 * Finds the files of a folder's weights.
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, FILE_REFUSED
 */
export async function weightFiles(folder: string): Promise<WeightFiles> {
  const held = await readdir(folder);
  // A whole file is taken before one in pieces, as transformers does.
  const fileOf = held.includes(SINGLE) || !held.includes(INDEX) ? null : await indexedFiles(folder);
  const files = fileOf ? [...new Set(fileOf.values())].sort() : [SINGLE];
  const missing = files.filter((file) => !held.includes(file));
  if (missing.length > 0) throw withoutWeights(folder, files, missing, held);
  for (const file of files) await refusePointer(join(folder, file));
  return { files, fileOf };
}

async function indexedFiles(folder: string): Promise<Map<string, string>> {
  const path = join(folder, INDEX);
  const text = (await readTextIfExists(path)) ?? "";
  const parsed = indexSchema.safeParse(parseJsonObject(text, path));
  const fileOf = new Map(parsed.success ? Object.entries(parsed.data.weight_map) : []);
  if (fileOf.size === 0) throw damagedModel(path, "weight_map must map tensors to files", text.slice(0, 40));
  for (const file of fileOf.values()) {
    if (basename(file) !== file || /[\\/]|^\.{0,2}$/.test(file))
      throw damagedModel(path, "weights must lie in the folder itself", JSON.stringify(file));
    if (!file.endsWith(".safetensors"))
      throw damagedModel(path, "weights must lie in files of safetensors", JSON.stringify(file));
  }
  return fileOf;
}

function withoutWeights(
  folder: string,
  files: readonly string[],
  missing: readonly string[],
  held: readonly string[],
): ParetoError {
  if (missing.length < files.length || files[0] !== SINGLE) {
    const what = `the index names ${files.length} files of weights`;
    const received = `no ${missing.slice(0, 5).join(", ")}`;
    return missingFile(folder, what, received, "Download every file that the index names.");
  }
  const other = held.filter((file) => OTHER_WEIGHTS.test(file)).sort();
  const pickled = other.some((file) => /\.(bin|pth?)$/.test(file));
  return missingFile(
    folder,
    `the weights of a model folder are ${SINGLE}, or files that ${INDEX} names`,
    other.length === 0 ? "neither" : other.slice(0, 5).join(", "),
    pickled
      ? 'Convert the weights: load the folder with transformers in Python and call save_pretrained("FOLDER"), which writes safetensors.'
      : "Download the model's safetensors files into this folder.",
  );
}

/** @throws ParetoError LLM_MODEL_DAMAGED for what Git leaves where Git LFS is not there */
async function refusePointer(path: string): Promise<void> {
  const handle = await open(path, "r").catch((error: unknown) => {
    throw fileError(error, path);
  });
  try {
    const first = Buffer.alloc(FIRST_BYTES);
    const { bytesRead } = await handle.read(first, 0, first.length, 0);
    if (isLfsPointer(first.subarray(0, bytesRead))) throw lfsPointer(path);
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await handle.close();
  }
}
