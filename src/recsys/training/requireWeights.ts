/**
 * @file Checks that a checkpoint holds the weights of a model before memory is taken for them, so that a damaged
 * configuration, or a model that has changed since, is an error at once rather than wrong values or a full memory.
 */
import { openCheckpoint } from "../../run/checkpoint.ts";
import { declaredParameters } from "../../nn/parameters.ts";
import type { ClickSchema } from "../data/batches/clickBatch.ts";
import { tableTensor } from "../embedding/tableCheckpoint.ts";
import type { CtrModel } from "../models/ctrModel.ts";
import { tracePrediction } from "../models/denseModel.ts";
import { rowFloats } from "../models/features.ts";
import { CTR_CHECKPOINT } from "./clickNetwork.ts";

/**
 * Checks the names and shapes of a model's parameters and tables.
 * @param checkpoint its folder
 * @throws ParetoError CHECKPOINT_TENSOR, and as `openCheckpoint`
 */
export async function requireWeights(
  checkpoint: string,
  model: CtrModel,
  { categorical }: ClickSchema,
): Promise<void> {
  const opened = await openCheckpoint(checkpoint, CTR_CHECKPOINT);
  try {
    const parameters = declaredParameters((declared) => tracePrediction(model, 1, declared));
    for (const name of parameters.names) opened.requireShape(name, parameters.shapeOf(name));
    const floats = rowFloats(model.inputs);
    for (const [t, { cardinality }] of categorical.entries())
      opened.requireShape(tableTensor(t, "weights"), [cardinality, floats]);
  } finally {
    await opened.close();
  }
}
