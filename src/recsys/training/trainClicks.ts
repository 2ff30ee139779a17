/**
 * @file The whole job: from a click log to a trained, tested model in a run folder. Beside what every run's folder holds
 * there is `encoder/`. Encoded data and FAE files lie in a cache folder and are used again by runs over the same data
 * with the same options.
 */
import { join } from "node:path";
import { fileExists } from "../../base/files.ts";
import { openDevice } from "../../engine/openDevice.ts";
import type { Device } from "../../engine/program.ts";
import { runTraining, type TrainingRequest } from "../../run/runTraining.ts";
import type { PreparedTask, TrainingTask } from "../../run/task.ts";
import { LAST } from "../../run/trainer.ts";
import type { PreparedDataset } from "../data/encode/prepareDataset.ts";
import { createModel, prepareModel } from "../models/registry.ts";
import { trainStatistics } from "../models/trainStatistics.ts";
import { clickConfig, type ClickConfig, type RequestedConfig } from "./clickConfig.ts";
import { ClickNetwork } from "./clickNetwork.ts";
import type { TrainClicksResult } from "./clickResult.ts";
import { ClickTrainable } from "./clickTrainable.ts";
import { createStrategy } from "./createStrategy.ts";
import { maxLookupsOf } from "./maxLookups.ts";
import { prepareClicks } from "./prepareClicks.ts";
import { requireWeights } from "./requireWeights.ts";
import { checkPlacement, resolveSettings } from "./settings.ts";

/** A training job. */
export type TrainClicksOptions = TrainingRequest<ClickConfig, RequestedConfig> & ClickOptions;

interface ClickOptions {
  /** Where encoded data lies, to be used again. */
  cacheDirectory: string;
  /** The data where it is prepared already, by the options of the configuration. Else it is prepared, or found so. */
  prepared?: PreparedDataset;
  /** Receives the prepared data before training begins. */
  onPrepared?: (prepared: PreparedDataset) => void | Promise<void>;
}

/**
 * Trains a CTR model and tests it.
 * @throws ParetoError what `runTraining` throws, `TRAIN_PLACEMENT`, and what reading and encoding throw
 */
export async function trainClicks(options: TrainClicksOptions): Promise<TrainClicksResult> {
  return runTraining(clickTask(options), options);
}

function clickTask(options: ClickOptions): TrainingTask<ClickConfig, RequestedConfig, TrainClicksResult> {
  return {
    command: "recsys train",
    schema: clickConfig,
    async prepare(requested, context) {
      checkPlacement(requested.settings);
      const { device: target, threads, precision = "float32" } = requested.settings;
      // A missing device is an error before data is read and a folder made.
      const device = await openDevice(target, { threads, precision });
      try {
        const prepared =
          options.prepared ??
          (await prepareClicks(requested, options.cacheDirectory, context.onEvent, context.signal));
        const settings = resolveSettings(requested.settings, prepared.train.rows);
        const known = requested.prepared ?? (await prepareModel(settings.model, trainStatistics(prepared)));
        return preparedTask({ ...requested, settings, prepared: known }, prepared, device, options);
      } catch (error) {
        await device.dispose();
        throw error;
      }
    },
  };
}

function preparedTask(
  config: ClickConfig,
  prepared: PreparedDataset,
  device: Device,
  { onPrepared }: ClickOptions,
): PreparedTask<ClickConfig, TrainClicksResult> {
  const { settings } = config;
  const { train, validation, test, schema, encoder, fingerprint } = prepared;
  return {
    config,
    seed: settings.seed,
    fingerprint,
    dispose: () => device.dispose(),
    async open(context, folder, isRestored) {
      // A run that failed while it was being made, e.g. on a full disk, may lack it.
      if (!(await fileExists(folder.file("encoder/encoder.json"))))
        await encoder.save(folder.file("encoder"));
      await onPrepared?.(prepared);
      if (isRestored) {
        const last = join(folder.file("checkpoints"), LAST);
        await requireWeights(last, createModel(settings.model, schema, config.prepared), schema);
      }
      const lookups = [train, validation, test].map((part) => maxLookupsOf(part, settings.batchSize));
      const network = await ClickNetwork.create(settings, schema, {
        device,
        maxLookups: Math.max(...lookups),
        prepared: config.prepared,
        initial: isRestored ? "zeros" : "uniform",
      });
      return new ClickTrainable({
        config,
        network,
        train,
        validation,
        test,
        context,
        run: folder.path,
        createStrategy: (position, onEvent) => {
          const { clock, signal } = context;
          const given = { clock, onEvent, ...(signal && { signal }) };
          return createStrategy(config, prepared, network, given, position);
        },
      });
    },
  };
}
