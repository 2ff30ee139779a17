/** @file The profile of prepared data for a training that is planned. */
import type { PreparedDataset } from "../data/encode/prepareDataset.ts";
import { declaredParameters } from "../../nn/parameters.ts";
import type { JsonValue } from "../../base/jsonFile.ts";
import type { OnEvent } from "../../run/events.ts";
import { tracePrediction } from "../models/denseModel.ts";
import type { MeasuredCost } from "../strategies/fae/costModel.ts";
import { rowFloats } from "../models/features.ts";
import { createModel, prepareModel } from "../models/registry.ts";
import { trainStatistics } from "../models/trainStatistics.ts";
import { fae, faeConfig, type FaeOptions } from "../strategies/fae/faeDefinition.ts";
import { shuffleRatePolicies } from "../strategies/fae/shuffleRate.ts";
import { parseStrategy, strategyPolicies } from "../strategies/registry.ts";
import { bytesPerRow } from "../strategies/fae/rowBytes.ts";
import { sparseOptimizer, type TrainingSettings } from "../training/settings.ts";
import { measureCost } from "./measureCost.ts";
import { profileDataset, type DatasetProfile, type ProfileRequest } from "./profile.ts";

/** What to profile for. */
export interface ProfileClicksOptions {
  settings: TrainingSettings;
  /** What the model's definition found in the training part. Defaults to what it finds now. */
  prepared?: JsonValue;
  /** Whether step times are measured, so that a speed-up can be predicted. */
  measure: boolean;
  onEvent?: OnEvent;
}

/** Rows in GPU memory, as planned: where the settings leave it open those of FAE, which a profile is about. */
function gpuRows(settings: TrainingSettings): "all" | "hot" | "none" {
  if (settings.placement === "device") return "all";
  return parseStrategy(settings.strategy).name === "fae" ? "hot" : "none";
}

/** FAE's options, those of the settings or the defaults. */
function faeOptionsOf({ strategy }: TrainingSettings): FaeOptions {
  const { definition, options } = strategyPolicies.parse(strategy, "--strategy");
  return (definition === fae ? options : strategyPolicies.parse("fae", "--strategy").options) as FaeOptions;
}

/**
 * Profiles the training part of prepared data.
 * @throws ParetoError as `profileDataset`
 */
export async function profileClicks(
  dataset: PreparedDataset,
  { settings, prepared, measure, onEvent }: ProfileClicksOptions,
): Promise<DatasetProfile> {
  const { train, schema } = dataset;
  const optimizer = sparseOptimizer(settings.optimizer);
  const tableSizes = schema.categorical.map((field) => field.cardinality);
  const known = prepared ?? (await prepareModel(settings.model, trainStatistics(dataset)));
  const model = createModel(settings.model, schema, known);
  const dim = rowFloats(model.inputs);
  const options = faeOptionsOf(settings);
  const { hot, seed } = settings;
  const parameters = declaredParameters((declared) => tracePrediction(model, 1, declared));
  const request = (cost?: MeasuredCost): ProfileRequest => ({
    source: train,
    tableNames: schema.categorical.map((field) => field.name),
    config: faeConfig(options, { hot, seed, rowBytes: bytesPerRow(optimizer, dim) }),
    training: {
      tableSizes,
      dim,
      optimizer,
      batchSize: settings.batchSize,
      stagingBuffers: 2,
      denseInputs: schema.dense.length,
      denseParameters: parameters.size,
      ...(settings.device === "cuda" && { gpuRows: gpuRows(settings) }),
    },
    shuffleRate: shuffleRatePolicies.parse(options.shuffle, "--strategy fae:shuffle").create().start,
    ...(cost && { cost }),
    ...(onEvent && { onEvent }),
  });
  if (!measure) return profileDataset(request());
  // The number of hot rows decides what a hot step is timed on; its events are emitted once.
  const profile = await profileDataset({ ...request(), onEvent: () => {} });
  return profileDataset(request(await measureCost(model, settings, tableSizes, profile.hot.rows)));
}
