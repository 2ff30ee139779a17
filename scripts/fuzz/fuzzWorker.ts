/**
 * @file The thread that reads changed inputs. Each lies on the disk before it is read, so that whoever watches the thread
 * can keep the one at which it hangs or dies.
 */
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { ParetoError } from "../../src/base/errors.ts";
import { Rng } from "../../src/base/rng.ts";
import { mutate, type ChangedFile } from "./mutate.ts";
import { FuzzProgress } from "./progress.ts";
import { MOST_BYTES } from "./mutateBytes.ts";
import type { FuzzTarget, SeedFiles } from "./target.ts";

/** What a thread is started with. */
export interface FuzzTask {
  target: string;
  /** Of a module that exports `fuzzTarget`, which gives the target by its name. */
  module: string;
  seeds: SeedFiles[];
  /** Holds a folder for each seed. */
  folder: string;
  seed: number;
  /** The first input's number, from 1. */
  first: number;
  /** The last input's number. */
  last: number;
  /** When to end, by `Date.now`. */
  endMs: number;
  memoryBytes: number;
  progress: SharedArrayBuffer;
}

/** What a thread reports; it goes on when it is answered. */
export interface FuzzReport {
  fault: string;
}

const task = workerData as FuzzTask;
const { fuzzTarget } = (await import(task.module)) as { fuzzTarget: (name: string) => FuzzTarget };
const target = fuzzTarget(task.target);
const progress = new FuzzProgress(task.progress);

/** A fault that nothing awaited, such as of a stream. It belongs to the input that is read. */
let late: string | null = null;
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error) => (late ??= `${event}: ${describe(error)}`));
}

function describe(error: unknown): string {
  if (error instanceof ParetoError) return `${error.code}: ${error.message}\n${error.stack}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** A fault of the reader, or null. */
async function faultOf(folder: string, isSeed: boolean): Promise<string | null> {
  try {
    await target.read(folder);
    return null;
  } catch (error) {
    if (isSeed) return `the seed is not read: ${describe(error)}`;
    const isTyped = error instanceof ParetoError && error.code !== "INTERNAL";
    return isTyped ? null : describe(error);
  }
}

async function readAll(): Promise<void> {
  const folders = task.seeds.map((_, i) => join(task.folder, `seed${i}`));
  for (const [i, files] of task.seeds.entries()) await writeSeed(folders[i]!, files);
  const start = process.memoryUsage.rss();
  let peak = 1024 * process.resourceUsage().maxRSS;
  for (let input = task.first; input <= task.last && Date.now() < task.endMs; input++) {
    const rng = new Rng(task.seed, input);
    // The seeds come first, as they are.
    const isSeed = input <= task.seeds.length;
    const number = isSeed ? input - 1 : rng.integer(task.seeds.length);
    const [seed, folder] = [task.seeds[number]!, folders[number]!];
    const changed: ChangedFile[] = isSeed ? [] : mutate(target, task.seeds, seed, rng);
    for (const { path, bytes } of changed) writeFileSync(join(folder, path), bytes);
    progress.begin(input, number);
    let fault = await faultOf(folder, isSeed);
    await setImmediate();
    fault ??= late;
    late = null;
    const now = 1024 * process.resourceUsage().maxRSS;
    const isSmall = !isSeed && changed.every(({ bytes }) => bytes.length <= MOST_BYTES);
    if (fault === null && isSmall && now > peak && now > start + task.memoryBytes) {
      fault = `memory grew from ${Math.round(start / 2 ** 20)} to ${Math.round(now / 2 ** 20)} MiB`;
    }
    peak = Math.max(peak, now);
    if (fault !== null) {
      parentPort!.postMessage({ fault } satisfies FuzzReport);
      // It is kept before its files are those of the seed again.
      await once(parentPort!, "message");
    }
    progress.end();
    for (const { path } of changed) writeFileSync(join(folder, path), seed.get(path)!);
  }
}

async function writeSeed(folder: string, files: SeedFiles): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [path, bytes] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
}

await readAll();
parentPort!.close();
