/** @file Tells what a folder given as a model is when it is none that can be opened, with what to do about it. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileError } from "../../base/fileErrors.ts";
import type { ParetoError } from "../../base/errors.ts";
import { missingFile, shownNames, unsupported } from "./modelErrors.ts";

const ADAPTER = "adapter_config.json";
const MERGE =
  'a model into which its adapter is merged: in Python, PeftModel.from_pretrained(…).merge_and_unload().save_pretrained("FOLDER")';
const WANTED = "a model folder has a config.json";

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    throw fileError(error, folder);
  });
}

/**
 * Refuses a folder whose model is only a part of what its config.json says.
 * @throws ParetoError LLM_UNSUPPORTED for one with an adapter (LoRA) beside the weights
 */
export async function refuseOtherFolder(folder: string): Promise<void> {
  if ((await namesIn(folder)).includes(ADAPTER))
    throw unsupported(folder, "an adapter (PEFT, such as LoRA)", ADAPTER, MERGE);
}

/** The error of a folder without a config.json: LLM_FILE_MISSING, or LLM_UNSUPPORTED. */
export async function withoutConfig(folder: string): Promise<ParetoError> {
  const names = (await namesIn(folder)).filter((name) => !name.startsWith(".")).sort();
  const missing = (received: string, fix: string) => missingFile(folder, WANTED, received, fix);
  const FOLDER = "Give the folder of a model as Hugging Face publishes it, or a llama2.c .bin file.";
  if (names.length === 0) return missing("an empty folder", FOLDER);
  if (names.includes(ADAPTER)) return unsupported(folder, "an adapter (PEFT, such as LoRA)", ADAPTER, MERGE);
  const held = shownNames(names);
  if (names.includes("snapshots")) {
    const [snapshot = "REVISION"] = await namesIn(join(folder, "snapshots"));
    return missing(held, `This is a folder of the hub's cache: give ${join(folder, "snapshots", snapshot)}.`);
  }
  if (names.includes("run.json") && names.includes("model"))
    return missing(held, `This is the folder of a run: give its model, ${join(folder, "model")}.`);
  const steps = names.filter((name) => /^checkpoint-\d+$/.test(name));
  if (steps.length > 0)
    return missing(
      held,
      `This is the folder of a training run: give a checkpoint, e.g. ${join(folder, steps.at(-1)!)}.`,
    );
  if (names.some((name) => /^consolidated.*\.pth$/.test(name)))
    return missing(
      held,
      "These are weights as Meta publishes them: use the model's folder on the hub with config.json and safetensors, or convert them by transformers' convert_llama_weights_to_hf.py.",
    );
  if (names.some((name) => name.endsWith(".gguf")))
    return unsupported(
      folder,
      "a GGUF file",
      names.find((name) => name.endsWith(".gguf")),
      "a folder with config.json and safetensors, as Hugging Face publishes it",
    );
  const model = names.find((name) => name.endsWith(".bin") && !/^(tok|pytorch_model)/.test(name));
  if (model !== undefined)
    return missing(
      held,
      `Give ${join(folder, model)} itself where that is a model of llama2.c; else the folder lacks its config.json.`,
    );
  return missing(held, FOLDER);
}
