/** @file Where the language models lie that ship with Pareto; `recipes/` says how each was trained. */
import { fileURLToPath } from "node:url";

/** Models that ship: one of English verse, and one of recall for each way of telling positions. */
export type ShippedModel = "shakespeare" | "recall-rotary" | "recall-alibi" | "recall-learned";

/** The folder of a model that ships. */
export function shippedModelPath(name: ShippedModel): string {
  return fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
}
