/**
 * @file Strategies and models compared on one log: the log is prepared once, then every entry is trained with every seed,
 * each in a run folder of its own below the comparison's. A comparison that was stopped, or killed, goes on where it was:
 * runs that are done are not run again, the one under way goes on from its checkpoint.
 */
import { join } from "node:path";
import { ParetoError } from "../../base/errors.ts";
import { fileExists, writeText } from "../../base/files.ts";
import { RunContext } from "../../run/context.ts";
import { keepConfig, plainConfig, secondsOf } from "../../run/earlierRun.ts";
import type { NoticeEvent, OnEvent } from "../../run/events.ts";
import { readRun } from "../../run/readRun.ts";
import { RunRecorder } from "../../run/recordRun.ts";
import { resumedConfig, type Changes } from "../../run/resumedConfig.ts";
import { claimNewFolder, claimRun } from "../../run/runClaim.ts";
import {
  createRunFolder,
  openRunFolder,
  RECORD,
  requireNewFolder,
  type RunFolder,
} from "../../run/runFolder.ts";
import { storedConfig } from "../../run/storedConfig.ts";
import type { PreparedDataset } from "../data/encode/prepareDataset.ts";
import { prepareClicks } from "../training/prepareClicks.ts";
import { checkPlacement, resolveSettings } from "../training/settings.ts";
import { trainClicks } from "../training/trainClicks.ts";
import { figuresOf } from "./comparedFigures.ts";
import {
  comparedEntries,
  comparedRuns,
  comparisonConfig,
  type ComparedEntry,
  type ComparedRun,
  type ComparisonConfig,
  type RequestedComparison,
} from "./comparisonConfig.ts";
import { comparisonCsv, runsCsv } from "./comparisonCsv.ts";
import { entryResults, type ComparisonResult, type MeasuredRun } from "./comparisonResult.ts";

/** The command that makes comparisons. */
const COMMAND = "recsys compare";

interface CompareOptions {
  /** The comparison's folder: new or empty, or that of an earlier one to go on with. */
  directory: string;
  /** Where encoded data lies, to be used again. */
  cacheDirectory: string;
  /** Receives the prepared data before training begins. */
  onPrepared?: (prepared: PreparedDataset) => void | Promise<void>;
  onEvent?: OnEvent;
  /** Saves the run under way and stops. */
  signal?: AbortSignal;
}

/** A comparison to make, or one to go on with, and what is to be different. */
export type CompareRequest = CompareOptions &
  ({ config: RequestedComparison } | { resume: Changes<ComparisonConfig> });

/**
 * Compares strategies and models.
 * @throws ParetoError `RUN_EXISTS`, `RUN_BUSY`, `RUN_MISSING`, `RUN_INVALID`, `RUN_COMMAND`, `RESUME_CONFIG`, `RESUME_DATA`,
 *   and what `trainClicks` throws; runs that are done by then stay, and the comparison can go on
 */
export async function compareClicks(request: CompareRequest): Promise<ComparisonResult> {
  const { directory } = request;
  if (!("resume" in request)) {
    // Before any work, so that none is done in vain.
    await requireNewFolder(directory);
    return prepareAndCompare(request.config, null, request);
  }
  const claim = await claimRun(directory, COMMAND);
  try {
    const folder = await openRunFolder(directory);
    const stored = storedConfig(COMMAND, comparisonConfig, folder);
    const config = resumedConfig(comparisonConfig, stored, request.resume);
    return await prepareAndCompare(config, { folder, notice: claim.notice }, request);
  } finally {
    claim.release();
  }
}

/** @param earlier the comparison to go on with, whose folder is claimed; null for a new one */
async function prepareAndCompare(
  requested: RequestedComparison,
  earlier: { folder: RunFolder; notice: NoticeEvent | null } | null,
  options: CompareOptions,
): Promise<ComparisonResult> {
  const { directory, cacheDirectory, onEvent, signal } = options;
  for (const { strategy } of comparedEntries(requested)) checkPlacement({ ...requested.settings, strategy });
  const recorder = new RunRecorder(onEvent);
  const context = new RunContext({
    onEvent: recorder.onEvent,
    ...(signal && { signal }),
    secondsBefore: earlier ? await secondsOf(earlier.folder) : 0,
  });
  if (earlier?.notice) context.onEvent(earlier.notice);
  const prepared = await context.span("prepare", () =>
    prepareClicks(requested, cacheDirectory, context.onEvent, signal),
  );
  const { fingerprint, train } = prepared;
  // Of the same log, the default is the same for every entry.
  const batchSize = resolvedBatchSize(requested, train.rows);
  const config: ComparisonConfig = { ...requested, settings: { ...requested.settings, batchSize } };
  const compareInFolder = (folder: RunFolder) =>
    recorder.recordIn(folder, context, () => compareIn(folder, config, { prepared, context, options }));
  if (earlier) {
    await keepConfig(earlier.folder, { config, fingerprint });
    return compareInFolder(earlier.folder);
  }
  const claim = await claimNewFolder(directory, COMMAND);
  try {
    if (claim.notice) context.onEvent(claim.notice);
    const { seed } = config.settings;
    const start = { command: COMMAND, config: plainConfig(config), seed, fingerprint };
    return await compareInFolder(await createRunFolder(directory, start));
  } finally {
    claim.release();
  }
}

function resolvedBatchSize(requested: RequestedComparison, rows: number): number {
  const [{ model, strategy }] = comparedEntries(requested) as [ComparedEntry];
  return resolveSettings({ ...requested.settings, model, strategy }, rows).batchSize;
}

interface Job {
  prepared: PreparedDataset;
  context: RunContext;
  options: CompareOptions;
}

async function compareIn(
  folder: RunFolder,
  config: ComparisonConfig,
  { prepared, context, options }: Job,
): Promise<ComparisonResult> {
  await options.onPrepared?.(prepared);
  const entries = comparedEntries(config);
  const runs = comparedRuns(config);
  const done: (MeasuredRun & { entry: number })[] = [];
  for (const [i, run] of runs.entries()) {
    const path = join(folder.path, run.folder);
    const entry = entries[run.entry]!;
    if (!(await isDone(path))) {
      if (context.signal?.aborted) break;
      const message = `run ${i + 1} of ${runs.length}: ${entry.name}, seed ${run.seed}`;
      context.onEvent({ event: "notice", level: "info", code: "COMPARE_RUN", message });
      const finished = await context.span("run", () => train(path, run, entry, config, prepared, options));
      if (!finished) break;
    }
    const figures = figuresOf(await readRun(path));
    if (figures) done.push({ ...run, figures });
  }
  const { train: training, validation, test } = prepared;
  const result: ComparisonResult = {
    run: folder.path,
    finished: done.length === runs.length,
    rows: { train: training.rows, validation: validation.rows, test: test.rows },
    entries: entryResults(entries, done),
  };
  await writeText(folder.file("runs.csv"), runsCsv(result.entries));
  await writeText(folder.file("comparison.csv"), comparisonCsv(result.entries));
  return result;
}

/** Whether a run has been made and has ended. @throws ParetoError RUN_INVALID, RUN_VERSION */
async function isDone(path: string): Promise<boolean> {
  if (!(await fileExists(join(path, RECORD)))) return false;
  return (await openRunFolder(path)).record.status === "done";
}

/** Trains one run, or goes on with it. @returns false where it was stopped by the signal */
async function train(
  directory: string,
  { seed }: ComparedRun,
  { model, strategy, name }: ComparedEntry,
  { source, prepare, settings }: ComparisonConfig,
  prepared: PreparedDataset,
  { cacheDirectory, onEvent, signal }: CompareOptions,
): Promise<boolean> {
  const shared = {
    directory,
    cacheDirectory,
    prepared,
    ...(onEvent && { onEvent }),
    ...(signal && { signal }),
  };
  const isResumed = await fileExists(join(directory, RECORD));
  try {
    const { finished } = await trainClicks({
      ...shared,
      ...(isResumed
        ? { resume: {} }
        : { config: { source, prepare, settings: { ...settings, model, strategy, seed } } }),
    });
    return finished;
  } catch (error) {
    if (!(error instanceof ParetoError) || error.code === "INTERRUPTED") throw error;
    const { code, message, fix, where } = error;
    throw new ParetoError({
      code,
      where: `${name}, seed ${seed}: ${where}`,
      message,
      fix: `${fix} The runs that are done stay: go on with --resume, or compare without this one.`,
      cause: error,
    });
  }
}
