/** @file Which files of a model folder hold its weights: one, or those that an index names. */
import { open, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { ParetoError } from "../../base/errors.ts";
import { parseJson } from "./jsonText.ts";
import { readTextIfExists } from "../../base/files.ts";
import { damagedModel, missingFile } from "./modelErrors.ts";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
/** How a file begins in whose place Git LFS would have downloaded the real one. */
const POINTER = "version https://git-lfs";

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/**
 * Names of the files, each of which is there.
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, FILE_REFUSED
 */
export async function weightFiles(folder: string): Promise<string[]> {
  const held = await readdir(folder);
  // A whole file is taken before one in pieces, as transformers does.
  const files = held.includes(SINGLE) || !held.includes(INDEX) ? [SINGLE] : await indexedFiles(folder);
  const missing = files.filter((file) => !held.includes(file));
  if (missing.length > 0) throw withoutWeights(folder, files, missing, held);
  for (const file of files) await refusePointer(join(folder, file));
  return files;
}

async function indexedFiles(folder: string): Promise<string[]> {
  const path = join(folder, INDEX);
  const text = (await readTextIfExists(path)) ?? "";
  const parsed = indexSchema.safeParse(parseJson(text, path));
  const files = parsed.success ? [...new Set(Object.values(parsed.data.weight_map))].sort() : [];
  if (files.length === 0) throw damagedModel(path, "weight_map must map tensors to files", text.slice(0, 40));
  const outside = files.find((file) => basename(file) !== file);
  if (outside !== undefined) throw damagedModel(path, "weights must lie in the folder itself", outside);
  return files;
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
  const other = held.filter((file) => /\.(bin|pth?|gguf|safetensors|h5|msgpack|onnx)$/.test(file)).sort();
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
  const handle = await open(path, "r");
  try {
    const first = Buffer.alloc(POINTER.length);
    await handle.read(first, 0, first.length, 0);
    if (first.toString("latin1") !== POINTER) return;
  } finally {
    await handle.close();
  }
  throw new ParetoError({
    code: "LLM_MODEL_DAMAGED",
    where: path,
    message: "the weights were not downloaded, got Git LFS's pointer to them",
    fix: "Run git lfs pull in the model's folder, or download the file itself.",
  });
}
