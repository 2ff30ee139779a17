/** @file What every command that takes time leaves in a run folder: its events, how it ended, and what it came to. */
import { RunContext, type RunContextOptions } from "./context.ts";
import type { OnEvent, RunEvent } from "./events.ts";
import { claimNewFolder } from "./runClaim.ts";
import { createRunFolder, requireNewFolder, type RunFolder, type RunStart } from "./runFolder.ts";
import type { RunLog } from "./runLog.ts";

/** Records the events of a run; those from before it has a folder are recorded once it has one. */
export class RunRecorder {
  readonly #onEvent: OnEvent;
  #early: RunEvent[] = [];
  #log: RunLog | null = null;

  /** @param onEvent receives every event too */
  constructor(onEvent: OnEvent = () => {}) {
    this.#onEvent = onEvent;
  }

  /** Records an event. Can be passed on as a callback. */
  readonly onEvent: OnEvent = (event) => {
    if (this.#log) this.#log.append(event);
    else this.#early.push(event);
    this.#onEvent(event);
  };

  /**
   * Does the work of a run, and records in its folder how it ends.
   * @param work returns what the run comes to; `finished: false` where it was interrupted
   * @throws ParetoError FILE_DISK_FULL, FILE_REFUSED, and what the work throws
   */
  async recordIn<Result extends object>(
    folder: RunFolder,
    { clock, signal }: RunContext,
    work: () => Promise<Result>,
  ): Promise<Result> {
    this.#log = folder.openLog();
    this.#early.forEach(this.#log.append);
    this.#early = [];
    try {
      await folder.setStatus("running");
      const result = await work();
      await folder.writeResult(result);
      const isFinished = !("finished" in result) || result.finished !== false;
      await folder.setStatus(isFinished ? "done" : "interrupted", clock());
      return result;
    } catch (error) {
      const status = signal?.aborted ? "interrupted" : "failed";
      await folder.setStatus(status, clock()).catch(() => undefined);
      throw error;
    } finally {
      this.#log.close();
    }
  }
}

/** A run that is not resumed. */
export interface RecordedRun<Prepared, Result> {
  /** New or empty. */
  directory: string;
  /** Reads what is needed; nothing is left behind when it throws. */
  prepare(context: RunContext): Promise<Prepared>;
  /** What `run.json` says of the run. */
  start(prepared: Prepared): RunStart;
  work(prepared: Prepared, context: RunContext, folder: RunFolder): Promise<Result>;
}

/**
 * Does work that leaves a run folder.
 * @throws ParetoError RUN_EXISTS and RUN_BUSY before any work, FILE_DISK_FULL, FILE_REFUSED, and what the work throws
 */
export async function recordRun<Prepared, Result extends object>(
  { directory, prepare, start, work }: RecordedRun<Prepared, Result>,
  options: RunContextOptions,
): Promise<Result> {
  await requireNewFolder(directory);
  const recorder = new RunRecorder(options.onEvent);
  const context = new RunContext({ ...options, onEvent: recorder.onEvent });
  const prepared = await context.span("prepare", () => prepare(context));
  const begin = start(prepared);
  const claim = await claimNewFolder(directory, begin.command);
  try {
    if (claim.notice) context.onEvent(claim.notice);
    const folder = await createRunFolder(directory, begin);
    return await recorder.recordIn(folder, context, () => work(prepared, context, folder));
  } finally {
    claim.release();
  }
}
