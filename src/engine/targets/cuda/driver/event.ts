/**
 * @file A mark in a stream: tells when the work before it is done, and the time between two.
 */
import type { CudaContext } from "./context.ts";
import { checkDriver, checkFreed, cudaError, driverResult } from "./errors.ts";
import { callAsync, OutWord } from "./koffi.ts";
import { closed, opened } from "./liveObjects.ts";

/** `CU_EVENT_BLOCKING_SYNC`: whoever waits sleeps instead of spinning. */
const blockingSync = 1;
/** `CU_EVENT_DISABLE_TIMING`, which makes events cheaper. */
const disableTiming = 2;

/** For how long completion is asked for on this thread before another one waits for it. */
const pollMs = 1;

/** Whether other threads may wait: they have no current context, which a driver may insist on. */
let othersMayWait = true;

/** What an event needs of the stream that it marks. */
interface MarkedStream {
  readonly handle: number;
}

/** A mark in a stream. */
export class CudaEvent {
  readonly handle: number;
  readonly #context: CudaContext;
  #disposed = false;

  constructor(context: CudaContext, { timing = false }: { timing?: boolean } = {}) {
    this.#context = context;
    const word = new OutWord();
    const flags = timing ? blockingSync : blockingSync | disableTiming;
    checkDriver(context.driver.cuEventCreate(word.place, flags), "cuEventCreate", "CudaEvent");
    this.handle = word.value;
    opened("event");
  }

  /** Marks the work that is in the stream now; replaces an earlier mark. */
  record(stream: MarkedStream): void {
    const status = this.#context.driver.cuEventRecord(this.handle, stream.handle);
    if (status !== 0) throw cudaError("driver", status, "cuEventRecord", "CudaEvent.record");
  }

  /** Whether the marked work is done; true when nothing was marked. @throws ParetoError when the work failed */
  query(): boolean {
    const status = this.#context.driver.cuEventQuery(this.handle);
    if (status === driverResult.success) return true;
    if (status === driverResult.notReady) return false;
    throw cudaError("driver", status, "cuEventQuery", "CudaEvent.query");
  }

  /** Milliseconds from `since` to this event; both with timing, both done. */
  elapsedMs(since: CudaEvent): number {
    const ms = new Float32Array(1);
    const status = this.#context.driver.cuEventElapsedTime(ms, since.handle, this.handle);
    checkDriver(status, "cuEventElapsedTime", "CudaEvent.elapsedMs");
    return ms[0]!;
  }

  /**
   * Resolves when the marked work is done, without blocking this thread.
   * @throws ParetoError when the work failed
   */
  async done(): Promise<void> {
    const start = performance.now();
    while (!this.query()) {
      if (performance.now() - start < pollMs) await new Promise<void>((resolve) => setImmediate(resolve));
      else if (othersMayWait) await this.#waitElsewhere();
      else await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Waits on another thread, or finds that it may not. */
  async #waitElsewhere(): Promise<void> {
    const status = await callAsync(this.#context.driver.cuEventSynchronize, this.handle);
    if (status === driverResult.invalidContext) othersMayWait = false;
    else checkDriver(status, "cuEventSynchronize", "CudaEvent.done");
  }

  /** Frees the event. Nobody may be waiting for it. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    closed("event");
    checkFreed(this.#context.driver.cuEventDestroy_v2(this.handle), "cuEventDestroy");
  }
}
