/** @file Recipes of language models that train in a second, and a text for them. */
import { parseRecipe, type Recipe } from "../../../src/llm/training/recipe.ts";

const SENTENCE = "the quick brown fox jumps over the lazy dog, and the dog sleeps on.\n";

/** Some lines that say the same thing. */
export const TEXT = SENTENCE.repeat(60);

const shapes = {
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

/** A family that has a recipe. */
export type TinyFamily = keyof typeof shapes;
/** All of them. */
export const TINY_FAMILIES = Object.keys(shapes) as TinyFamily[];

/** A recipe. */
export function tinyRecipe(
  family: TinyFamily,
  kind: "text" | "tasks",
  changes: Partial<Recipe> = {},
): Recipe {
  const isText = kind === "text";
  return parseRecipe(
    {
      name: `tiny-${family}`,
      model: shapes[family],
      data: isText ? { kind, vocabulary: 280 } : { kind },
      stages: [
        { length: 16, batchSize: 8, steps: 30 },
        { length: 32, batchSize: 8, steps: 30 },
      ],
      optimizer: { learningRate: 0.01, warmupSteps: 5, beta2: 0.98, weightDecay: 0.01, gradientNorm: 1 },
      dropout: 0,
      validation: { everySteps: 20, texts: 4, length: 32, ...(!isText && { tasks: ["recall", "copy"] }) },
      seed: 1,
      ...changes,
    },
    "tinyRecipe",
  );
}
