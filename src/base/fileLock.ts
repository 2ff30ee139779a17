/**
 * @file A lock that one process holds at a time and that ends with its process, however it ends: the kernel's `flock`
 * on a file. The file names its holder, for messages; whether the lock is held, the kernel alone says, so that a number
 * that another process has since been given fools nobody. On NFS it holds across machines.
 *
 * Windows, and file systems without such locks, have none: {@link tryLock} then says so.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileError } from "./fileErrors.ts";
import { loadKoffi } from "./koffi.ts";

/** A process that holds a lock, or that died with it. */
export interface LockHolder {
  pid: number;
  host: string;
  /** What it is doing, as it says itself. */
  purpose: string;
}

/** What asking for a lock came to. */
export type LockAttempt =
  /** `left`: who had it and died with it. */
  | { kind: "taken"; lock: FileLock; left: LockHolder | null }
  /** `by` is null where the holder has not yet written who it is. */
  | { kind: "held"; by: LockHolder | null }
  /** There are no locks here; `reason` says why. */
  | { kind: "unsupported"; reason: string };

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
/** Times that a lock which is held is asked for, and milliseconds between: another process may only be looking. */
const ATTEMPTS = 4;
const WAIT_MS = 25;

/** A lock that this process holds. */
export class FileLock {
  readonly #path: string;
  #file: number | null;

  /** Use {@link tryLock}. */
  constructor(path: string, file: number) {
    this.#path = path;
    this.#file = file;
  }

  /** Gives it up and removes its file; a second call does nothing. */
  release(): void {
    if (this.#file === null) return;
    try {
      // While it is held, so that nobody's lock but this one is removed.
      unlinkSync(this.#path);
    } catch {
      // The folder may be gone; the lock goes with the file's descriptor.
    }
    closeSync(this.#file);
    this.#file = null;
  }
}

/**
 * Takes a lock if nobody holds it.
 * @param path of its file, made if absent, in a folder that exists
 * @param purpose what for, as others may read it
 * @throws ParetoError FILE_DISK_FULL, FILE_MISSING, FILE_REFUSED
 */
export async function tryLock(path: string, purpose: string): Promise<LockAttempt> {
  for (let attempt = 1; ; attempt++) {
    const file = openLockFile(path);
    const outcome = flock(file, LOCK_EX | LOCK_NB);
    if (outcome === "taken" && isSameFile(file, path)) {
      const left = readHolder(path);
      const holder: LockHolder = { pid: process.pid, host: hostname(), purpose };
      try {
        ftruncateSync(file);
        writeSync(file, `${JSON.stringify(holder)}\n`);
      } catch (error) {
        closeSync(file);
        throw fileError(error, path);
      }
      return { kind: "taken", lock: new FileLock(path, file), left };
    }
    closeSync(file);
    // A file that was removed in between was its last holder's: the next one is another.
    if (outcome === "taken") continue;
    if (outcome !== "held") return { kind: "unsupported", reason: outcome.reason };
    if (attempt >= ATTEMPTS) return { kind: "held", by: readHolder(path) };
    await sleep(WAIT_MS);
  }
}

/** Who holds a lock; null when nobody does, or when this cannot be known. */
export function lockHolder(path: string): LockHolder | null {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return null;
  }
  try {
    return flock(file, LOCK_SH | LOCK_NB) === "held" ? readHolder(path) : null;
  } finally {
    closeSync(file);
  }
}

function openLockFile(path: string): number {
  try {
    return openSync(path, "a+");
  } catch (error) {
    throw fileError(error, path);
  }
}

/** Whether a path still leads to an open file. */
function isSameFile(file: number, path: string): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  const { dev, ino } = fstatSync(file);
  return now !== undefined && now.ino === ino && now.dev === dev;
}

function readHolder(path: string): LockHolder | null {
  try {
    const holder = JSON.parse(readFileSync(path, "utf8")) as Partial<LockHolder> | null;
    const { pid, host, purpose } = holder ?? {};
    const isWhole = Number.isSafeInteger(pid) && typeof host === "string" && typeof purpose === "string";
    return isWhole ? { pid: pid!, host: host!, purpose: purpose! } : null;
  } catch {
    return null;
  }
}

type Flock = (file: number, operation: number) => number;

let native: { call: Flock; errno: () => number; again: number; name: (errno: number) => string } | undefined;

/** flock(2). */
function flock(file: number, operation: number): "taken" | "held" | { reason: string } {
  if (process.platform === "win32") return { reason: "Windows has no flock" };
  try {
    native ??= bindFlock();
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
  if (native.call(file, operation) === 0) return "taken";
  const errno = native.errno();
  return errno === native.again ? "held" : { reason: native.name(errno) };
}

function bindFlock(): NonNullable<typeof native> {
  const koffi = loadKoffi("LOCK_MISSING", "the lock of a folder");
  // The C library is part of every program of Node, whatever it is called here.
  const call = koffi.load(null).func("int flock(int, int)") as unknown as Flock;
  const { errno } = koffi.os;
  return {
    call,
    errno: () => koffi.errno(),
    again: errno["EAGAIN"]!,
    name: (code) => Object.keys(errno).find((name) => errno[name] === code) ?? `error ${code}`,
  };
}
