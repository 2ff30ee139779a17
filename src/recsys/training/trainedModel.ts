/** @file A model that a run has trained, opened again: to evaluate, predict and export. */
import type { EncodedDataset } from "../data/encode/encodedDataset.ts";
import { Encoder } from "../data/encode/encoder.ts";
import { keptCheckpoint } from "../../run/keptCheckpoint.ts";
import { openRunFolder } from "../../run/runFolder.ts";
import { ClickNetwork } from "./clickNetwork.ts";
import { maxLookupsOf } from "./maxLookups.ts";
import type { ClickConfig } from "./clickConfig.ts";
import type { TrainingSettings } from "./settings.ts";

/** A finished run's model. */
export interface TrainedModel {
  config: ClickConfig;
  encoder: Encoder;
  /** Folder of the checkpoint with its weights: the best one, or the last where there was one epoch. */
  checkpoint: string;
}

/**
 * Opens a run's model without its weights.
 * @throws ParetoError `RUN_MISSING`, `RUN_INVALID`, `RUN_VERSION`, `DATA_ENCODER_DAMAGED`,
 * `CHECKPOINT_MISSING`
 */
export async function openTrainedModel(run: string): Promise<TrainedModel> {
  const folder = await openRunFolder(run);
  const encoder = await Encoder.load(folder.file("encoder"));
  return {
    config: folder.record.config as unknown as ClickConfig,
    encoder,
    checkpoint: await keptCheckpoint(folder),
  };
}

/**
 * Loads a model's weights, sized for a data set.
 * @param device that the dense part runs on, and whose memory holds the rows if they fit
 * @throws ParetoError `CHECKPOINT_MISSING`, `CHECKPOINT_DAMAGED`, `CHECKPOINT_VERSION`
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
