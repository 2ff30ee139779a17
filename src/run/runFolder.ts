/**
 * @file The folder of a run: `run.json` says what ran, on what and when; `events.jsonl` what happened. Other
 * parts of a run put their files beside these.
 */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { describeMachine, packageVersions, paretoVersion } from "../base/environment.ts";
import { ParetoError } from "../base/errors.ts";
import { fileExists } from "../base/fileExists.ts";
import { fileError } from "../base/fileErrors.ts";
import { writeWhole } from "../base/partialFile.ts";
import type { JsonValue } from "./checkpointManifest.ts";
import { EventLog } from "./eventLog.ts";

const RECORD = "run.json";
const EVENTS = "events.jsonl";
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
  status: z.enum(["running", "done", "interrupted", "failed"]),
});

/** `run.json`. */
export type RunRecord = Omit<z.infer<typeof schema>, "config"> & { config: JsonValue };

/** What a new run is told. */
export interface RunStart {
  command: string;
  config: JsonValue;
  seed: number;
}

/** Writes a JSON file whole or not at all. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeWhole(path, `${JSON.stringify(value, null, 2)}\n`);
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

  /** The path of its events. */
  get eventsFile(): string {
    return this.file(EVENTS);
  }

  /** Opens its events to append to. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  openEvents(): EventLog {
    return new EventLog(this.eventsFile);
  }

  /** Records a configuration that was changed as the run went on. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  async setConfig(config: JsonValue): Promise<void> {
    const record = { ...this.#record, config };
    await writeJson(this.file(RECORD), record);
    this.#record = record;
  }

  /** Records that the run goes on, or how it ended. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  async setStatus(status: RunRecord["status"]): Promise<void> {
    const endedAt = status === "running" ? null : new Date().toISOString();
    const record = { ...this.#record, status, endedAt };
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
  let names: string[];
  try {
    await mkdir(path, { recursive: true });
    names = await readdir(path);
  } catch (error) {
    throw (error as { code?: unknown }).code === "EEXIST"
      ? runExists(path, "is a file")
      : fileError(error, path);
  }
  if (names.length > 0)
    throw runExists(path, names.includes(RECORD) ? "holds a run already" : "is not empty");
  const folder = new RunFolder(path, {
    format: "pareto-run",
    version: VERSION,
    ...start,
    pareto: paretoVersion(),
    node: process.version,
    packages: packageVersions(),
    machine: describeMachine(),
    startedAt: new Date().toISOString(),
    endedAt: null,
    status: "running",
  });
  await folder.setStatus("running");
  return folder;
}

/**
 * Tells before long work that a folder is taken; {@link createRunFolder} would tell after it.
 * @throws ParetoError RUN_EXISTS
 */
export async function refuseTakenFolder(path: string): Promise<void> {
  if (await fileExists(join(path, RECORD))) throw runExists(path, "holds a run already");
}

/** Data that is not what a run began with. @param what e.g. `the text has` */
export function dataChanged(path: string, what: string, fingerprint: string): ParetoError {
  return new ParetoError({
    code: "RESUME_DATA",
    where: path,
    message: `${what} changed since the run began, got fingerprint ${fingerprint}`,
    fix: "Put the old files back, or start a new run with --out.",
  });
}

function runExists(path: string, how: string): ParetoError {
  return new ParetoError({
    code: "RUN_EXISTS",
    where: path,
    message: `a new run needs a new or empty folder; this one ${how}, got ${path}`,
    fix: "Choose another folder with --out; training goes on with the run in it with --resume.",
  });
}

/**
 * Opens the folder of an earlier run.
 * @throws ParetoError RUN_MISSING, RUN_INVALID when it is not a run, RUN_VERSION, FILE_REFUSED
 */
export async function openRunFolder(path: string): Promise<RunFolder> {
  let text: string;
  try {
    text = await readFile(join(path, RECORD), "utf8");
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== "ENOENT" && code !== "ENOTDIR") throw fileError(error, path);
    const isThere = await readdir(path).then(
      () => true,
      () => code === "ENOTDIR",
    );
    throw isThere
      ? invalidRun(path, `it has no ${RECORD}`, path, error)
      : new ParetoError({
          code: "RUN_MISSING",
          where: path,
          message: `there is no such run folder, got ${path}`,
          fix: "Check the path; runs lie under runs/ unless --out said otherwise.",
          cause: error,
        });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalidRun(path, `${RECORD} is not JSON`, JSON.stringify(text.slice(0, 40)), cause);
  }
  const { version } = (json ?? {}) as { version?: unknown };
  if (typeof version === "number" && version > VERSION) {
    throw new ParetoError({
      code: "RUN_VERSION",
      where: path,
      message: `this Pareto reads runs up to version ${VERSION}, got version ${version}`,
      fix: "Use the newer Pareto that made the run, or one later than that.",
    });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalidRun(path, `${RECORD} is wrong at "${issue?.path.join(".")}"`, issue?.message, parsed.error);
  }
  return new RunFolder(path, parsed.data as RunRecord);
}

function invalidRun(path: string, what: string, received: unknown, cause: unknown): ParetoError {
  return new ParetoError({
    code: "RUN_INVALID",
    where: path,
    message: `the folder is not that of a run: ${what}, got ${String(received)}`,
    fix: "Give a folder that a Pareto run has made.",
    cause,
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
