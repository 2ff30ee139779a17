/**
 * @file Fuzzes one reader: a thread reads changed inputs, this one watches it. An input fails by an error that is none of
 * Pareto's, by more than 5 s, by more than 1 GiB, or by the end of its thread; it is kept, and the next one is read.
 *
 * Code outside JavaScript that hangs cannot be stopped, and code that crashes takes the process with it.
 */
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { FuzzReport, FuzzTask } from "./fuzzWorker.ts";
import { FuzzProgress } from "./progress.ts";
import type { FuzzTarget } from "./target.ts";

/** An input may take so long. */
const HANG_MS = 5000;
/** What hangs also computes; a machine that is busy with other work lets it wait up to this. */
const MOST_WAIT_MS = 60_000;
const MEMORY_BYTES = 2 ** 30;
const WATCH_MS = 100;
/** After so many faults the rest is likely more of the same. */
const MOST_FAULTS = 20;

/** Memory that is a folder, on Linux: a file is made there in a hundredth of the time. */
const MEMORY_FOLDER = "/dev/shm";

/** How long, and what to do with faults. */
export interface FuzzOptions {
  seed: number;
  /** Inputs at most. Defaults to no end. */
  inputs?: number;
  seconds: number;
  /** Memory that an input below 1 MB may take. Defaults to 1 GiB. */
  memoryBytes?: number;
  /** The module that the thread takes the reader from. Defaults to that of Pareto's readers. */
  module?: URL;
  /** Folder for inputs that fail. */
  failures: string;
  /** Receives each fault as it is found. */
  onFault?: (fault: FuzzFault) => void;
}

/** An input that failed. */
export interface FuzzFault {
  target: string;
  /** Number of the input; with the seed it makes the same input again. */
  input: number;
  /** What happened; the first line says it. */
  text: string;
  /** The folder that it is kept in. */
  folder: string;
}

/** What came of it. */
export interface FuzzOutcome {
  target: string;
  /** Inputs that were read, seeds included. */
  inputs: number;
  faults: FuzzFault[];
}

/** Fuzzes a reader. */
export async function fuzzReader(target: FuzzTarget, options: FuzzOptions): Promise<FuzzOutcome> {
  const root = await mkdtemp(
    join(existsSync(MEMORY_FOLDER) ? MEMORY_FOLDER : tmpdir(), `pareto-fuzz-${target.name}-`),
  );
  try {
    const scratch = join(root, "scratch");
    await mkdir(scratch);
    const seeds = await target.makeSeeds(scratch);
    const { memoryBytes = MEMORY_BYTES } = options;
    const endMs = Date.now() + 1000 * options.seconds;
    const outcome: FuzzOutcome = { target: target.name, inputs: 0, faults: [] };
    const last = options.inputs ?? Number.MAX_SAFE_INTEGER;
    const module = (options.module ?? new URL("./targets.ts", import.meta.url)).href;
    const task = {
      target: target.name,
      module,
      seeds,
      seed: options.seed,
      last,
      endMs,
      memoryBytes,
    };
    for (let first = 1; first <= last && Date.now() < endMs && outcome.faults.length < MOST_FAULTS;) {
      const folder = join(root, `from${first}`);
      first = 1 + (await readFrom({ ...task, first, folder }, outcome, options));
    }
    return outcome;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Reads on until a thread has to be given up. @returns the number of its last input */
async function readFrom(
  task: Omit<FuzzTask, "progress">,
  outcome: FuzzOutcome,
  { failures, onFault }: FuzzOptions,
): Promise<number> {
  const progress = new FuzzProgress();
  const worker = new Worker(new URL("./fuzzWorker.ts", import.meta.url), {
    workerData: { ...task, progress: progress.buffer } satisfies FuzzTask,
    resourceLimits: { maxOldGenerationSizeMb: task.memoryBytes / 2 ** 20 },
  });
  let kept: Promise<void> = Promise.resolve();
  const keep = (text: string): Promise<void> => {
    const { current: input, seed } = progress;
    kept = kept.then(async () => {
      if (outcome.faults.length >= MOST_FAULTS || outcome.faults.some((fault) => fault.input === input))
        return;
      const folder = join(failures, task.target, `seed${task.seed}-input${input}`);
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      await cp(join(task.folder, `seed${seed}`), folder, { recursive: true }).catch(() => undefined);
      await writeFile(join(folder, "fault.txt"), `${text}\n`);
      const fault = { target: task.target, input, text, folder };
      outcome.faults.push(fault);
      onFault?.(fault);
    });
    return kept;
  };
  const ended = new Promise<void>((resolve) => {
    worker.on("exit", () => resolve());
    worker.on("error", (error) => void keep(`the thread ended: ${(error as Error).stack}`));
    worker.on("message", ({ fault }: FuzzReport) => {
      void keep(fault).then(() => worker.postMessage("kept"));
    });
  });
  let hung = 0;
  const watch = new Watch(progress);
  const timer = setInterval(() => {
    if (hung === 0 && outcome.faults.length >= MOST_FAULTS) void worker.terminate();
    if (hung > 0 || !watch.isHanging()) return;
    hung = progress.current;
    void keep(`no end after ${HANG_MS / 1000} s`).then(() => worker.terminate());
  }, WATCH_MS);
  await ended;
  clearInterval(timer);
  await kept;
  const last = Math.max(progress.done, progress.current, task.first);
  outcome.inputs += last - task.first + 1;
  return last;
}

/** Notices an input that does not end. */
class Watch {
  readonly #progress: FuzzProgress;
  #input = 0;
  #since = 0;
  #processorMs = 0;

  constructor(progress: FuzzProgress) {
    this.#progress = progress;
  }

  isHanging(): boolean {
    const { current } = this.#progress;
    const { user, system } = process.cpuUsage();
    const [now, processorMs] = [performance.now(), (user + system) / 1000];
    if (current !== this.#input || current === 0) {
      [this.#input, this.#since, this.#processorMs] = [current, now, processorMs];
      return false;
    }
    const waited = now - this.#since;
    return waited > MOST_WAIT_MS || (waited > HANG_MS && processorMs - this.#processorMs > HANG_MS / 2);
  }
}
