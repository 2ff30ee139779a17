/**
 * @file Kernels over one heap: long jobs on a pool of threads; short ones on the calling thread too, or, where there is
 * next to nothing to do, on it alone. Tasks of one call touch disjoint memory, so results are the same in any case.
 */
import { Heap } from "./heap.ts";
import type { KernelName } from "./kernelModule.ts";
import { MAX_TASKS } from "./poolProtocol.ts";
import { KernelFailure, ThreadPool } from "./threadPool.ts";

/** One kernel call on the heap. */
export interface HeapTask {
  kernel: KernelName;
  arguments: readonly number[];
}

/** Multiplications that the calling thread does while others would wake up. */
const POOL_WORK = 250_000;
/** Multiplications that take some milliseconds: the calling thread has other things to do. */
const LONG_WORK = 100_000_000;

/** A heap and the threads that work on it. */
export class HeapKernels {
  readonly heap = new Heap();
  readonly pool: ThreadPool;

  private constructor(pool: ThreadPool) {
    this.pool = pool;
  }

  /** @param threads at least 1; short jobs are also the caller's own work. @throws ParetoError KERNELS_MISSING, THREADS_INVALID */
  static async create(threads: number): Promise<HeapKernels> {
    return new HeapKernels(await ThreadPool.create(threads, { staysAwake: true }));
  }

  /** Threads that compute at a time. */
  get threads(): number {
    return this.pool.threads;
  }

  /**
   * Runs tasks that touch disjoint memory, without holding up the calling thread where they take long.
   * @param work multiplications in all, roughly
   * @throws KernelFailure when a task failed
   */
  async run(tasks: readonly HeapTask[], work: number): Promise<void> {
    const all = tasks.map((task) => ({ ...task, arena: this.heap }));
    if (work > LONG_WORK && this.threads > 1) return this.pool.run(all);
    for (let from = 0; from < all.length; from += MAX_TASKS) {
      try {
        this.pool.runHere(all.slice(from, from + MAX_TASKS), work > POOL_WORK);
      } catch (error) {
        if (!(error instanceof KernelFailure)) throw error;
        throw new KernelFailure(error.task + from, error.code, "");
      }
    }
  }

  /** Ends the threads. */
  dispose(): Promise<void> {
    return this.pool.dispose();
  }
}
