/**
 * @file The whole job: from a recipe to a trained language model in a run folder, whose `model/` is a folder as Hugging
 * Face publishes models.
 */
import { ParetoError } from "../../base/errors.ts";
import type { RunContext } from "../../run/context.ts";
import { runTraining, type TrainingRequest } from "../../run/runTraining.ts";
import type { TrainingTask } from "../../run/task.ts";
import { readConfig } from "../load/readConfig.ts";
import { lmConfig, type LmConfig } from "./lmConfig.ts";
import type { LmData } from "./lmData.ts";
import { LmNetwork } from "./lmNetwork.ts";
import type { TrainLmResult } from "./lmResult.ts";
import { LmTrainable } from "./lmTrainable.ts";
import { taskData } from "./taskData.ts";
import { textData } from "./textData.ts";

/** A training job. */
export type TrainLmOptions = TrainingRequest<LmConfig>;

/**
 * Trains a language model.
 * @throws ParetoError what `runTraining` throws, `LLM_TEXT_MISSING`, `LLM_TEXT_UNUSED`, `LLM_TEXT_SHORT`,
 *   `LLM_MODEL_DAMAGED`, `LLM_UNSUPPORTED`, and what opening the device throws
 */
export async function trainLm(options: TrainLmOptions): Promise<TrainLmResult> {
  return runTraining(lmTask, options);
}

const lmTask: TrainingTask<LmConfig, LmConfig, TrainLmResult> = {
  command: "llm train",
  schema: lmConfig,
  async prepare(requested, context) {
    const config = { ...requested, monitor: requested.monitor ?? ("logLoss" as const) };
    const { recipe, monitor } = config;
    const data = await openData(config, context);
    // As it is written beside the weights; checked before anything is.
    const modelConfig = { ...recipe.model, vocab_size: data.vocabulary, eos_token_id: data.eosTokenId };
    const decoder = readConfig(JSON.stringify(modelConfig), recipe.name);
    return {
      config,
      seed: recipe.seed,
      fingerprint: data.fingerprint.toString(16),
      async open(context, folder) {
        const network = await LmNetwork.create(decoder, recipe, config);
        return new LmTrainable({ recipe, monitor, modelConfig, network, data, context, folder });
      },
    };
  },
};

async function openData({ recipe, paths }: LmConfig, context: RunContext): Promise<LmData> {
  if (recipe.data.kind === "tasks") {
    if (paths.length === 0) return taskData(recipe);
    throw new ParetoError({
      code: "LLM_TEXT_UNUSED",
      where: recipe.name,
      message: `this recipe makes its own texts, got ${paths.join(", ")}`,
      fix: "Leave the files out, or take a recipe that learns from text.",
    });
  }
  if (paths.length === 0) {
    throw new ParetoError({
      code: "LLM_TEXT_MISSING",
      where: recipe.name,
      message: "this recipe learns from text, got no file",
      fix: "Give one text file or more.",
    });
  }
  return textData(paths, recipe.data.vocabulary, recipe, (done, total, unit) =>
    context.progress("encode", done, total, unit),
  );
}
