/**
 * @file The folder of a run, the same for every command that takes time:
 *
 * - `run.json`: what ran, on what and when, and how it ended;
 * - `events.jsonl` and `decisions.jsonl`: what happened, and what policies decided;
 * - `events.out.tfevents.…`: the same figures for TensorBoard;
 * - `checkpoints/last` and `checkpoints/best`: where training stands, and where validation was best;
 * - `lock`: while a process works on it, which one;
 * - `result.json`: what it came to; `model/`: what it made; `report.html`: a picture of the run.
 */
import { readdir } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { makeFolder } from "../base/makeFolder.ts";
import { describeMachine, packageVersions, paretoVersion } from "../base/environment.ts";
import { ParetoError } from "../base/errors.ts";
import { fileError } from "../base/fileErrors.ts";
import { lockHolder, type LockHolder } from "../base/fileLock.ts";
import { fileExists } from "../base/files.ts";
import {
  readJsonIfExists,
  unusableJson,
  writeJson,
  type JsonFormat,
  type JsonValue,
} from "../base/jsonFile.ts";
import { RunLog } from "./runLog.ts";

/** The file of what ran. */
export const RECORD = "run.json";
/** The file of what a run came to. */
export const RESULT = "result.json";
/** The file whose lock a process holds while it works on a run. */
export const LOCK = "lock";
/** The version of `run.json` that is written, and the newest that is read. */
const VERSION = 1;

const schema = z.object({
  format: z.literal("pareto-run"),
  version: z.literal(VERSION),
  /** What was run, e.g. `train`. */
  command: z.string(),
  /** Every option, resolved. */
  config: z.json(),
  seed: z.number(),
  /** Of the data, so that a resumed run can tell that it has changed; null where nothing is read. */
  fingerprint: z.string().nullable(),
  pareto: z.string(),
  node: z.string(),
  packages: z.record(z.string(), z.string()),
  machine: z.object({
    cpu: z.string(),
    cores: z.number(),
    memoryBytes: z.number(),
    platform: z.string(),
    arch: z.string(),
  }),
  /** ISO 8601. */
  startedAt: z.string(),
  /** Null while it runs, and after it was killed. */
  endedAt: z.string().nullable(),
  /** Seconds that it has run, over all resumes; those of the process that runs come when it ends. */
  seconds: z.number(),
  status: z.enum(["running", "done", "interrupted", "failed"]),
});

/** `run.json`. */
export type RunRecord = Omit<z.infer<typeof schema>, "config"> & { config: JsonValue };

/** How files of a run's folder are named and refused. */
export const runFiles = {
  noun: "run",
  codes: { damaged: "RUN_INVALID", version: "RUN_VERSION" },
  fix: "Put back the file as Pareto wrote it, from a copy, or start a new run with --out.",
} as const;

const runFormat: JsonFormat<RunRecord> = { ...runFiles, schema, newest: { version: VERSION } };

/** What a new run is made from. */
export interface RunStart {
  command: string;
  config: JsonValue;
  seed: number;
  fingerprint?: string;
}

/** The folder of a run. */
export class RunFolder {
  readonly path: string;
  #record: RunRecord;

  /** Use {@link createRunFolder} or {@link openRunFolder}. */
  constructor(path: string, record: RunRecord) {
    this.path = path;
    this.#record = record;
  }

  /** `run.json` as it stands. */
  get record(): Readonly<RunRecord> {
    return this.#record;
  }

  /** The path of a file in the folder. */
  file(name: string): string {
    return join(this.path, name);
  }

  /** Opens its events and decisions to append to. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  openLog(): RunLog {
    return new RunLog(this.path, this.#record.config);
  }

  /** Writes what the run came to. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  async writeResult(result: unknown): Promise<void> {
    await writeJson(this.file(RESULT), result);
  }

  /** Records a configuration that was changed as the run went on. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  async setConfig(config: JsonValue): Promise<void> {
    const record = { ...this.#record, config };
    await writeJson(this.file(RECORD), record);
    this.#record = record;
  }

  /**
   * Records that the run goes on, or how it ended.
   * @param seconds since its start; those recorded before unless given
   * @throws ParetoError FILE_DISK_FULL, FILE_REFUSED
   */
  async setStatus(status: RunRecord["status"], seconds = this.#record.seconds): Promise<void> {
    const endedAt = status === "running" ? null : new Date().toISOString();
    const record = { ...this.#record, status, endedAt, seconds };
    await writeJson(this.file(RECORD), record);
    this.#record = record;
  }
}

/**
 * Starts a run's folder and its `run.json`.
 * @param path made if absent, empty otherwise
 * @throws ParetoError RUN_EXISTS when something is in it, FILE_DISK_FULL, FILE_REFUSED
 */
export async function createRunFolder(path: string, start: RunStart): Promise<RunFolder> {
  await requireEmptyFolder(path);
  await makeFolder(path).catch((error: unknown) => {
    throw fileError(error, path, "Choose another folder with --out.");
  });
  const folder = new RunFolder(path, {
    format: "pareto-run",
    version: VERSION,
    fingerprint: null,
    ...start,
    pareto: paretoVersion(),
    node: process.version,
    packages: packageVersions(),
    machine: describeMachine(),
    startedAt: new Date().toISOString(),
    endedAt: null,
    seconds: 0,
    status: "running",
  });
  await folder.setStatus("running");
  return folder;
}

/**
 * Refuses a folder that a new run cannot have, before any work is done for it: one that is there and not empty, or that
 * another process works on.
 * @throws ParetoError RUN_EXISTS, RUN_BUSY, FILE_REFUSED
 */
export async function requireNewFolder(path: string): Promise<void> {
  const holder = lockHolder(join(path, LOCK));
  if (holder) throw runBusy(path, holder);
  await requireEmptyFolder(path);
}

/**
 * Refuses a folder that is not empty; one that is not there is. A lock file alone is nothing: it is this process's, or
 * that of one that died before it had made its run.
 * @throws ParetoError RUN_EXISTS, FILE_REFUSED
 */
export async function requireEmptyFolder(path: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(path);
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "ENOENT") return;
    throw code === "ENOTDIR" ? runExists(path, "is a file") : fileError(error, path);
  }
  if (names.some((name) => name !== LOCK))
    throw runExists(path, names.includes(RECORD) ? "holds a run already" : "is not empty");
}

function runExists(path: string, how: string): ParetoError {
  return new ParetoError({
    code: "RUN_EXISTS",
    where: path,
    message: `a new run needs a new or empty folder; this one ${how}, got ${path}`,
    fix: "Choose another folder with --out; training goes on with the run in it with --resume.",
  });
}

/** Says who works on a run: `this run is being trained by process 4242`. */
function workUnderWay({ pid, host, purpose }: LockHolder): string {
  const work = purpose.endsWith("train") ? "trained" : "made";
  return `this run is being ${work} by process ${pid}${host === hostname() ? "" : ` on host ${host}`}`;
}

/** As {@link workUnderWay}, of a run that a process works on now; null of any other. */
export function workUnderWayIn(path: string): string | null {
  const holder = lockHolder(join(path, LOCK));
  return holder && workUnderWay(holder);
}

/** The error for a run that another process works on, code `RUN_BUSY`. @param holder null where it has not said its name */
export function runBusy(path: string, holder: LockHolder | null): ParetoError {
  return new ParetoError({
    code: "RUN_BUSY",
    where: path,
    message: `${holder ? workUnderWay(holder) : "another process works on this run"}, got ${path}`,
    fix: "Wait for its end; or stop it with Ctrl-C or SIGTERM, which saves a checkpoint, and then --resume; or choose another folder with --out.",
  });
}

/**
 * Opens the folder of an earlier run.
 * @throws ParetoError RUN_MISSING, RUN_INVALID when it is not a run, RUN_VERSION, FILE_REFUSED
 */
export async function openRunFolder(path: string): Promise<RunFolder> {
  const record = await readJsonIfExists(runFormat, join(path, RECORD));
  if (record !== null) return new RunFolder(path, record);
  if (await fileExists(path))
    throw unusableJson(
      { ...runFiles, fix: "Give a folder that a Pareto run has made." },
      path,
      `it has no ${RECORD}`,
      path,
    );
  throw new ParetoError({
    code: "RUN_MISSING",
    where: path,
    message: `there is no such run folder, got ${path}`,
    fix: "Check the path; runs lie under runs/ unless --out names another folder.",
  });
}

const two = (n: number) => String(n).padStart(2, "0");

/**
 * The folder of a run that was given none: `runs/<date>-<time>-<model>-<strategy>`, in local time.
 * @param parts e.g. `["dlrm", "fae"]`
 */
export function defaultRunPath(parts: readonly string[], now = new Date()): string {
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
  return join("runs", [date, time, ...parts].join("-"));
}
