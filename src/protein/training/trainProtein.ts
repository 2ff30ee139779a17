/**
 * @file The whole job: from FASTA files to a trained, tested model in a run folder.
 *
 * The folder holds `run.json` (configuration, seed, versions), `checkpoints/last` and `checkpoints/best`,
 * `events.jsonl`, `result.json`, and at the end `model/`, the saved model.
 */
import { join } from "node:path";
import { fileExists } from "../../base/fileExists.ts";
import type { JsonValue } from "../../run/checkpointManifest.ts";
import type { OnEvent, RunEvent } from "../../run/events.ts";
import type { MulticlassMetrics } from "../../run/metrics/multiclass.ts";
import {
  createRunFolder,
  dataChanged,
  openRunFolder,
  requireNewFolder,
  writeJson,
  type RunFolder,
} from "../../run/runFolder.ts";
import type { SequenceSet } from "../encodedSequences.ts";
import type { FamilyReport } from "../families/families.ts";
import { proteinModel } from "../models/models.ts";
import { saveProteinModel } from "../savedModel.ts";
import type { SequenceSplit } from "../splits/split.ts";
import { fingerprintOf, readProteinData } from "./readProteinData.ts";
import { evaluateRows, predictRows } from "./predictRows.ts";
import {
  resumedProteinConfig,
  type ProteinChanges,
  type ProteinConfig,
  type ProteinData,
} from "./proteinConfig.ts";
import { ProteinNetwork } from "./proteinNetwork.ts";
import { BEST, LAST, ProteinTrainer, type ProteinTrainerState } from "./proteinTrainer.ts";
import { openReplicas } from "./replicas.ts";
import { batchSizeFor, type ProteinSettings } from "./settings.ts";
import { calibratedThreshold, decoysOf, type Threshold } from "./threshold.ts";

/** A training job. */
export type TrainProteinOptions = {
  /** The run's folder: new or empty, or that of an earlier run to go on with. */
  directory: string;
  onEvent?: OnEvent;
  /** Told of what was read before training begins. */
  onRead?: (report: FamilyReport, split: SequenceSplit) => void;
  /** Saves and stops after the step under way. */
  signal?: AbortSignal;
} & ({ config: RequestedConfig } | { resume: ProteinChanges });

/** A configuration; without a batch size, {@link batchSizeFor} the training part. */
export interface RequestedConfig {
  data: ProteinData;
  settings: Omit<ProteinSettings, "batchSize"> & { batchSize?: number };
}

/** What training came to. */
export interface TrainProteinResult {
  /** The run's folder. */
  run: string;
  /** False when it was stopped by the signal; quality is then null. */
  finished: boolean;
  /** On the test part, of the weights that were best on the validation part. */
  test: MulticlassMetrics | null;
  validation: Omit<MulticlassMetrics, "classes" | "confusions"> | null;
  families: string[];
  sequences: { train: number; validation: number; test: number };
  parameters: number;
  /** Bytes of the float32 weights. */
  weightBytes: number;
  /** Below this largest probability a sequence counts as of no known family. */
  threshold: number | null;
  /** Shares of the validation sequences, and of decoys made of them, that reach the threshold and that do not. */
  thresholdShares: Omit<Threshold, "threshold"> | null;
  epochs: number;
  bestEpoch: number | null;
  steps: number;
  sequencesPerSecond: number;
  /** Seconds of training steps, without validation and checkpoints. */
  trainSeconds: number;
  /** The saved model's folder. */
  model: string | null;
  config: ProteinConfig;
}

/** What `run.json` keeps as the configuration. */
interface StoredConfig {
  run: ProteinConfig;
  /** Of the sequences and their order. */
  fingerprint: number;
}

/**
 * Trains a protein network and tests it.
 * @throws ParetoError `RUN_EXISTS`, `RUN_MISSING`, `RESUME_CONFIG`, `RESUME_DATA`, `TRAIN_LOSS_NAN`, `TRAIN_DIVERGED`,
 * `PROTEIN_EMPTY_PART`, and what reading families and opening the device throw
 */
export async function trainProtein(options: TrainProteinOptions): Promise<TrainProteinResult> {
  const origin = performance.now();
  const clock = () => (performance.now() - origin) / 1000;
  const early: RunEvent[] = [];
  const tell: OnEvent = (event) => {
    early.push(event);
    options.onEvent?.(event);
  };
  const earlier = "resume" in options ? await openRunFolder(options.directory) : null;
  const stored = earlier && (earlier.record.config as unknown as StoredConfig);
  const requested = "resume" in options ? resumedProteinConfig(stored!.run, options.resume) : options.config;
  // Nothing is left behind when the sources cannot be read.
  if (!earlier) await requireNewFolder(options.directory);
  const { set, report, parts } = await readProteinData(requested.data, tell);
  const { data, settings } = requested;
  const { batchSize = batchSizeFor(parts.train.length) } = settings;
  const config: ProteinConfig = { data, settings: { ...settings, batchSize } };
  tell({ event: "span", span: "prepare", start: 0, end: clock() });
  options.onRead?.(report, parts);
  const fingerprint = fingerprintOf(set);
  if (stored && stored.fingerprint !== fingerprint)
    throw dataChanged(options.directory, fingerprint.toString(16));
  const kept = JSON.parse(JSON.stringify({ run: config, fingerprint } satisfies StoredConfig)) as JsonValue;
  const folder =
    earlier ??
    (await createRunFolder(options.directory, {
      command: "protein train",
      config: kept,
      seed: config.settings.seed,
    }));
  if (earlier) await folder.setConfig(kept);
  const log = folder.openLog();
  for (const event of early) log.append(event);
  const onEvent: OnEvent = (event) => {
    log.append(event);
    options.onEvent?.(event);
  };
  try {
    await folder.setStatus("running");
    const context = { onEvent, clock, isResumed: earlier !== null };
    const result = await trainOn(config, set, parts, folder, {
      ...context,
      ...(options.signal && { signal: options.signal }),
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

interface TrainContext {
  onEvent: OnEvent;
  clock: () => number;
  signal?: AbortSignal;
  isResumed: boolean;
}

async function trainOn(
  config: ProteinConfig,
  set: SequenceSet,
  parts: SequenceSplit,
  folder: RunFolder,
  { onEvent, clock, signal, isResumed }: TrainContext,
): Promise<TrainProteinResult> {
  const { settings } = config;
  const { device: name, threads, precision, batchSize, seed, length } = settings;
  const checkpoints = folder.file("checkpoints");
  const replicas = await openReplicas(name, { threads, precision, batchSize, purpose: "training" });
  const model = proteinModel(settings.model, set.families.length);
  const network = await ProteinNetwork.create(replicas, model, {
    seed,
    hasDecoys: settings.decoys > 0,
    isTraining: true,
  });
  try {
    // A process killed while it saved for the first time leaves a folder without the file that makes it a checkpoint.
    const hasCheckpoint = isResumed && (await fileExists(join(checkpoints, LAST, "checkpoint.json")));
    const state = hasCheckpoint
      ? ((await network.load(join(checkpoints, LAST))) as unknown as ProteinTrainerState)
      : undefined;
    const trainer = new ProteinTrainer({
      network,
      settings,
      set,
      train: parts.train,
      validation: parts.validation,
      directory: checkpoints,
      clock,
      onEvent,
      ...(signal && { signal }),
      ...(state && { state }),
    });
    const finished = await trainer.run();
    const { best, epoch, step, sequences, trainSeconds } = trainer.state;
    const result: TrainProteinResult = {
      run: folder.path,
      finished,
      test: null,
      validation: null,
      families: set.families,
      sequences: {
        train: parts.train.length,
        validation: parts.validation.length,
        test: parts.test.length,
      },
      parameters: network.size,
      weightBytes: 4 * network.size,
      threshold: null,
      thresholdShares: null,
      epochs: epoch,
      bestEpoch: best?.epoch ?? null,
      steps: step,
      sequencesPerSecond: sequences / Math.max(1e-9, trainSeconds),
      trainSeconds,
      model: null,
      config,
    };
    if (!finished) return result;
    if (best!.epoch !== epoch) await network.load(join(checkpoints, BEST));
    const start = clock();
    const validation = await evaluateRows(network, set, parts.validation, length);
    const test = await evaluateRows(network, set, parts.test, length, (done) =>
      onEvent({
        event: "progress",
        task: "evaluate",
        done,
        total: parts.test.length,
        unit: "sequences",
        rate: null,
      }),
    );
    onEvent({ event: "span", span: "evaluate", start, end: clock() });
    const { logLoss, accuracy, macroF1 } = test.metrics;
    const seconds = trainSeconds;
    onEvent({ event: "metrics", part: "test", epoch, step, seconds, logLoss, accuracy, macroF1 });
    const decoys = decoysOf(set, parts.validation, length);
    const decoyProbabilities = await predictRows(
      network,
      decoys,
      Uint32Array.from(parts.validation, (_, i) => i),
      length,
    );
    const { threshold, ...thresholdShares } = calibratedThreshold(
      validation.probabilities,
      decoyProbabilities,
      model.classes,
    );
    const directory = folder.file("model");
    const { classes: _, confusions: __, ...validationFigures } = validation.metrics;
    const { classes: ___, confusions: ____, ...testFigures } = test.metrics;
    await saveProteinModel(directory, network, {
      network: settings.model,
      families: set.families,
      length,
      threshold,
      trained: JSON.parse(
        JSON.stringify({
          split: config.data.split,
          strict: config.data.strict,
          cap: config.data.cap,
          minimum: config.data.minimum,
          dataSeed: config.data.dataSeed,
          seed,
          epochs: epoch,
          bestEpoch: best!.epoch,
          batchSize,
          learningRate: settings.learningRate,
          decoys: settings.decoys,
          flanks: settings.flanks,
          sequences: result.sequences,
          thresholdShares,
          validation: validationFigures,
          test: testFigures,
        }),
      ) as Record<string, never>,
    });
    return {
      ...result,
      test: test.metrics,
      validation: validationFigures,
      threshold,
      thresholdShares,
      model: directory,
    };
  } finally {
    await network.dispose();
  }
}
