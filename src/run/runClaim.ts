/**
 * @file A run folder while a process works on it: held by a lock, so that a second process is refused by name. The lock
 * ends with its process, also one that is killed; its run can then be resumed at once. Reading a run needs no lock.
 */
import { hostname } from "node:os";
import { join } from "node:path";
import { makeFolder } from "../base/makeFolder.ts";
import { fileError } from "../base/fileErrors.ts";
import { tryLock, type LockHolder } from "../base/fileLock.ts";
import type { NoticeEvent } from "./events.ts";
import { LOCK, openRunFolder, requireEmptyFolder, requireNewFolder, runBusy } from "./runFolder.ts";

/** The right to write in a run's folder. */
export interface RunClaim {
  /** What is to be said of it: that nothing keeps others out, or that the process before died elsewhere. */
  notice: NoticeEvent | null;
  /** Gives it up; never throws. */
  release(): void;
}

/**
 * Claims the folder of a new run.
 * @param path made if absent, empty otherwise
 * @param command that claims it, e.g. `recsys train`
 * @throws ParetoError RUN_EXISTS, RUN_BUSY, FILE_DISK_FULL, FILE_REFUSED
 */
export async function claimNewFolder(path: string, command: string): Promise<RunClaim> {
  await requireNewFolder(path);
  await makeFolder(path).catch((error: unknown) => {
    throw fileError(error, path, "Choose another folder with --out.");
  });
  const claimed = await claim(path, command);
  try {
    // Another process may have come first, and be done.
    await requireEmptyFolder(path);
    return claimed;
  } catch (error) {
    claimed.release();
    throw error;
  }
}

/**
 * Claims the folder of a run to go on with.
 * @throws ParetoError RUN_MISSING, RUN_INVALID, RUN_VERSION, RUN_BUSY, FILE_REFUSED
 */
export async function claimRun(path: string, command: string): Promise<RunClaim> {
  // A folder that is no run is left as it is.
  await openRunFolder(path);
  return claim(path, command);
}

async function claim(path: string, command: string): Promise<RunClaim> {
  const attempt = await tryLock(join(path, LOCK), command);
  if (attempt.kind === "held") throw runBusy(path, attempt.by);
  if (attempt.kind === "unsupported") return { notice: unlocked(path, attempt.reason), release: () => {} };
  const { lock, left } = attempt;
  return { notice: leftElsewhere(path, left), release: () => lock.release() };
}

function unlocked(path: string, reason: string): NoticeEvent {
  const message = `The folder of the run cannot be locked (${reason}): nothing keeps a second process from training it too, got ${path}.`;
  return { event: "notice", level: "warning", code: "RUN_UNLOCKED", message };
}

/** What is to be said of a run whose last process died with its lock: nothing, where that was on this machine. */
function leftElsewhere(path: string, left: LockHolder | null): NoticeEvent | null {
  if (left === null || left.host === hostname()) return null;
  const message = `Process ${left.pid} on host ${left.host} worked on this run and did not end it. Make sure that it is gone, if that machine shares the folder without sharing locks, got ${path}.`;
  return { event: "notice", level: "warning", code: "RUN_LEFT", message };
}
