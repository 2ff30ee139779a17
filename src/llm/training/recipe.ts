/**
 * @file A recipe: what a language model is, what it learns from and for how long, as JSON. Recipes that ship with Pareto
 * are found by their names.
 */
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { checkJson, readJson, type JsonFormat } from "../../base/jsonFile.ts";
import { TASK_NAMES } from "../tasks/tasks.ts";

const count = z.int().min(1);
/** Tokens of a text. */
const textLength = z.int().min(8).max(1_048_576);
/** Tokens of a batch, at most. */
const BATCH_TOKENS = 2 ** 26;

/** What a recipe holds. */
export const recipeSchema = z.strictObject({
  /** What the model is called. */
  name: z.string().regex(/^[\w.-]+$/),
  /** `config.json` of the model, without the size of its vocabulary. */
  model: z.record(z.string(), z.json()),
  data: z.discriminatedUnion("kind", [
    /** The synthetic tasks, made as training goes on. */
    z.strictObject({ kind: z.literal("tasks") }),
    /** Text files, cut into tokens by a byte-level BPE of so many that is learned from them. */
    z.strictObject({ kind: z.literal("text"), vocabulary: z.int().min(257).max(65_536) }),
  ]),
  /** One after the other: so many steps over batches of so many texts of so many tokens. */
  stages: z
    .array(
      z
        .strictObject({ length: textLength, batchSize: count.max(65_536), steps: count })
        .refine(({ length, batchSize }) => length * batchSize <= BATCH_TOKENS, {
          error: `a batch of at most ${BATCH_TOKENS} tokens`,
        }),
    )
    .min(1),
  optimizer: z.strictObject({
    /** Of AdamW, after `warmupSteps`; falls to a tenth along half a cosine. */
    learningRate: z.number().positive(),
    warmupSteps: z.int().min(0),
    beta2: z.number().gt(0).lt(1),
    /** Share of the learning rate by which matrices shrink each step; embeddings and norms do not. */
    weightDecay: z.number().min(0),
    /** Gradients are scaled down to this joint norm. */
    gradientNorm: z.number().positive(),
  }),
  /** Share of elements dropped behind the embedding and behind each layer. */
  dropout: z.number().min(0).lt(1),
  validation: z.strictObject({
    /** Steps between validations. */
    everySteps: count,
    /** Texts, or items of each task. */
    texts: count.max(1_048_576),
    /** Tokens of each. */
    length: textLength,
    /** Of the tasks. */
    tasks: z.array(z.enum(TASK_NAMES)).default([]),
  }),
  seed: z.int().min(0).max(0xffffffff),
});

/** A recipe. */
export type Recipe = z.infer<typeof recipeSchema>;

const recipeFormat: JsonFormat<Recipe> = {
  noun: "recipe",
  schema: recipeSchema,
  codes: { damaged: "LLM_RECIPE" },
  fix: "Compare it with the recipes that ship with Pareto, in its folder recipes/.",
  takesPipes: true,
};

/** Recipes that ship with Pareto. */
const RECIPES = new URL("../../../recipes/", import.meta.url);

/**
 * Checks a recipe.
 * @throws ParetoError `LLM_RECIPE`
 */
export function parseRecipe(json: unknown, where: string): Recipe {
  return checkJson(recipeFormat, where, json);
}

/**
 * Reads a recipe.
 * @param nameOrPath the name of one that ships with Pareto, or the path of a JSON file
 * @throws ParetoError `LLM_RECIPE`, `FILE_MISSING`, `FILE_REFUSED`
 */
export async function readRecipe(nameOrPath: string): Promise<Recipe> {
  const isName = /^[\w-]+$/.test(nameOrPath);
  const path = isName ? fileURLToPath(new URL(`${nameOrPath}.json`, RECIPES)) : nameOrPath;
  return readJson(recipeFormat, path);
}
