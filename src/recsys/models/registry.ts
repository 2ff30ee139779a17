/** @file All CTR models by name. A new model is a file beside this one, and a line here. */
import type { JsonValue } from "../../base/jsonFile.ts";
import { choose } from "../../run/policies/choose.ts";
import { writePolicyText } from "../../run/policies/policyText.ts";
import type { ClickSchema } from "../data/batches/clickBatch.ts";
import type { CtrModel, CtrModelDefinition, TrainStatistics } from "./ctrModel.ts";
import { dlrmDefinition } from "./dlrm.ts";
import { rowFloats } from "./features.ts";

/** In the order that help shows them. */
export const CTR_MODELS: readonly CtrModelDefinition[] = [dlrmDefinition];

function chosen(text: string, where = "--model") {
  return choose(CTR_MODELS, text, { noun: "CTR model", code: "MODEL", where });
}

/**
 * A model's text with every option: two texts that mean the same become equal.
 * @param text e.g. `dlrm` or `dlrm:dim=32,top=(256,128)`
 * @throws ParetoError `POLICY_TEXT`, `MODEL_UNKNOWN`, `MODEL_OPTION`
 */
export function fullModelText(text: string): string {
  const { definition, options } = chosen(text);
  return writePolicyText(definition.name, options);
}

/**
 * What a model must know of the training part before it is made; null where it needs nothing.
 * @throws ParetoError as {@link fullModelText}
 */
export async function prepareModel(text: string, train: TrainStatistics): Promise<JsonValue> {
  const { definition, options } = chosen(text);
  return (await definition.prepare?.(options, train)) ?? null;
}

/**
 * Makes a model for the columns of a schema.
 * @param prepared what {@link prepareModel} found
 * @throws ParetoError as {@link fullModelText}, and `MODEL_FEATURES` for features that embedding stores do not give
 */
export function createModel(text: string, schema: ClickSchema, prepared: JsonValue = null): CtrModel {
  const { definition, options } = chosen(text);
  const model = definition.create(options, schema, prepared);
  // Refused before memory is filled.
  rowFloats(model.inputs);
  return model;
}
