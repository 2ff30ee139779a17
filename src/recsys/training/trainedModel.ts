/** @file A model that a run has trained, opened again: to evaluate, predict and export. */
import type { EncodedDataset } from "../data/encode/encodedDataset.ts";
import { Encoder } from "../data/encode/encoder.ts";
import { keptCheckpoint } from "../../run/keptCheckpoint.ts";
import { storedConfig } from "../../run/storedConfig.ts";
import { openRunFolder } from "../../run/runFolder.ts";
import { ClickNetwork } from "./clickNetwork.ts";
import type { CtrModel } from "../models/ctrModel.ts";
import { createModel } from "../models/registry.ts";
import { maxLookupsOf } from "./maxLookups.ts";
import { requireWeights } from "./requireWeights.ts";
import { clickConfig, type ClickConfig } from "./clickConfig.ts";
import type { TrainingSettings } from "./settings.ts";

/** A finished run's model. */
export interface TrainedModel {
  config: ClickConfig;
  encoder: Encoder;
  /** Its graph; the checkpoint holds its weights. */
  model: CtrModel;
  /** Folder of the checkpoint with its weights: the best one, or the last where there was one epoch. */
  checkpoint: string;
}

/**
 * Opens a run's model without its weights.
 * @throws ParetoError `RUN_MISSING`, `RUN_INVALID`, `RUN_VERSION`, `RUN_COMMAND`, `DATA_ENCODER_DAMAGED`,
 * `CHECKPOINT_MISSING`, `CHECKPOINT_DAMAGED`, `CHECKPOINT_VERSION`, `CHECKPOINT_TENSOR`
 */
export async function openTrainedModel(run: string): Promise<TrainedModel> {
  const folder = await openRunFolder(run);
  const config = storedConfig("recsys train", clickConfig, folder);
  const encoder = await Encoder.load(folder.file("encoder"));
  const checkpoint = await keptCheckpoint(folder);
  const model = createModel(config.settings.model, encoder.schema, config.prepared);
  await requireWeights(checkpoint, model, encoder.schema);
  return { config, encoder, model, checkpoint };
}

/**
 * Loads a model's weights, sized for a data set.
 * @param device that the dense part runs on, and whose memory holds the rows if they fit
 * @throws ParetoError `CHECKPOINT_MISSING`, `CHECKPOINT_DAMAGED`, `CHECKPOINT_VERSION`, `CHECKPOINT_TENSOR`
 */
export async function loadNetwork(
  { config, encoder, checkpoint }: TrainedModel,
  dataset: EncodedDataset,
  threads: number,
  device: TrainingSettings["device"] = "cpu",
): Promise<ClickNetwork> {
  // Where a model was trained says nothing about where it is used; without a strategy all rows may be on the device.
  const place = { strategy: "baseline", placement: "auto", precision: "float32" } as const;
  const settings: TrainingSettings = { ...config.settings, ...place, threads, device };
  const maxLookups = maxLookupsOf(dataset, settings.batchSize);
  const network = await ClickNetwork.create(settings, encoder.schema, {
    maxLookups,
    prepared: config.prepared,
    initial: "zeros",
  });
  try {
    await network.load(checkpoint);
    return network;
  } catch (error) {
    await network.dispose();
    throw error;
  }
}
