/**
 * @file The whole job of training, for any task: a run folder made or opened, data read, a model trained, tested and
 * saved, what happened recorded. It is the only driver.
 */
import { join } from "node:path";
import { ParetoError } from "../base/errors.ts";
import { fileExists } from "../base/files.ts";
import { CHECKPOINT_FILE } from "./checkpoint.ts";
import { RunContext } from "./context.ts";
import type { NoticeEvent, OnEvent } from "./events.ts";
import { keepConfig, plainConfig, secondsOf } from "./earlierRun.ts";
import { RunRecorder } from "./recordRun.ts";
import { resumedConfig, type Changes } from "./resumedConfig.ts";
import { claimNewFolder, claimRun } from "./runClaim.ts";
import { createRunFolder, openRunFolder, requireNewFolder, type RunFolder } from "./runFolder.ts";
import { runConfig } from "./storedConfig.ts";
import type { PreparedTask, TrainingResult, TrainingTask } from "./task.ts";
import { BEST, LAST, Trainer, type TrainerState, unlessAborted } from "./trainer.ts";

/** How a run is made, whatever is trained. */
export interface TrainingOptions {
  /** The run's folder: new or empty, or that of an earlier run to go on with. */
  directory: string;
  /** Training ends after so many minutes of this process; its learning rate comes in time for that. */
  maxMinutes?: number;
  onEvent?: OnEvent;
  /** Saves and stops after the steps under way. */
  signal?: AbortSignal;
}

/** A training job: a new one by its configuration, or one to go on with, and what is to be different. */
export type TrainingRequest<Config, Requested = Config> = TrainingOptions &
  ({ config: Requested } | { resume: Changes<Config> });

/**
 * Trains a model and tests it.
 * @throws ParetoError `RUN_EXISTS`, `RUN_BUSY`, `RUN_MISSING`, `RUN_INVALID`, `RESUME_COMMAND`, `RESUME_CONFIG`, `RESUME_DATA`,
 * `TRAIN_LOSS_NAN`, `TRAIN_DIVERGED`, and what the task throws
 */
export async function runTraining<Config extends Requested, Requested, Result extends TrainingResult>(
  task: TrainingTask<Config, Requested, Result>,
  request: TrainingRequest<Config, Requested>,
): Promise<Result> {
  if (!("resume" in request)) {
    // Before any work, so that none is done in vain.
    await requireNewFolder(request.directory);
    return prepareAndTrain(task, request.config, null, request);
  }
  const claim = await claimRun(request.directory, task.command);
  try {
    const earlier = await openRunFolder(request.directory);
    const config = resumedConfig(task.schema, configToResume(task, earlier), request.resume);
    return await prepareAndTrain(task, config, { folder: earlier, notice: claim.notice }, request);
  } finally {
    claim.release();
  }
}

/** @param earlier the run to go on with, whose folder is claimed; null for a new one */
async function prepareAndTrain<Config extends Requested, Requested, Result extends TrainingResult>(
  task: TrainingTask<Config, Requested, Result>,
  config: Requested,
  earlier: { folder: RunFolder; notice: NoticeEvent | null } | null,
  { directory, maxMinutes, onEvent, signal }: TrainingOptions,
): Promise<Result> {
  const recorder = new RunRecorder(onEvent);
  const context = new RunContext({
    onEvent: recorder.onEvent,
    ...(signal && { signal }),
    secondsBefore: earlier ? await secondsOf(earlier.folder) : 0,
  });
  if (earlier?.notice) context.onEvent(earlier.notice);
  const start = context.clock();
  const prepared = await task.prepare(config, context);
  try {
    context.onEvent({ event: "span", span: "prepare", start, end: context.clock() });
    const deadline = maxMinutes === undefined ? undefined : start + 60 * maxMinutes;
    const trainInFolder = (folder: RunFolder) =>
      recorder.recordIn(folder, context, () =>
        trainIn(folder, prepared, { context, deadline, isResumed: earlier !== null }),
      );
    if (earlier) {
      await keepConfig(earlier.folder, prepared);
      return await trainInFolder(earlier.folder);
    }
    const claim = await claimNewFolder(directory, task.command);
    try {
      if (claim.notice) context.onEvent(claim.notice);
      return await trainInFolder(await newFolder(task.command, prepared, directory));
    } finally {
      claim.release();
    }
  } finally {
    await prepared.dispose?.();
  }
}

interface Job {
  context: RunContext;
  /** Second of the run's clock at which training ends. */
  deadline: number | undefined;
  isResumed: boolean;
}

async function trainIn<Result extends TrainingResult>(
  folder: RunFolder,
  prepared: PreparedTask<unknown, Result>,
  { context, deadline, isResumed }: Job,
): Promise<Result> {
  const directory = folder.file("checkpoints");
  const last = join(directory, LAST);
  // A process killed before its first checkpoint leaves a folder without the file that makes it one.
  const isRestored = isResumed && (await fileExists(join(last, CHECKPOINT_FILE)));
  const trainable = await prepared.open(context, folder, isRestored);
  try {
    const state = isRestored ? ((await trainable.load(last)) as unknown as TrainerState) : null;
    if (isResumed) context.onEvent({ event: "resumed", step: state?.step ?? 0, seconds: context.clock() });
    await trainable.start?.(state?.position ?? null);
    const trainer = new Trainer({
      trainable,
      context,
      directory,
      ...(deadline !== undefined && { deadline }),
      ...(state && { state }),
    });
    const finished = await trainer.run();
    const { summary } = trainer;
    if (finished && summary.best!.epoch !== summary.epochs) await trainable.load(join(directory, BEST));
    const result = await unlessAborted(context.signal, () => trainable.finish(summary));
    return result ?? (await trainable.finish({ ...summary, finished: false }));
  } finally {
    await trainable.dispose();
  }
}

function newFolder(
  command: string,
  { config, seed, fingerprint }: PreparedTask<unknown, unknown>,
  directory: string,
): Promise<RunFolder> {
  return createRunFolder(directory, { command, config: plainConfig(config), seed, fingerprint });
}

/** @throws ParetoError `RESUME_COMMAND`, `RUN_INVALID` */
function configToResume<Config extends Requested, Requested, Result extends TrainingResult>(
  { command, schema }: TrainingTask<Config, Requested, Result>,
  folder: RunFolder,
): Config {
  const { path, record } = folder;
  if (record.command === command) return runConfig(schema, folder);
  throw new ParetoError({
    code: "RESUME_COMMAND",
    where: path,
    message: `pareto ${command} goes on with its own runs, got one of pareto ${record.command}`,
    fix: `Say: pareto ${record.command} --resume ${path}`,
  });
}
