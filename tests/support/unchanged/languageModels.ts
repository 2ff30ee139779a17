/** @file Small language models, trained on a text and on made tasks, at a stretch and stopped and resumed. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseRecipe } from "../../../src/llm/training/recipe.ts";
import type { LmConfig } from "../../../src/llm/training/lmConfig.ts";
import { trainLm } from "../../../src/llm/training/trainLm.ts";
import type { RunEvent } from "../../../src/run/events.ts";
import { hashTensors, type TensorsHash } from "./tensorHash.ts";

/** What a run came to. */
export interface LmRun {
  validation: unknown;
  bestStep: number | null;
  steps: number;
  tokens: number;
  vocabulary: number;
  parameters: number;
  /** Parameters and optimizer state. */
  weights: TensorsHash;
  /** What is published: rounded to bfloat16. */
  model: TensorsHash;
}

const SENTENCES = [
  "the quick brown fox jumps over the lazy dog, and the dog sleeps on.\n",
  "a small boat sails over the cold lake; nobody sees it go.\n",
  "she sells sea shells by the shore, and he buys none of them.\n",
];
const TEXT = Array.from({ length: 90 }, (_, i) => SENTENCES[(i * i + (i >> 2)) % 3]).join("");

const SHAPES = {
  llama: {
    model_type: "llama",
    hidden_size: 32,
    intermediate_size: 64,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 64,
    tie_word_embeddings: true,
  },
  mpt: {
    model_type: "mpt",
    d_model: 32,
    n_heads: 4,
    n_layers: 2,
    max_seq_len: 64,
    attn_config: { alibi: true },
  },
  gpt2: { model_type: "gpt2", n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64 },
} as const;

const OPTIMIZER = { learningRate: 0.01, warmupSteps: 5, beta2: 0.98, weightDecay: 0.01, gradientNorm: 1 };

/** Recipes by name: each family of models on a text, with dropout, and one on tasks. */
const RECIPES = {
  llama: {
    model: SHAPES.llama,
    data: { kind: "text", vocabulary: 280 },
    stages: [
      { length: 16, batchSize: 8, steps: 30 },
      { length: 32, batchSize: 8, steps: 20 },
    ],
    dropout: 0,
    validation: { everySteps: 20, texts: 4, length: 32 },
  },
  mpt: {
    model: SHAPES.mpt,
    data: { kind: "text", vocabulary: 280 },
    stages: [{ length: 24, batchSize: 6, steps: 30 }],
    dropout: 0,
    validation: { everySteps: 20, texts: 4, length: 32 },
  },
  gpt2: {
    model: SHAPES.gpt2,
    data: { kind: "text", vocabulary: 280 },
    stages: [
      { length: 16, batchSize: 8, steps: 40 },
      { length: 32, batchSize: 8, steps: 20 },
    ],
    dropout: 0.1,
    validation: { everySteps: 25, texts: 4, length: 32 },
  },
  tasks: {
    model: SHAPES.llama,
    data: { kind: "tasks" },
    stages: [{ length: 32, batchSize: 8, steps: 30 }],
    dropout: 0.05,
    validation: { everySteps: 15, texts: 4, length: 32, tasks: ["recall", "copy"] },
  },
} as const;
/** A recipe's name. */
export type LmCase = keyof typeof RECIPES;
/** All of them. */
export const LM_CASES = Object.keys(RECIPES) as LmCase[];

/** How to run. */
export interface LmRunOptions {
  device: LmConfig["device"];
  threads: number;
  /** Steps in place of the recipe's stages. */
  steps?: number;
  /** Stopped after some 20 steps, and resumed. */
  isStopped?: boolean;
}

/** Trains one of the recipes in a new folder of `root`. */
export async function trainSmallLm(root: string, name: LmCase, options: LmRunOptions): Promise<LmRun> {
  const { device, threads, steps, isStopped = false } = options;
  const path = join(root, "text.txt");
  await writeFile(path, TEXT);
  const { stages, ...recipe } = RECIPES[name];
  const text = {
    ...recipe,
    name: `unchanged-${name}`,
    stages: steps === undefined ? stages : [{ ...stages[0], steps }],
    optimizer: OPTIMIZER,
    seed: 1,
  };
  const parsed = parseRecipe(text, name);
  const where = { device, threads, precision: "float32" } as const;
  const directory = join(root, `lm ${name} ${device} ${threads} ${isStopped}`);
  const config = { ...where, recipe: parsed, paths: recipe.data.kind === "text" ? [path] : [] };
  const stop = new AbortController();
  const onEvent = (event: RunEvent): void => {
    if (isStopped && event.event === "metrics" && event.part === "train" && event.step >= 20) stop.abort();
  };
  let result = await trainLm({ directory, config, onEvent, signal: stop.signal });
  if (isStopped) {
    if (result.finished) throw new Error(`${name} was to stop on its way, got its end`);
    result = await trainLm({ directory, resume: {} });
  }
  const { validation, bestStep, steps: done, tokens, vocabulary, parameters } = result;
  return {
    validation,
    bestStep,
    steps: done,
    tokens,
    vocabulary,
    parameters,
    weights: await hashTensors(join(directory, "checkpoints", "last")),
    model: await hashTensors(result.model!),
  };
}
