/** @file The configuration of a language model's training, as its folder keeps it. */
import { z } from "zod";
import { mayChange } from "../../run/resumedConfig.ts";
import { recipeSchema } from "./recipe.ts";

/** All that decides a run. */
export const lmConfig = z.strictObject({
  recipe: recipeSchema,
  /** Text files, for a recipe that learns from text. */
  paths: z.array(z.string()),
  /** The figure on the validation texts that says which weights are kept. Defaults to `logLoss`. */
  monitor: z.enum(["logLoss", "accuracy"]).exactOptional(),
  // Where it is computed changes rounding alone.
  device: mayChange(z.enum(["cpu", "cuda"])),
  threads: mayChange(z.int().min(1).max(1024)),
  precision: mayChange(z.enum(["float32", "tf32"])),
});

/** All that decides a run. */
export type LmConfig = z.infer<typeof lmConfig>;
