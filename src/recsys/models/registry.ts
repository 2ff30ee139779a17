/** @file All CTR models by name. A new model is a file beside this one, and a line here. */
import type { JsonValue } from "../../base/jsonFile.ts";
import { choose, type ChoiceRequest } from "../../run/policies/choose.ts";
import type { ClickSchema } from "../data/batches/clickBatch.ts";
import type { CtrModel, CtrModelDefinition } from "./ctrModel.ts";
import { dlrmDefinition } from "./dlrm.ts";
import { rowFloats } from "./features.ts";

/** In the order that help shows them. */
export const CTR_MODELS: readonly CtrModelDefinition[] = [dlrmDefinition];

/** A model as a run keeps it: its name, and every option. */
export type ModelChoice = { name: string } & Readonly<Record<string, JsonValue>>;

/** The definition of a model, and its options. @throws ParetoError `POLICY_TEXT`, `MODEL_UNKNOWN`, `MODEL_OPTION` */
function chosen(request: ChoiceRequest, where: string) {
  return choose(CTR_MODELS, request, { noun: "CTR model", code: "MODEL", where });
}

/**
 * Reads what a user asked for: `dlrm`, `dlrm:dim=32,top=(256,128)`, or an object from JSON.
 * @param where the option or file at fault in errors, e.g. `--model`
 * @throws ParetoError `POLICY_TEXT`, `MODEL_UNKNOWN`, `MODEL_OPTION`
 */
export function chooseModel(request: ChoiceRequest, where: string): ModelChoice {
  const { definition, options } = chosen(request, where);
  return { name: definition.name, ...options } as ModelChoice;
}

/**
 * Makes a model for the columns of a schema.
 * @param prepared what the model's definition found in the training part; null where it needs nothing
 * @throws ParetoError `MODEL_UNKNOWN`, `MODEL_OPTION`, `MODEL_FEATURES`
 */
export function createModel(choice: ModelChoice, schema: ClickSchema, prepared: JsonValue = null): CtrModel {
  const { definition, options } = chosen(choice, "model");
  const model = definition.create(options, schema, prepared);
  // Refused before memory is filled.
  rowFloats(model.inputs);
  return model;
}
