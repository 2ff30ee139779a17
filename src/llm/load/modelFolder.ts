/**
 * @file A model as Hugging Face publishes it: a folder with `config.json` and `model.safetensors`, or several files
 * with `model.safetensors.index.json`. Elements are F32, F16 or BF16; the last two are widened exactly.
 */
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { SafetensorsFile } from "../../data/safetensors.ts";
import { ParetoError } from "../../engine/errors.ts";
import { numbersOf } from "../../engine/half.ts";
import { fileError } from "../../engine/partialFile.ts";
import { formatShape, sameShape, type Shape } from "../../engine/shape.ts";
import { decoderOf } from "../models/models.ts";
import { damagedModel, missingFile } from "./modelErrors.ts";
import { readConfig } from "./readConfig.ts";
import type { ModelFiles } from "./weights.ts";

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** Tensors that older checkpoints carry and that hold nothing learned: masks and angles. */
const BUFFERS = /(^|\.)(attn\.bias|attn\.masked_bias|rotary_emb\.inv_freq)$/;
/** Names put before those of a model's body, which some checkpoints leave out. */
const PREFIX = /^transformer\./;
/** Most names that an error lists. */
const SHOWN = 5;

/** Text of a file of the folder, or null where there is none. */
async function textOf(folder: string, file: string): Promise<string | null> {
  return readFile(join(folder, file), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw fileError(error, join(folder, file));
  });
}

async function weightFiles(folder: string): Promise<string[]> {
  const index = "model.safetensors.index.json";
  const text = await textOf(folder, index);
  if (text === null) return ["model.safetensors"];
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = null;
  }
  const parsed = indexSchema.safeParse(json);
  if (!parsed.success)
    throw damagedModel(join(folder, index), "weight_map must map tensors to files", text.slice(0, 40));
  const files = [...new Set(Object.values(parsed.data.weight_map))].sort();
  const outside = files.find((file) => basename(file) !== file);
  if (outside !== undefined)
    throw damagedModel(join(folder, index), "weights must lie in the folder itself", outside);
  return files;
}

function wrongTensor(folder: string, message: string): ParetoError {
  return new ParetoError({
    code: "LLM_TENSOR",
    where: folder,
    message,
    fix: "Check that the weights belong to this config.json, and that every file was downloaded.",
  });
}

/** Names of `what`, shortened. */
function shown(names: readonly string[]): string {
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : "";
  return `${names.slice(0, SHOWN).join(", ")}${more}`;
}

function requireTensors(
  folder: string,
  wanted: ReadonlyMap<string, Shape>,
  found: ReadonlyMap<string, { shape: Shape }>,
): void {
  const missing = [...wanted.keys()].filter((name) => !found.has(name));
  if (missing.length > 0)
    throw wrongTensor(folder, `the model needs tensors that its files lack, got no ${shown(missing)}`);
  const unknown = [...found.keys()].filter((name) => !wanted.has(name));
  if (unknown.length > 0)
    throw wrongTensor(folder, `the files have tensors that such a model has not, got ${shown(unknown)}`);
  for (const [name, shape] of wanted) {
    const held = found.get(name)!.shape;
    if (!sameShape(held, shape))
      throw wrongTensor(folder, `tensor ${name} must be ${formatShape(shape)}, got ${formatShape(held)}`);
  }
}

/**
 * Opens a model folder and checks every tensor's name and shape; no weights are read yet.
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, LLM_UNSUPPORTED, LLM_TENSOR, and those of
 * {@link SafetensorsFile.open}
 */
export async function openModelFolder(folder: string): Promise<ModelFiles> {
  const text = await textOf(folder, "config.json");
  if (text === null)
    throw missingFile(
      folder,
      "a model folder has a config.json",
      "none",
      "Give the folder of a model as Hugging Face publishes it, or a llama2.c .bin file.",
    );
  const config = readConfig(text, join(folder, "config.json"));
  const decoder = decoderOf(config);
  const opened: SafetensorsFile[] = [];
  const close = async () => {
    await Promise.all(opened.map((file) => file.close()));
  };
  try {
    const places = new Map<string, { file: SafetensorsFile; name: string; shape: Shape }>();
    for (const name of await weightFiles(folder)) {
      const file = await SafetensorsFile.open(join(folder, name));
      opened.push(file);
      for (const [tensor, { shape }] of file.tensors) {
        if (BUFFERS.test(tensor)) continue;
        places.set(tensor.replace(PREFIX, ""), {
          file,
          name: tensor,
          shape,
        });
      }
    }
    // A tied head that was saved all the same is a copy of the embedding.
    if (config.isTied) places.delete("lm_head.weight");
    requireTensors(folder, decoder.tensors, places);
    const readStored = async (name: string) => {
      const { file, name: stored } = places.get(name)!;
      return { dtype: file.tensors.get(stored)!.dtype, elements: await file.read(stored) };
    };
    return {
      name: basename(resolve(folder)),
      config,
      readStored,
      read: async (name) => {
        const { dtype, elements } = await readStored(name);
        const numbers = numbersOf(elements, dtype);
        return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
