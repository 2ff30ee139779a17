/**
 * @file A queue of work on the GPU, and recorded runs of it.
 *
 * Calls return when the work is queued. Work in one stream runs in order; two streams are ordered by events.
 * Host memory that is page-locked is copied while this thread goes on, so it must stay as it is until an event says
 * so. Other memory is staged: a copy to the device returns when the array has been read, a copy to the host blocks
 * this thread until the array has been written.
 */
import type { Extent } from "../plan.ts";
import type { CudaContext } from "./context.ts";
import type { Memory } from "./driverLibrary.ts";
import { checkDriver, checkFreed, cudaError } from "./errors.ts";
import type { CudaEvent } from "./event.ts";
import { addressOf, OutWord } from "./koffi.ts";
import { closed, opened } from "./liveObjects.ts";
import type { Kernel } from "./module.ts";

/** `CU_STREAM_NON_BLOCKING`: no order with the default stream. */
const nonBlocking = 1;
/** `CU_STREAM_CAPTURE_MODE_RELAXED`: loading a kernel or allocating is allowed while recording. */
const captureRelaxed = 2;
/** Most bytes of arguments that a kernel takes. */
const maxArgumentBytes = 32_764;

/** Where arguments lie during a launch, and the list that tells the driver so. The driver copies them before it returns. */
const launchArguments = new Uint8Array(32_768);
const launchSize = new BigUint64Array(1);
/** CU_LAUNCH_PARAM_BUFFER_POINTER, address, CU_LAUNCH_PARAM_BUFFER_SIZE, address of the size, CU_LAUNCH_PARAM_END. */
const launchList = new BigUint64Array(5);
let launchListAddress = 0;

function prepareLaunches(): void {
  if (launchListAddress !== 0) return;
  launchList.set([1n, BigInt(addressOf(launchArguments)), 2n, BigInt(addressOf(launchSize)), 0n]);
  launchListAddress = addressOf(launchList);
}

/** A queue of work. */
export class Stream {
  readonly handle: number;
  readonly #context: CudaContext;
  #disposed = false;

  constructor(context: CudaContext) {
    this.#context = context;
    prepareLaunches();
    const word = new OutWord();
    checkDriver(context.driver.cuStreamCreate(word.place, nonBlocking), "cuStreamCreate", "Stream");
    this.handle = word.value;
    opened("stream");
  }

  /**
   * Queues a kernel.
   * @param args of packArguments
   * @throws ParetoError `CUDA_LAUNCH`, `CUDA_FAILED`; `CUDA_ILLEGAL_ADDRESS` when earlier work failed
   */
  launch(kernel: Kernel, grid: Extent, block: Extent, sharedBytes: number, args: Uint8Array): void {
    if (args.length > maxArgumentBytes) throw new RangeError(`kernel arguments take ${args.length} bytes`);
    launchArguments.set(args);
    launchSize[0] = BigInt(args.length);
    const status = this.#context.driver.cuLaunchKernel(
      kernel.handle,
      grid[0],
      grid[1],
      grid[2],
      block[0],
      block[1],
      block[2],
      sharedBytes,
      this.handle,
      0,
      launchListAddress,
    );
    if (status !== 0) throw cudaError("driver", status, "cuLaunchKernel", "Stream.launch");
  }

  /** Queues a copy from host memory. */
  copyToDevice(to: number, from: Memory, bytes: number): void {
    const status = this.#context.driver.cuMemcpyHtoDAsync_v2(to, from, bytes, this.handle);
    checkDriver(status, "cuMemcpyHtoDAsync", "Stream.copyToDevice");
  }

  /** Queues a copy to host memory. */
  copyToHost(to: Memory, from: number, bytes: number): void {
    const status = this.#context.driver.cuMemcpyDtoHAsync_v2(to, from, bytes, this.handle);
    checkDriver(status, "cuMemcpyDtoHAsync", "Stream.copyToHost");
  }

  /** Queues a copy within device memory. */
  copyOnDevice(to: number, from: number, bytes: number): void {
    const status = this.#context.driver.cuMemcpyDtoDAsync_v2(to, from, bytes, this.handle);
    checkDriver(status, "cuMemcpyDtoDAsync", "Stream.copyOnDevice");
  }

  /** Queues the zeroing of memory. */
  clear(to: number, bytes: number): void {
    // Words are cleared faster than bytes.
    const words = to % 4 === 0 && bytes % 4 === 0;
    const { cuMemsetD32Async, cuMemsetD8Async } = this.#context.driver;
    const status = words
      ? cuMemsetD32Async(to, 0, bytes / 4, this.handle)
      : cuMemsetD8Async(to, 0, bytes, this.handle);
    checkDriver(status, "cuMemsetAsync", "Stream.clear");
  }

  /** Work queued from now on waits for what the event marks, in whatever stream. */
  wait(event: CudaEvent): void {
    const status = this.#context.driver.cuStreamWaitEvent(this.handle, event.handle, 0);
    checkDriver(status, "cuStreamWaitEvent", "Stream.wait");
  }

  /** Waits, blocking this thread, until the queue is empty. */
  synchronize(): void {
    checkDriver(
      this.#context.driver.cuStreamSynchronize(this.handle),
      "cuStreamSynchronize",
      "Stream.synchronize",
    );
  }

  /**
   * Records the work that `record` queues here, without doing it.
   * @throws ParetoError `CUDA_FAILED` when something in it cannot be recorded; whatever `record` throws
   */
  capture(record: () => void): CapturedGraph {
    const { driver } = this.#context;
    checkDriver(
      driver.cuStreamBeginCapture_v2(this.handle, captureRelaxed),
      "cuStreamBeginCapture",
      "Stream.capture",
    );
    const graph = new OutWord();
    try {
      record();
    } catch (error) {
      driver.cuStreamEndCapture(this.handle, graph.place);
      if (graph.value !== 0) driver.cuGraphDestroy(graph.value);
      throw error;
    }
    checkDriver(driver.cuStreamEndCapture(this.handle, graph.place), "cuStreamEndCapture", "Stream.capture");
    const exec = new OutWord();
    const status = driver.cuGraphInstantiateWithFlags(exec.place, graph.value, 0);
    checkFreed(driver.cuGraphDestroy(graph.value), "cuGraphDestroy");
    checkDriver(status, "cuGraphInstantiate", "Stream.capture");
    return new CapturedGraph(this.#context, exec.value);
  }

  /** Frees the stream; work that is queued is still done. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    closed("stream");
    checkFreed(this.#context.driver.cuStreamDestroy_v2(this.handle), "cuStreamDestroy");
  }
}

/** Recorded work, to be queued at once. Addresses and arguments are those of the recording. */
export class CapturedGraph {
  readonly #context: CudaContext;
  readonly #handle: number;
  #disposed = false;

  /** Made by Stream.capture. */
  constructor(context: CudaContext, handle: number) {
    this.#context = context;
    this.#handle = handle;
    opened("graph");
  }

  /** Queues the work. */
  launch(stream: Stream): void {
    const status = this.#context.driver.cuGraphLaunch(this.#handle, stream.handle);
    if (status !== 0) throw cudaError("driver", status, "cuGraphLaunch", "CapturedGraph.launch");
  }

  /** Frees the recording; runs that are queued are still done. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    closed("graph");
    checkFreed(this.#context.driver.cuGraphExecDestroy(this.#handle), "cuGraphExecDestroy");
  }
}
