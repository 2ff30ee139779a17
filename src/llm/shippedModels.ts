/**
 * @file Where the language models lie that Pareto trained itself; `recipes/` says how, the card in a model's folder what
 * it knows. The npm package holds `recall-rotary` alone, to stay small: a checkout has all of them.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ParetoError } from "../base/errors.ts";

/** Models of Pareto: one of English verse, and one of recall for each kind of position encoding. */
export type ShippedModel = "shakespeare" | "recall-rotary" | "recall-alibi" | "recall-learned";

/**
 * The folder of a model.
 * @throws ParetoError `LLM_MODEL_NOT_SHIPPED` where only a checkout has it
 */
export function shippedModelPath(name: ShippedModel): string {
  const path = fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
  if (existsSync(path)) return path;
  throw new ParetoError({
    code: "LLM_MODEL_NOT_SHIPPED",
    where: path,
    message: `a checkout of Pareto has this model, the npm package does not, got ${name}`,
    fix: "Give the folder of a model, as Hugging Face publishes it; or clone the repository.",
  });
}
