/**
 * @file A model as Hugging Face publishes it: a folder with `config.json` and `model.safetensors`, or several files
 * with `model.safetensors.index.json`, and perhaps `generation_config.json`, whose values are the defaults of the model. It is read as
 * leniently as transformers reads it; what is left out is said in {@link ModelFiles.notices}. Elements are F64, F32,
 * F16 or BF16; the last two are widened exactly.
 */
import { basename, join, resolve } from "node:path";
import type { SafetensorsFile } from "../../base/safetensors.ts";
import { numbersOf } from "../../base/half.ts";
import { viewBytes } from "../../base/dtype.ts";
import { sameShape, sizeOf } from "../../base/shape.ts";
import type { NoticeEvent } from "../../run/events.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { decoderOf } from "../models/models.ts";
import { type GenerationDefaults, readGenerationConfig } from "./generationConfig.ts";
import { EMBEDDING, findTensors, type FolderTensors, HEAD, requireTensors } from "./folderTensors.ts";
import { readTextIfExists } from "../../base/files.ts";
import { modelNotice, shownNames } from "./modelErrors.ts";
import { refuseOtherFolder, withoutConfig } from "./otherFolders.ts";
import { readConfig } from "./readConfig.ts";
import { weightFiles } from "./weightFiles.ts";
import type { ModelFiles } from "./weights.ts";

/** Elements of two tensors that are compared at a time. */
const COMPARED = 2 ** 20;

/** The defaults of generation_config.json; null without one. */
async function generationOf(folder: string, notices: NoticeEvent[]): Promise<GenerationDefaults | null> {
  const path = join(folder, "generation_config.json");
  const text = await readTextIfExists(path);
  return text === null ? null : readGenerationConfig(text, path, notices);
}

/** Whether two tensors have the same elements, bit for bit. */
async function sameElements({ tensors }: FolderTensors, one: string, other: string): Promise<boolean> {
  const [a, b] = [tensors.get(one)!, tensors.get(other)!];
  const [x, y] = [a.file.tensors.get(a.name)!, b.file.tensors.get(b.name)!];
  if (x.dtype !== y.dtype || !sameShape(x.shape, y.shape)) return false;
  const size = sizeOf(x.shape);
  for (let first = 0; first < size; first += COMPARED) {
    const count = Math.min(COMPARED, size - first);
    const [left, right] = await Promise.all([
      a.file.read(a.name, first, count),
      b.file.read(b.name, first, count),
    ]);
    if (Buffer.compare(viewBytes(left), viewBytes(right)) !== 0) return false;
  }
  return true;
}

/**
 * A head that is said to be the embedding, as transformers 5 has it: where a file holds both and they differ, the head
 * is its own matrix; where it holds the head alone, that is the embedding.
 */
async function headOf(
  config: DecoderConfig,
  found: FolderTensors,
  notices: NoticeEvent[],
): Promise<DecoderConfig> {
  const { tensors } = found;
  const head = tensors.get(HEAD);
  if (!config.tieWordEmbeddings || !head) return config;
  const embedding = EMBEDDING[config.family];
  if (!tensors.has(embedding)) tensors.set(embedding, head);
  else if (!(await sameElements(found, HEAD, embedding))) {
    notices.push(
      modelNotice(
        `config.json says that the head is the embedding (tie_word_embeddings), but the files hold another ${HEAD}: that one is used, as transformers does`,
      ),
    );
    return { ...config, tieWordEmbeddings: false };
  }
  tensors.delete(HEAD);
  return config;
}

/**
 * Opens a model folder and checks every tensor's name and shape; weights are read later, but for a head that must be
 * compared with the embedding.
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, LLM_UNSUPPORTED, LLM_TENSOR, and those of
 * `SafetensorsFile.open`
 */
export async function openModelFolder(folder: string): Promise<ModelFiles> {
  const path = join(folder, "config.json");
  const text = await readTextIfExists(path);
  if (text === null) throw await withoutConfig(folder);
  const notices: NoticeEvent[] = [];
  const shape = readConfig(text, path, notices);
  const generation = await generationOf(folder, notices);
  // Its end tokens come before those of config.json, as in transformers.
  const written = generation?.eosTokenIds.length ? { ...shape, eosTokenIds: generation.eosTokenIds } : shape;
  await refuseOtherFolder(folder);
  const opened: SafetensorsFile[] = [];
  const close = async () => {
    await Promise.all(opened.map((file) => file.close()));
  };
  try {
    // A tied head that was saved all the same is looked at.
    const known = new Map(decoderOf({ ...written, tieWordEmbeddings: false }).tensors);
    const found = await findTensors(folder, await weightFiles(folder), known, opened);
    const config = await headOf(written, found, notices);
    requireTensors(folder, decoderOf(config).tensors, found);
    const { tensors, unused } = found;
    if (unused.length > 0)
      notices.push(
        modelNotice(
          `${unused.length} ${unused.length === 1 ? "tensor" : "tensors"} of the files that such a model has not ${unused.length === 1 ? "is" : "are"} left out: ${shownNames(unused)}`,
        ),
      );
    const readStored = async (name: string) => {
      const { file, name: stored } = tensors.get(name)!;
      return { dtype: file.tensors.get(stored)!.dtype, elements: await file.read(stored) };
    };
    return {
      name: basename(resolve(folder)),
      config,
      generation,
      notices,
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
