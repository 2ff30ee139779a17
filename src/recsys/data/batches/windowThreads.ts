/**
 * @file Threads that shuffle windows, so that the calling thread only copies batches out of them.
 *
 * They are shared by the passes of a process: the first {@link WindowThreads.join} starts them, and they end a second
 * after the last pass has left, as the passes of a training run follow each other closely. Idle threads do not keep the
 * process alive; a pending window does. Each holds one window as it was read.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { type ErrorDetail, ParetoError } from "../../../base/errors.ts";
import { workerFile } from "../../../base/workerFile.ts";
import type { ShuffleTask } from "./shuffledWindow.ts";

/** To a thread. */
export interface WindowRequest {
  id: number;
  task: ShuffleTask;
  into: SharedArrayBuffer;
}

/** From a thread: done, or why not. */
export interface WindowReply {
  id: number;
  known?: ErrorDetail;
  unknown?: unknown;
}

/** One thread makes some 10 million rows of Criteo's columns a second: a GPU trains on half as many. */
const MOST_THREADS = 2;
const CORES_PER_THREAD = 4;
const LINGER_MS = 1000;

interface Pending {
  resolve: () => void;
  reject: (error: unknown) => void;
}

interface Thread {
  worker: Worker;
  pending: Map<number, Pending>;
}

/** The window threads of a process. */
export class WindowThreads {
  static #shared: WindowThreads | undefined;

  readonly #threads: Thread[];
  #passes = 0;
  #asked = 0;
  #broken: unknown;
  #ending: NodeJS.Timeout | undefined;

  private constructor() {
    const count = Math.min(MOST_THREADS, Math.max(1, Math.floor(availableParallelism() / CORES_PER_THREAD)));
    this.#threads = Array.from({ length: count }, () => this.#start());
  }

  /** The threads, started if need be; whoever joins must leave. */
  static join(): WindowThreads {
    const threads = (WindowThreads.#shared ??= new WindowThreads());
    threads.#passes++;
    clearTimeout(threads.#ending);
    return threads;
  }

  /** Says that a pass has ended; it has no window pending. */
  leave(): void {
    this.#passes--;
    if (this.#passes === 0) this.#ending = setTimeout(() => this.#end(), LINGER_MS).unref();
  }

  /**
   * Shuffles a window on the thread with the least to do.
   * @throws ParetoError DATA_ENCODED_DAMAGED when the file is shorter than its index says
   */
  run(task: ShuffleTask, into: SharedArrayBuffer): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const { worker, pending } = this.#threads.reduce((best, thread) =>
      thread.pending.size < best.pending.size ? thread : best,
    );
    const id = this.#asked++;
    return new Promise((resolve, reject) => {
      pending.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, task, into } satisfies WindowRequest);
    });
  }

  #start(): Thread {
    // Flags of the main thread such as --input-type would stop a worker from starting.
    const worker = new Worker(workerFile("./windowWorker", import.meta.url), { execArgv: [] });
    const pending: Thread["pending"] = new Map();
    worker.on("message", ({ id, known, unknown }: WindowReply) => {
      const { resolve, reject } = pending.get(id)!;
      pending.delete(id);
      if (pending.size === 0) worker.unref();
      if (known) reject(new ParetoError(known));
      else if (unknown !== undefined) reject(unknown);
      else resolve();
    });
    worker.on("error", (error) => this.#break(error));
    worker.unref();
    return { worker, pending };
  }

  /** A thread died: its windows will not come, and later passes get other threads. */
  #break(error: unknown): void {
    this.#broken ??= error;
    this.#end();
    for (const { pending } of this.#threads) {
      for (const { reject } of pending.values()) reject(error);
      pending.clear();
    }
  }

  #end(): void {
    if (WindowThreads.#shared === this) WindowThreads.#shared = undefined;
    for (const { worker } of this.#threads) void worker.terminate();
  }
}
