/**
 * @file Which tensors of a folder's files are a model's, as Hugging Face's own loader finds them: names may have the
 * prefix of the model's body or lack it, and what the model has no use for, of whatever element type, is left out.
 */
import { join } from "node:path";
import { isFloat } from "../../base/dtype.ts";
import { ParetoError } from "../../base/errors.ts";
import { SafetensorsFile } from "../../base/safetensors.ts";
import { formatShape, sameShape, type Shape } from "../../base/shape.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { shownNames } from "./modelErrors.ts";
import type { WeightFiles } from "./weightFiles.ts";

/** The embedding's name in each family. */
export const EMBEDDING: Readonly<Record<DecoderConfig["family"], string>> = {
  llama: "model.embed_tokens.weight",
  gpt2: "wte.weight",
  gptj: "wte.weight",
  mpt: "wte.weight",
};
/** The head's name in all families. */
export const HEAD = "lm_head.weight";
/** Names put before those of a model's body by those who publish it. */
const BODIES = ["model.", "transformer."];
/** Tensors of older checkpoints that hold nothing learned, masks and angles: not worth a word. */
const BUFFERS =
  /(^|\.)(attn\.bias|attn\.masked_bias|attention\.bias|attention\.masked_bias|rotary_emb\.inv_freq|attn\.embed_positions)$/;

/** A tensor in a file. */
interface StoredTensor {
  file: SafetensorsFile;
  /** Its name there. */
  name: string;
  shape: Shape;
}

/** What a folder holds for a model. */
export interface FolderTensors {
  /** By the names that the model has for them. */
  tensors: Map<string, StoredTensor>;
  /** Names that the model has no use for, without those of known buffers. */
  unused: string[];
  /** Files by the model's tensors that lie in them and not where the index says. */
  misplaced: Map<string, string>;
}

function wrongTensor(folder: string, message: string, fix?: string): ParetoError {
  return new ParetoError({
    code: "LLM_TENSOR",
    where: folder,
    message,
    fix: fix ?? "Check that the weights belong to this config.json, and that every file was downloaded.",
  });
}

/** What a model calls a tensor of a file; null for none of its own. */
function nameIn(wanted: ReadonlyMap<string, Shape>, stored: string): string | null {
  if (wanted.has(stored)) return stored;
  for (const body of BODIES) {
    if (wanted.has(body + stored)) return body + stored;
    if (stored.startsWith(body) && wanted.has(stored.slice(body.length))) return stored.slice(body.length);
  }
  return null;
}

/**
 * Opens a folder's files and finds a model's tensors in them.
 * @param wanted shapes by the model's own names; names that are absent or of another shape are not refused here
 * @param opened receives each file, for whoever closes them
 * @throws ParetoError LLM_TENSOR for a tensor that is there twice, and those of {@link SafetensorsFile.open}
 */
export async function findTensors(
  folder: string,
  { files, fileOf }: WeightFiles,
  wanted: ReadonlyMap<string, Shape>,
  opened: SafetensorsFile[],
): Promise<FolderTensors> {
  const tensors = new Map<string, StoredTensor>();
  const unused: string[] = [];
  const misplaced = new Map<string, string>();
  for (const fileName of files) {
    const file = await SafetensorsFile.open(join(folder, fileName), (name) => {
      const isUnused = nameIn(wanted, name) === null;
      if (isUnused && !BUFFERS.test(name)) unused.push(name);
      return isUnused;
    });
    opened.push(file);
    for (const [name, { shape }] of file.tensors) {
      // Where the index says in which file a tensor lies, one of its name in another file is not it.
      const own = nameIn(wanted, name)!;
      if ((fileOf?.get(name) ?? fileName) !== fileName) {
        misplaced.set(own, fileName);
        continue;
      }
      const other = tensors.get(own);
      if (other)
        throw wrongTensor(
          folder,
          `a model has each tensor once, got ${other.name} and ${name} for ${own}`,
          "Keep the files of one model in the folder.",
        );
      tensors.set(own, { file, name, shape });
    }
  }
  return { tensors, unused, misplaced };
}

/**
 * Checks that a model's tensors are there, with their shapes, of floating-point elements.
 * @throws ParetoError LLM_TENSOR
 */
export function requireTensors(
  folder: string,
  wanted: ReadonlyMap<string, Shape>,
  { tensors, unused, misplaced }: FolderTensors,
): void {
  const missing = [...wanted.keys()].filter((name) => !tensors.has(name));
  const elsewhere = missing.find((name) => misplaced.has(name));
  if (elsewhere !== undefined)
    throw wrongTensor(
      folder,
      `each tensor lies in the file that the index says, got ${elsewhere} in ${misplaced.get(elsewhere)}`,
      "Download the index and all files of the weights again, of one version of the model.",
    );
  if (missing.length > 0) throw missingTensors(folder, missing, unused);
  for (const [name, shape] of wanted) {
    const { shape: held, file, name: stored } = tensors.get(name)!;
    if (!sameShape(held, shape))
      throw wrongTensor(
        folder,
        `by config.json tensor ${name} must be ${formatShape(shape)}, got ${formatShape(held)}`,
      );
    const { dtype } = file.tensors.get(stored)!;
    if (!isFloat(dtype))
      throw wrongTensor(
        folder,
        `tensor ${name} must hold floating-point numbers, got ${dtype}`,
        "Use a model with weights in F32, F16 or BF16: quantised ones are not supported.",
      );
  }
}

function missingTensors(folder: string, missing: readonly string[], unused: readonly string[]): ParetoError {
  const many =
    missing.length === 1 ? "a tensor that its files lack" : `${missing.length} tensors that its files lack`;
  let fix: string | undefined;
  if (unused.some((name) => /\.lora_[ABab]\b|\.lora_(A|B|embedding)/.test(name)))
    fix =
      "These are weights of an adapter: merge it into its model (merge_and_unload in PEFT) and save that.";
  else if (
    unused.some((name) => /\.(qweight|qzeros|scales|g_idx|weight_packed|absmax|quant_map)$/.test(name))
  )
    fix = "These are quantised weights: use the model in F32, F16 or BF16.";
  else if (missing.length === 1 && missing[0] === HEAD)
    fix =
      'Where the head is the embedding, config.json must say "tie_word_embeddings": true; else the file of the head is missing.';
  const held = unused.length === 0 ? "" : `; there are others, such as ${unused[0]}`;
  return wrongTensor(folder, `the model needs ${many}, got no ${shownNames(missing)}${held}`, fix);
}
