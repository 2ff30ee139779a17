/**
 * @file Threads that encode blocks: look the keys of their categories up and lay out their rows. A source of few rows is
 * encoded in the calling thread. One thread takes in some million rows of Criteo's columns a second.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { workerFile } from "../../../base/workerFile.ts";
import type { KeyTable } from "./keyTable.ts";
import { encodeBlock, type RawBlock, type RawLayout } from "./rawBlock.ts";

/** What a thread needs to know. */
export interface BlockWorkerData {
  layout: RawLayout;
  tables: readonly (KeyTable | null)[];
}

const MOST_THREADS = 4;

/** Below this many rows, starting threads takes longer than their work. */
const FEW_ROWS = 100_000;

interface Thread {
  worker: Worker;
  /** Blocks under way, in the order in which they are done. */
  waiting: { resolve: () => void; reject: (error: unknown) => void }[];
}

/** The threads of one encoding. */
export class BlockThreads {
  readonly #data: BlockWorkerData;
  readonly #threads: Thread[];
  #failure: unknown;

  /** @param rows of the source */
  constructor(data: BlockWorkerData, rows: number) {
    this.#data = data;
    const count = rows < FEW_ROWS ? 0 : Math.min(MOST_THREADS, Math.max(1, availableParallelism() >> 1));
    this.#threads = Array.from({ length: count }, () => this.#start());
  }

  /** Blocks that keep all threads busy while one is filled and one written. */
  get depth(): number {
    return 2 * this.#threads.length + 1;
  }

  /** Encodes a block, which stays untouched otherwise until then. */
  async encode(block: RawBlock): Promise<void> {
    if (this.#threads.length === 0) return encodeBlock(this.#data.layout, block, this.#data.tables);
    if (this.#failure !== undefined) throw this.#failure;
    const thread = this.#threads.reduce((best, other) =>
      other.waiting.length < best.waiting.length ? other : best,
    );
    await new Promise<void>((resolve, reject) => {
      thread.waiting.push({ resolve, reject });
      thread.worker.postMessage(block);
    });
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #start(): Thread {
    // Flags of the main thread such as --input-type would stop a worker from starting.
    const worker = new Worker(workerFile("./blockWorker", import.meta.url), {
      workerData: this.#data,
      execArgv: [],
    });
    const thread: Thread = { worker, waiting: [] };
    worker.on("message", () => thread.waiting.shift()!.resolve());
    worker.on("error", (error) => {
      this.#failure ??= error;
      for (const { reject } of thread.waiting.splice(0)) reject(error);
    });
    return thread;
  }
}
