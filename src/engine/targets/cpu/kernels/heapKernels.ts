/**
 * @file Kernels over one heap: on a pool of threads where there is enough to do, else at once on the calling thread,
 * which costs less than to wake a pool. Tasks of one call touch disjoint memory, so results are the same either way.
 */
import { Heap } from "./heap.ts";
import { kernelModule, type KernelName } from "./kernelModule.ts";
import { KernelFailure, ThreadPool } from "./threadPool.ts";
import { webAssembly } from "./webAssembly.ts";

/** One kernel call on the heap. */
export interface HeapTask {
  kernel: KernelName;
  arguments: readonly number[];
}

/** Multiplications that the calling thread does while a pool would wake up. */
const POOL_WORK = 250_000;

type Kernel = (...args: readonly number[]) => number;

/** A heap and the kernels that work on it. */
export class HeapKernels {
  readonly heap: Heap;
  readonly threads: number;
  readonly #kernels: Readonly<Record<string, unknown>>;
  #pool: Promise<ThreadPool> | null = null;

  private constructor(heap: Heap, threads: number, kernels: Readonly<Record<string, unknown>>) {
    this.heap = heap;
    this.threads = threads;
    this.#kernels = kernels;
  }

  /** @param threads at least 1; one is the caller's own. @throws ParetoError KERNELS_MISSING */
  static async create(threads: number): Promise<HeapKernels> {
    const heap = new Heap();
    const { exports } = new webAssembly.Instance(await kernelModule(), { env: { memory: heap.memory } });
    return new HeapKernels(heap, threads, exports);
  }

  /**
   * Runs tasks that touch disjoint memory.
   * @param work multiplications in all, roughly
   * @throws KernelFailure when a task failed
   */
  async run(tasks: readonly HeapTask[], work: number): Promise<void> {
    if (this.threads > 1 && tasks.length > 1 && work > POOL_WORK) {
      this.#pool ??= ThreadPool.create(this.threads);
      const pool = await this.#pool;
      await pool.run(tasks.map((task) => ({ ...task, arena: this.heap })));
      return;
    }
    for (const [i, { kernel, arguments: args }] of tasks.entries()) {
      const code = (this.#kernels[kernel] as Kernel)(...args);
      if (code !== 0) throw new KernelFailure(i, code, "");
    }
  }

  /** Ends the threads. */
  async dispose(): Promise<void> {
    await (await this.#pool)?.dispose();
  }
}
