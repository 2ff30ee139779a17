/**
 * @file A model as Hugging Face publishes it: a folder with `config.json` and `model.safetensors`, or several files
 * with `model.safetensors.index.json`, and perhaps `generation_config.json`, whose end tokens count. Elements are F32,
 * F16 or BF16; the last two are widened exactly.
 */
import { basename, join, resolve } from "node:path";
import { SafetensorsFile } from "../../base/safetensors.ts";
import { ParetoError } from "../../base/errors.ts";
import { numbersOf } from "../../base/half.ts";
import { formatShape, sameShape, type Shape } from "../../base/shape.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { decoderOf } from "../models/models.ts";
import { parseJson } from "./jsonText.ts";
import { readTextIfExists } from "../../base/files.ts";
import { missingFile } from "./modelErrors.ts";
import { readConfig, readEosTokenIds } from "./readConfig.ts";
import { weightFiles } from "./weightFiles.ts";
import type { ModelFiles } from "./weights.ts";

/** Tensors that older checkpoints carry and that hold nothing learned: masks and angles. */
const BUFFERS = /(^|\.)(attn\.bias|attn\.masked_bias|rotary_emb\.inv_freq)$/;
/** Names put before those of a model's body, which some checkpoints leave out. */
const PREFIX = /^transformer\./;
/** Most names that an error lists. */
const SHOWN = 5;

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

/** The end tokens of generation_config.json come before those of config.json, as in transformers. */
async function withEndTokens(folder: string, config: DecoderConfig): Promise<DecoderConfig> {
  const path = join(folder, "generation_config.json");
  const text = await readTextIfExists(path);
  const eosTokenIds = text === null ? [] : readEosTokenIds(parseJson(text, path), path);
  return eosTokenIds.length === 0 ? config : { ...config, eosTokenIds };
}

/**
 * Opens a model folder and checks every tensor's name and shape; no weights are read yet.
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, LLM_UNSUPPORTED, LLM_TENSOR, and those of
 * {@link SafetensorsFile.open}
 */
export async function openModelFolder(folder: string): Promise<ModelFiles> {
  const text = await readTextIfExists(join(folder, "config.json"));
  if (text === null)
    throw missingFile(
      folder,
      "a model folder has a config.json",
      "none",
      "Give the folder of a model as Hugging Face publishes it, or a llama2.c .bin file.",
    );
  const config = await withEndTokens(folder, readConfig(text, join(folder, "config.json")));
  const decoder = decoderOf(config);
  const opened: SafetensorsFile[] = [];
  const close = async () => {
    await Promise.all(opened.map((file) => file.close()));
  };
  try {
    const places = new Map<string, { file: SafetensorsFile; name: string; shape: Shape }>();
    for (const name of await weightFiles(folder)) {
      const file = await SafetensorsFile.open(join(folder, name), (tensor) => BUFFERS.test(tensor));
      opened.push(file);
      for (const [tensor, { shape }] of file.tensors) {
        places.set(tensor.replace(PREFIX, ""), {
          file,
          name: tensor,
          shape,
        });
      }
    }
    // A tied head that was saved all the same is a copy of the embedding.
    if (config.tieWordEmbeddings) places.delete("lm_head.weight");
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
