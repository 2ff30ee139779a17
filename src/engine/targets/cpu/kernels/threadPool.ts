/**
 * @file Kernel threads: a pool of workers that run lists of small tasks over shared memories.
 *
 * The tasks of a job are claimed one by one, so threads balance by themselves; tasks of one job must touch
 * disjoint memory, and then no result depends on the number of threads or on who ran what. Jobs of one pool may
 * overlap. A round trip of an empty job costs some 20 µs. Idle threads sleep and do not keep the process alive;
 * a pending job does.
 */
import { Worker } from "node:worker_threads";
import { invariant, ParetoError } from "../../../../base/errors.ts";
import { workerFile } from "../../../../base/workerFile.ts";
import { KERNEL_NAMES, kernelModule, type KernelName } from "./kernelModule.ts";
import {
  ARGUMENTS,
  type ArenaMessage,
  AWAKE,
  COMPLETED,
  CONTROL_WORDS,
  FAILED,
  jobWord,
  LOOKS,
  MAX_TASKS,
  PENDING,
  type PoolWorkerData,
  RECORD,
  recordAt,
  REMAINING,
  RING,
  SIGNAL,
  STOP,
  type TrapMessage,
} from "./poolProtocol.ts";
import { type WasmMemory, type WasmModule, webAssembly } from "./webAssembly.ts";

/** An arena or a heap: the threads know it by its memory. */
interface KernelMemory {
  readonly memory: WasmMemory;
}

/** How often a thread looks for what it waits for before it sleeps: some 100 µs. */
const SPINS = 6_000;

/** One kernel call. */
export interface KernelTask {
  kernel: KernelName;
  /** The memory it works on. */
  arena: KernelMemory;
  /** The second memory, of `moveRows` only: `arena` is the near one. */
  other?: KernelMemory;
  arguments: readonly number[];
}

/** A task that returned a code or trapped; owners of jobs turn it into a {@link ParetoError}. */
export class KernelFailure extends Error {
  /** Which task of the job, the first when several failed. */
  readonly task: number;
  /** What the kernel returned, or -1 when it trapped. */
  readonly code: number;

  constructor(task: number, code: number, detail: string) {
    super(`kernel task ${task} failed with code ${code}${detail}`);
    this.name = "KernelFailure";
    this.task = task;
    this.code = code;
  }
}

interface Job {
  tasks: readonly KernelTask[];
  resolve: () => void;
  reject: (error: Error) => void;
}

/** A fixed set of kernel threads. */
export class ThreadPool {
  readonly threads: number;
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #records: Float64Array<SharedArrayBuffer>;
  readonly #workers: Worker[];
  readonly #arenas = new Map<KernelMemory, number>();
  readonly #here = new Map<KernelMemory, Readonly<Record<string, (...args: readonly number[]) => number>>>();
  readonly #module: WasmModule;
  /** Jobs in flight by their place in the ring, and those that wait for a place. */
  readonly #ring: (Job | undefined)[] = Array.from({ length: RING });
  readonly #queue: Job[] = [];
  #inFlight = 0;
  #arenasMade = 0;
  #watching = false;
  #trap = "";
  #broken: Error | undefined;
  #disposed: Promise<void> | undefined;

  private constructor(threads: number, module: WasmModule, looks: number) {
    this.threads = threads;
    this.#module = module;
    this.#control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * 4));
    this.#control[LOOKS] = looks;
    this.#records = new Float64Array(new SharedArrayBuffer(RING * MAX_TASKS * RECORD * 8));
    const workerData: PoolWorkerData = { control: this.#control, records: this.#records, module };
    this.#workers = Array.from({ length: threads }, () => {
      // Flags of the main thread such as --input-type would stop a worker from starting.
      const worker = new Worker(workerFile("./poolWorker", import.meta.url), { workerData, execArgv: [] });
      worker.on("message", (trap: TrapMessage) => (this.#trap = `: ${trap.kernel}: ${trap.message}`));
      worker.on("error", (error: Error) => this.#break(error));
      worker.unref();
      return worker;
    });
  }

  /**
   * Starts threads.
   * @param threads at least 1; the calling thread is used by `runHere` alone
   * @param staysAwake whether threads look for more work for some 100 µs before they sleep: for jobs that follow one
   * another closely, with nothing else to do for the machine in between
   * @throws ParetoError KERNELS_MISSING, THREADS_INVALID
   */
  static async create(threads: number, { staysAwake = false } = {}): Promise<ThreadPool> {
    if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
      throw new ParetoError({
        code: "THREADS_INVALID",
        where: "ThreadPool.create",
        message: `the number of threads must be a whole number from 1 to 1024, got ${threads}`,
        fix: "Pass a number of threads such as the number of cores.",
      });
    }
    return new ThreadPool(threads, await kernelModule(), staysAwake ? SPINS : 0);
  }

  /**
   * Runs tasks that touch disjoint memory, in any order, on any thread.
   * @throws KernelFailure when a task failed (all others have still run)
   * @throws ParetoError POOL_DISPOSED, POOL_BROKEN
   */
  async run(tasks: readonly KernelTask[]): Promise<void> {
    this.#assertUsable();
    if (tasks.length === 0) return;
    if (tasks.length <= MAX_TASKS) return this.#submit(tasks);
    const parts: Promise<void>[] = [];
    for (let i = 0; i < tasks.length; i += MAX_TASKS) parts.push(this.#submit(tasks.slice(i, i + MAX_TASKS)));
    const results = await Promise.allSettled(parts);
    for (const [i, result] of results.entries()) {
      if (result.status === "fulfilled") continue;
      const { reason } = result as { reason: unknown };
      throw reason instanceof KernelFailure
        ? new KernelFailure(reason.task + i * MAX_TASKS, reason.code, this.#trap)
        : reason;
    }
  }

  /**
   * As `run`, but the calling thread takes its share of the tasks and waits for the others: short jobs are done before
   * a message would have arrived. One of the pool's threads is left asleep in its stead.
   * @param tasks at most {@link MAX_TASKS}, none of them `moveRows`
   * @param wakes whether other threads are woken; they may help all the same while they are awake
   * @throws KernelFailure, ParetoError as `run`
   */
  runHere(tasks: readonly KernelTask[], wakes = true): void {
    this.#assertUsable();
    if (tasks.length === 0) return;
    const slot = this.#ring.indexOf(undefined);
    invariant(slot >= 0 && tasks.length <= MAX_TASKS, `${tasks.length} tasks, and no place in the ring`);
    this.#write(slot, tasks);
    if (wakes && tasks.length > 1 && this.threads > 1) this.#wake(this.threads - 1);
    const control = this.#control;
    const pending = jobWord(slot, PENDING);
    let failed = 0;
    for (;;) {
      const claim = Atomics.sub(control, jobWord(slot, REMAINING), 1);
      if (claim <= 0) break;
      const code = this.#runOwn(tasks[tasks.length - claim]!);
      if (code !== 0) {
        this.#records[recordAt(slot, claim - 1)] = code;
        failed = Math.max(failed, claim);
      }
      Atomics.sub(control, pending, 1);
    }
    // What is left is under way on other threads, as a rule for less time than a sleep and a wake would take.
    for (let spins = 0; Atomics.load(control, pending) > 0; spins++) {
      if (spins > SPINS) Atomics.wait(control, COMPLETED, Atomics.load(control, COMPLETED), 1);
    }
    failed = Math.max(failed, Atomics.load(control, jobWord(slot, FAILED)));
    if (failed === 0) return;
    throw new KernelFailure(tasks.length - failed, this.#records[recordAt(slot, failed - 1)]!, this.#trap);
  }

  /** Runs a task on the calling thread. @returns its code, −1 where it traps */
  #runOwn({ kernel, arena, arguments: args }: KernelTask): number {
    try {
      return this.#kernelsHere(arena)[kernel]!(...args);
    } catch (error) {
      this.#trap = `: ${kernel}: ${error instanceof Error ? error.message : String(error)}`;
      return -1;
    }
  }

  /** The kernels over a memory, on the calling thread. */
  #kernelsHere(arena: KernelMemory): Readonly<Record<string, (...args: readonly number[]) => number>> {
    let kernels = this.#here.get(arena);
    if (!kernels) {
      const { exports } = new webAssembly.Instance(this.#module, { env: { memory: arena.memory } });
      kernels = exports as Record<string, (...args: readonly number[]) => number>;
      this.#here.set(arena, kernels);
    }
    return kernels;
  }

  /** Lets the threads forget an arena, so that its memory can be freed. No job may be using it. */
  release(arena: KernelMemory): void {
    const number = this.#arenas.get(arena);
    if (number === undefined) return;
    this.#arenas.delete(arena);
    this.#here.delete(arena);
    if (this.#disposed === undefined) this.#tell({ arena: number, memory: null });
    this.#wake();
  }

  /** Waits for jobs in flight and ends the threads. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#end();
    return this.#disposed;
  }

  async #end(): Promise<void> {
    const ended = this.#workers.map(
      (worker) => new Promise<void>((resolve) => void worker.once("exit", () => resolve())),
    );
    for (const worker of this.#workers) worker.ref();
    while (this.#inFlight > 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      this.#collect();
    }
    Atomics.store(this.#control, STOP, 1);
    this.#wake();
    if (this.#broken) for (const worker of this.#workers) void worker.terminate();
    await Promise.all(ended);
    this.#arenas.clear();
    this.#here.clear();
  }

  #assertUsable(): void {
    if (this.#disposed !== undefined) {
      throw new ParetoError({
        code: "POOL_DISPOSED",
        where: "ThreadPool",
        message: "the pool's threads have ended, got a call on a pool that was disposed of",
        fix: "Create a new pool, or dispose of it after its last use.",
      });
    }
    if (this.#broken) {
      throw new ParetoError({
        code: "POOL_BROKEN",
        where: "ThreadPool",
        message: `a kernel thread died, got ${this.#broken.message}`,
        fix: "Create a new pool. If it happens again, report the message.",
        cause: this.#broken,
      });
    }
  }

  #submit(tasks: readonly KernelTask[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ tasks, resolve, reject });
      this.#start();
    });
  }

  /** Moves queued jobs into free places of the ring. */
  #start(): void {
    let started = false;
    for (let slot = 0; slot < RING && this.#queue.length > 0; slot++) {
      if (this.#ring[slot] !== undefined) continue;
      const job = this.#queue.shift()!;
      this.#ring[slot] = job;
      this.#write(slot, job.tasks);
      if (this.#inFlight++ === 0) this.#workers[0]!.ref();
      started = true;
    }
    if (!started) return;
    this.#wake();
    if (!this.#watching) void this.#watch();
  }

  #write(slot: number, tasks: readonly KernelTask[]): void {
    const count = tasks.length;
    for (let i = 0; i < count; i++) {
      const { kernel, arena, other, arguments: args } = tasks[i]!;
      invariant(args.length <= RECORD - ARGUMENTS, `${kernel} has too many arguments`);
      // Claims count down, so the first task is the last record.
      const at = recordAt(slot, count - 1 - i);
      this.#records[at] = KERNEL_NAMES.indexOf(kernel);
      this.#records[at + 1] = this.#numberOf(arena);
      this.#records[at + 2] = other === undefined ? -1 : this.#numberOf(other);
      for (let a = 0; a < args.length; a++) this.#records[at + ARGUMENTS + a] = args[a]!;
    }
    Atomics.store(this.#control, jobWord(slot, FAILED), 0);
    Atomics.store(this.#control, jobWord(slot, PENDING), count);
    Atomics.store(this.#control, jobWord(slot, REMAINING), count);
  }

  #numberOf(arena: KernelMemory): number {
    let number = this.#arenas.get(arena);
    if (number === undefined) {
      number = this.#arenasMade++;
      this.#arenas.set(arena, number);
      this.#tell({ arena: number, memory: arena.memory });
    }
    return number;
  }

  #tell(message: ArenaMessage): void {
    for (const worker of this.#workers) worker.postMessage(message);
  }

  /** @param threads how many are to be awake, as far as they sleep */
  #wake(threads = Infinity): void {
    Atomics.add(this.#control, SIGNAL, 1);
    const sleeping = threads - Atomics.load(this.#control, AWAKE);
    // Waking a thread costs the caller some 10 µs.
    if (sleeping > 0) Atomics.notify(this.#control, SIGNAL, sleeping);
  }

  /** Waits, without blocking, for jobs to finish, while there are any. */
  async #watch(): Promise<void> {
    this.#watching = true;
    while (this.#inFlight > 0) {
      const seen = Atomics.load(this.#control, COMPLETED);
      this.#collect();
      if (this.#inFlight === 0) break;
      const wait = Atomics.waitAsync(this.#control, COMPLETED, seen);
      if (wait.async) await wait.value;
    }
    this.#watching = false;
  }

  /** Settles finished jobs. */
  #collect(): void {
    for (let slot = 0; slot < RING; slot++) {
      const job = this.#ring[slot];
      if (job === undefined || Atomics.load(this.#control, jobWord(slot, PENDING)) > 0) continue;
      this.#ring[slot] = undefined;
      this.#finishOne();
      const failed = Atomics.load(this.#control, jobWord(slot, FAILED));
      if (failed === 0) {
        job.resolve();
      } else {
        const code = this.#records[recordAt(slot, failed - 1)]!;
        const task = job.tasks.length - failed;
        // The text of a trap travels as a message: give it a turn of the event loop to arrive.
        if (code < 0) setImmediate(() => job.reject(new KernelFailure(task, code, this.#trap)));
        else job.reject(new KernelFailure(task, code, ""));
      }
    }
    if (this.#queue.length > 0) this.#start();
  }

  #finishOne(): void {
    this.#inFlight--;
    if (this.#inFlight === 0 && this.#disposed === undefined) this.#workers[0]!.unref();
  }

  /** A thread died: nothing in flight can be trusted to finish. */
  #break(error: Error): void {
    this.#broken ??= error;
    for (const [slot, job] of this.#ring.entries()) {
      if (job === undefined) continue;
      Atomics.store(this.#control, jobWord(slot, REMAINING), 0);
      this.#ring[slot] = undefined;
      this.#finishOne();
      job.reject(error);
    }
    for (const job of this.#queue.splice(0)) job.reject(error);
    Atomics.add(this.#control, COMPLETED, 1);
    Atomics.notify(this.#control, COMPLETED);
  }
}
