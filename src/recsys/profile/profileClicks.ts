/** @file The profile of prepared data for a training that is planned. */
import type { PreparedDataset } from "../data/encode/prepareDataset.ts";
import { declaredParameters } from "../../nn/parameters.ts";
import type { OnEvent } from "../../run/events.ts";
import { tracePrediction } from "../models/denseModel.ts";
import type { MeasuredCost } from "../strategies/fae/costModel.ts";
import { bytesPerRow } from "../strategies/fae/rowBytes.ts";
import { ctrModel } from "../training/clickNetwork.ts";
import { sparseOptimizer, type TrainingSettings } from "../training/settings.ts";
import { measureCost } from "./measureCost.ts";
import { profileDataset, type DatasetProfile, type ProfileRequest } from "./profile.ts";

/** What to profile for. */
export interface ProfileClicksOptions {
  settings: TrainingSettings;
  /** Whether step times are measured, so that a speed-up can be predicted. */
  measure: boolean;
  onEvent?: OnEvent;
}

/** What is planned for where the settings leave it open: FAE, which a profile is about. */
function gpuPlacement({ placement, strategy }: TrainingSettings): "device" | "hybrid" | "fae" {
  if (placement === "device") return "device";
  return strategy === "fae" ? "fae" : "hybrid";
}

/**
 * Profiles the training part of prepared data.
 * @throws ParetoError as `profileDataset`
 */
export async function profileClicks(
  { train, schema }: PreparedDataset,
  { settings, measure, onEvent }: ProfileClicksOptions,
): Promise<DatasetProfile> {
  const optimizer = sparseOptimizer(settings.optimizer);
  const tableSizes = schema.categorical.map((field) => field.cardinality);
  const model = ctrModel(settings, schema);
  const parameters = declaredParameters((declared) => tracePrediction(model, 1, declared));
  const request = (cost?: MeasuredCost): ProfileRequest => ({
    source: train,
    tableNames: schema.categorical.map((field) => field.name),
    config: {
      policy: settings.hotPolicy,
      budgetBytes: settings.hotBudgetBytes,
      rowBytes: bytesPerRow(optimizer, settings.dim),
      sampleRate: settings.sampleRate,
      seed: settings.seed,
    },
    training: {
      tableSizes,
      dim: settings.dim,
      optimizer,
      batchSize: settings.batchSize,
      stagingBuffers: 2,
      denseInputs: schema.dense.length,
      denseParameters: parameters.size,
      ...(settings.device === "cuda" && { gpu: gpuPlacement(settings) }),
    },
    shuffleRate: settings.shuffleRate,
    ...(cost && { cost }),
    ...(onEvent && { onEvent }),
  });
  if (!measure) return profileDataset(request());
  // The number of hot rows decides what a hot step is timed on; what happens on the way is told once.
  const profile = await profileDataset({ ...request(), onEvent: () => {} });
  return profileDataset(request(await measureCost(model, settings, tableSizes, profile.hot.rows)));
}
