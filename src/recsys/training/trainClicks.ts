/**
 * @file The whole job: from a click log to a trained, tested model in a run folder.
 *
 * The folder holds `run.json` (configuration, seed, versions), `encoder/`, `checkpoints/last` and, over several
 * epochs, `checkpoints/best`, `events.jsonl` and `result.json`. Encoded data and FAE files lie in a cache folder
 * and are used again by runs over the same data with the same options.
 */
import { join } from "node:path";
import type { EncodedDataset } from "../data/encode/encodedDataset.ts";
import type { PreparedDataset } from "../data/encode/prepareDataset.ts";
import { fileExists } from "../../base/files.ts";
import { openDevice } from "../../engine/openDevice.ts";
import type { Device } from "../../engine/program.ts";
import { type JsonValue, writeJson } from "../../base/jsonFile.ts";
import type { OnEvent, RunEvent } from "../../run/events.ts";
import {
  createRunFolder,
  dataChanged,
  openRunFolder,
  requireNewFolder,
  type RunFolder,
} from "../../run/runFolder.ts";
import type { HotReport, StrategyName, SyncTotals, TrainingStrategy } from "../strategies/strategy.ts";
import { ClickNetwork } from "./clickNetwork.ts";
import { createStrategy } from "./createStrategy.ts";
import { evaluate } from "./evaluate.ts";
import { maxLookupsOf } from "./maxLookups.ts";
import { prepareClicks } from "./prepareClicks.ts";
import { resumedConfig, type ConfigChanges, type RequestedConfig, type RunConfig } from "./runConfig.ts";
import { checkPlacement, resolveSettings } from "./settings.ts";
import { BEST, LAST, Trainer, type TrainerState } from "./trainer.ts";

/** A training job. */
export type TrainClicksOptions = {
  /** The run's folder: new or empty, or that of an earlier run to go on with. */
  directory: string;
  /** Where encoded data lies, to be used again. */
  cacheDirectory: string;
  onEvent?: OnEvent;
  /** Told of the prepared data before training begins. */
  onPrepared?: (prepared: PreparedDataset) => void | Promise<void>;
  /** Saves and stops after the step under way. */
  signal?: AbortSignal;
} & ({ config: RequestedConfig } | { resume: ConfigChanges });

/** What training came to. */
export interface TrainClicksResult {
  /** The run's folder. */
  run: string;
  strategy: StrategyName;
  /** False when it was stopped by the signal; quality is then null. */
  finished: boolean;
  /** Of the test part. */
  auc: number | null;
  logLoss: number | null;
  accuracy: number | null;
  rows: { train: number; validation: number; test: number };
  epochs: number;
  steps: number;
  samplesPerSecond: number;
  /** Seconds of training: steps, synchronisation and the scheduler's evaluations. */
  trainSeconds: number;
  hot: HotReport | null;
  sync: SyncTotals;
  peakRssBytes: number;
  /** Bytes of embedding rows with optimizer state. */
  tableBytes: number;
  /** Which memory holds them. */
  tableMemory: "host" | "device";
  /** Most GPU memory held at once for rows, parameters and programs; null on the CPU. */
  peakGpuBytes: number | null;
  /** The configuration that ran. */
  config: RunConfig;
}

/**
 * Trains a CTR model and tests it.
 * @throws ParetoError `RUN_EXISTS`, `RESUME_CONFIG`, `RESUME_DATA`, `TRAIN_PLACEMENT`, `TRAIN_LOSS_NAN`, `TRAIN_DIVERGED`, and what
 * reading and encoding throw
 */
export async function trainClicks(options: TrainClicksOptions): Promise<TrainClicksResult> {
  const origin = performance.now();
  const clock = () => (performance.now() - origin) / 1000;
  const isResumed = "resume" in options;
  const earlier = isResumed ? await openRunFolder(options.directory) : null;
  const requested: RequestedConfig = isResumed
    ? resumedConfig((earlier!.record.config as unknown as StoredConfig).run, options.resume)
    : options.config;
  checkPlacement(requested.settings);
  const { device: target, threads, precision = "float32" } = requested.settings;
  // A device that is not there is told before data is read and a folder made.
  const device = await openDevice(target, { threads, precision });
  try {
    return await trainOn(device, requested, earlier, { ...options, clock, isResumed });
  } finally {
    await device.dispose();
  }
}

async function trainOn(
  device: Device,
  requested: RequestedConfig,
  earlier: RunFolder | null,
  options: Omit<TrainClicksOptions, "config" | "resume"> & { clock: () => number; isResumed: boolean },
): Promise<TrainClicksResult> {
  const { clock, isResumed } = options;
  // Nothing is left behind when the sources cannot be read.
  if (!isResumed) await requireNewFolder(options.directory);
  const early: RunEvent[] = [];
  const tell: OnEvent = (event) => {
    early.push(event);
    options.onEvent?.(event);
  };
  const prepared = await prepareClicks(requested, options.cacheDirectory, tell);
  tell({ event: "span", span: "prepare", start: 0, end: clock() });
  const config = { ...requested, settings: resolveSettings(requested.settings, prepared.train.rows) };
  const folder = earlier ?? (await startRun(options.directory, config, prepared));
  if (isResumed) {
    await checkData(folder, prepared);
    await folder.setConfig(storedConfig(config, prepared));
    // A run that failed while it was being made, e.g. on a full disk, may lack it.
    if (!(await fileExists(folder.file("encoder/encoder.json"))))
      await prepared.encoder.save(folder.file("encoder"));
  }
  const log = folder.openLog();
  for (const event of early) log.append(event);
  const onEvent: OnEvent = (event) => {
    log.append(event);
    options.onEvent?.(event);
  };
  try {
    await folder.setStatus("running");
    await options.onPrepared?.(prepared);
    const result = await trainPrepared(config, prepared, folder, {
      ...options,
      device,
      onEvent,
    });
    await writeJson(folder.file("result.json"), result);
    await folder.setStatus(result.finished ? "done" : "interrupted");
    return result;
  } catch (error) {
    await folder.setStatus("failed").catch(() => undefined);
    throw error;
  } finally {
    log.close();
  }
}

/** What `run.json` keeps as the configuration. */
interface StoredConfig {
  run: RunConfig;
  /** Of the data and its options. */
  fingerprint: string;
}

function storedConfig(run: RunConfig, { fingerprint }: PreparedDataset): JsonValue {
  return JSON.parse(JSON.stringify({ run, fingerprint } satisfies StoredConfig)) as JsonValue;
}

async function startRun(directory: string, run: RunConfig, prepared: PreparedDataset): Promise<RunFolder> {
  const config = storedConfig(run, prepared);
  const folder = await createRunFolder(directory, {
    command: "recsys train",
    config,
    seed: run.settings.seed,
  });
  await prepared.encoder.save(folder.file("encoder"));
  return folder;
}

async function checkData(folder: RunFolder, prepared: PreparedDataset): Promise<void> {
  const { fingerprint } = folder.record.config as unknown as StoredConfig;
  if (fingerprint === prepared.fingerprint) return;
  throw dataChanged(folder.path, prepared.fingerprint);
}

interface TrainContext {
  device: Device;
  onEvent: OnEvent;
  clock: () => number;
  signal?: AbortSignal;
  isResumed: boolean;
}

async function trainPrepared(
  config: RunConfig,
  prepared: PreparedDataset,
  folder: RunFolder,
  { device, onEvent, clock, signal, isResumed }: TrainContext,
): Promise<TrainClicksResult> {
  const { settings } = config;
  const { train, validation, test, schema } = prepared;
  const checkpoints = folder.file("checkpoints");
  // A process killed while it saved for the first time leaves a folder without the file that makes it a checkpoint.
  const hasCheckpoint = isResumed && (await fileExists(join(checkpoints, LAST, "checkpoint.json")));
  const maxLookups = Math.max(
    ...[train, validation, test].map((part) => maxLookupsOf(part, settings.batchSize)),
  );
  const network = await ClickNetwork.create(settings, schema, {
    device,
    maxLookups,
    initial: hasCheckpoint ? "zeros" : "uniform",
  });
  let strategy: TrainingStrategy | null = null;
  try {
    const state = hasCheckpoint ? await loadState(network, join(checkpoints, LAST)) : undefined;
    strategy = await createStrategy(config, prepared, network, { clock, onEvent }, state);
    const trainer = new Trainer({
      network,
      strategy,
      settings,
      train,
      validation,
      directory: checkpoints,
      clock,
      onEvent,
      ...(signal && { signal }),
      ...(state && { state }),
    });
    const finished = await trainer.run();
    const { best, epoch, step, samples, trainSeconds } = trainer.state;
    if (finished && best && best.epoch !== epoch) await network.load(join(checkpoints, BEST));
    const metrics = finished ? await testNetwork(network, test, { onEvent, clock }, trainer.state) : null;
    return {
      run: folder.path,
      strategy: settings.strategy,
      finished,
      auc: metrics?.auc ?? null,
      logLoss: metrics?.logLoss ?? null,
      accuracy: metrics?.accuracy ?? null,
      rows: { train: train.rows, validation: validation.rows, test: test.rows },
      epochs: epoch,
      steps: step,
      samplesPerSecond: samples / Math.max(1e-9, trainSeconds),
      trainSeconds,
      hot: strategy.hot,
      sync: strategy.sync,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
      tableBytes: network.tables.bytes,
      tableMemory: network.tables.memory,
      peakGpuBytes: network.peakGpuBytes,
      config,
    };
  } finally {
    await strategy?.dispose();
    await network.dispose();
  }
}

async function loadState(network: ClickNetwork, directory: string): Promise<TrainerState> {
  return (await network.load(directory)) as unknown as TrainerState;
}

async function testNetwork(
  network: ClickNetwork,
  test: EncodedDataset,
  { onEvent, clock }: Pick<TrainContext, "clock" | "onEvent">,
  { epoch, step, trainSeconds: seconds }: TrainerState,
) {
  const start = clock();
  const metrics = await evaluate(network, test, {
    onProgress: (done) =>
      onEvent({ event: "progress", task: "evaluate", done, total: test.rows, unit: "rows", rate: null }),
  });
  onEvent({ event: "span", span: "evaluate", start, end: clock() });
  const { logLoss, auc, accuracy } = metrics;
  onEvent({ event: "metrics", part: "test", epoch, step, seconds, logLoss, auc, accuracy });
  return metrics;
}
