/**
 * @file The whole job: from a recipe to a trained language model in a run folder.
 *
 * The folder holds `run.json` (recipe, seed, versions), `checkpoints/last` and `checkpoints/best`, `events.jsonl`,
 * `result.json`, and at the end `model/`, a folder as Hugging Face publishes models.
 */
import { join } from "node:path";
import { ParetoError } from "../../base/errors.ts";
import { fileExists } from "../../base/fileExists.ts";
import type { JsonValue } from "../../run/checkpointManifest.ts";
import type { OnEvent, RunEvent } from "../../run/events.ts";
import {
  createRunFolder,
  dataChanged,
  openRunFolder,
  requireNewFolder,
  writeJson,
  type RunFolder,
} from "../../run/runFolder.ts";
import { readConfig } from "../load/readConfig.ts";
import type { LmData } from "./lmData.ts";
import { LmNetwork, type LmNetworkOptions } from "./lmNetwork.ts";
import { BEST, LAST, LmTrainer, type LmTrainerState } from "./lmTrainer.ts";
import type { Recipe } from "./recipe.ts";
import { saveModel } from "./saveModel.ts";
import { taskData } from "./taskData.ts";
import { textData } from "./textData.ts";
import { validate, type Validation } from "./validate.ts";

/** What a run is made from. */
export interface LmRunConfig {
  recipe: Recipe;
  /** Text files, for a recipe that learns from text. */
  paths: string[];
}

/** A training job. */
export type TrainLmOptions = LmNetworkOptions & {
  /** The run's folder: new or empty, or that of an earlier run to go on with. */
  directory: string;
  /** Training ends after so many minutes; its stages and its learning rate come in time for that. */
  maxMinutes?: number;
  onEvent?: OnEvent;
  /** Saves and stops after the steps under way. */
  signal?: AbortSignal;
} & ({ config: LmRunConfig } | { resume: true });

/** What training came to. */
export interface TrainLmResult {
  /** The run's folder. */
  run: string;
  name: string;
  /** False when it was stopped by the signal; quality is then null. */
  finished: boolean;
  /** Of the saved weights, rounded as they are saved. */
  validation: Validation | null;
  /** Step after which the saved weights were taken. */
  bestStep: number | null;
  parameters: number;
  vocabulary: number;
  steps: number;
  tokens: number;
  tokensPerSecond: number;
  /** Seconds of training steps, without validation and checkpoints. */
  trainSeconds: number;
  /** The saved model's folder. */
  model: string | null;
}

/** What `run.json` keeps as the configuration. */
interface StoredConfig extends LmRunConfig {
  /** Of the data. */
  fingerprint: number;
}

/**
 * Trains a language model.
 * @throws ParetoError `RUN_EXISTS`, `RUN_MISSING`, `RESUME_DATA`, `LLM_TEXT_MISSING`, `LLM_TEXT_UNUSED`,
 * `LLM_TEXT_SHORT`, `LLM_MODEL_DAMAGED`, `LLM_UNSUPPORTED`, `TRAIN_LOSS_NAN`, `TRAIN_DIVERGED`, and what opening the
 * device throws
 */
export async function trainLm(options: TrainLmOptions): Promise<TrainLmResult> {
  const origin = performance.now();
  const clock = () => (performance.now() - origin) / 1000;
  const earlier = "resume" in options ? await openRunFolder(options.directory) : null;
  const stored = earlier && (earlier.record.config as unknown as StoredConfig);
  if (!earlier) await requireNewFolder(options.directory);
  const { recipe, paths } = "resume" in options ? stored! : options.config;
  const early: RunEvent[] = [];
  const tell: OnEvent = (event) => {
    early.push(event);
    options.onEvent?.(event);
  };
  const data = await openData(recipe, paths, tell);
  // As it is written beside the weights; checked before anything is.
  const config = { ...recipe.model, vocab_size: data.vocabulary, eos_token_id: data.eosTokenId };
  readConfig(JSON.stringify(config), recipe.name);
  tell({ event: "span", span: "prepare", start: 0, end: clock() });
  const { fingerprint } = data;
  if (stored && stored.fingerprint !== fingerprint)
    throw dataChanged(options.directory, fingerprint.toString(16));
  const kept = { recipe, paths, fingerprint } satisfies StoredConfig as unknown as JsonValue;
  const folder =
    earlier ??
    (await createRunFolder(options.directory, { command: "llm train", config: kept, seed: recipe.seed }));
  const log = folder.openLog();
  for (const event of early) log.append(event);
  const onEvent: OnEvent = (event) => {
    log.append(event);
    options.onEvent?.(event);
  };
  try {
    await folder.setStatus("running");
    const result = await trainOn(folder, { recipe, data, config }, { ...options, clock, onEvent });
    await writeJson(folder.file("result.json"), result);
    await folder.setStatus(result.finished ? "done" : "interrupted");
    return result;
  } catch (error) {
    await folder.setStatus("failed").catch(() => undefined);
    throw error;
  } finally {
    log.close();
  }
}

async function openData(recipe: Recipe, paths: readonly string[], onEvent: OnEvent): Promise<LmData> {
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
    onEvent({ event: "progress", task: "encode", done, total, unit, rate: null }),
  );
}

interface Job {
  recipe: Recipe;
  data: LmData;
  /** Contents of `config.json`. */
  config: object;
}

async function trainOn(
  folder: RunFolder,
  { recipe, data, config }: Job,
  options: TrainLmOptions & { clock: () => number; onEvent: OnEvent },
): Promise<TrainLmResult> {
  const { clock, onEvent, signal, maxMinutes } = options;
  const checkpoints = folder.file("checkpoints");
  const network = await LmNetwork.create(readConfig(JSON.stringify(config), recipe.name), recipe, options);
  try {
    // A process killed before its first checkpoint leaves a folder without one.
    const hasCheckpoint =
      "resume" in options && (await fileExists(join(checkpoints, LAST, "checkpoint.json")));
    const state = hasCheckpoint
      ? ((await network.load(join(checkpoints, LAST))) as unknown as LmTrainerState)
      : undefined;
    const trainer = new LmTrainer({
      network,
      recipe,
      data,
      directory: checkpoints,
      clock,
      onEvent,
      ...(maxMinutes !== undefined && { deadline: 60 * maxMinutes }),
      ...(signal && { signal }),
      ...(state && { state }),
    });
    const finished = await trainer.run();
    const { best, step, tokens, trainSeconds } = trainer.state;
    const result: TrainLmResult = {
      run: folder.path,
      name: recipe.name,
      finished,
      validation: null,
      bestStep: best?.step ?? null,
      parameters: network.parameters.size,
      vocabulary: data.vocabulary,
      steps: step,
      tokens,
      tokensPerSecond: tokens / Math.max(1e-9, trainSeconds),
      trainSeconds,
      model: null,
    };
    if (!finished) return result;
    if (best!.step !== step) await network.load(join(checkpoints, BEST));
    await network.roundWeights();
    const validation = await validate(network, data.validation);
    const directory = folder.file("model");
    await saveModel(directory, network, { config, tokenizer: data.tokenizer });
    return { ...result, validation, model: directory };
  } finally {
    await network.dispose();
  }
}
