/** @file Device memory from a caching allocator, and what to say when there is none left. */
import { ParetoError } from "../../../../base/errors.ts";
import type { CudaContext } from "../driver/context.ts";
import { checkDriver, checkFreed, driverResult } from "../driver/errors.ts";
import { OutWord } from "../driver/koffi.ts";
import { closed, opened } from "../driver/liveObjects.ts";
import { CachingAllocator, type Allocation, type AllocatorStats } from "./cachingAllocator.ts";

/** A buffer of device memory; its address is a multiple of 512. */
export type DeviceBuffer = Allocation;

/** How many holders an error lists. */
const listed = 6;

/** Allocates device memory and keeps what is freed for the next request. */
export class DeviceAllocator {
  readonly #context: CudaContext;
  readonly #caching: CachingAllocator;

  constructor(context: CudaContext) {
    this.#context = context;
    const { driver } = context;
    this.#caching = new CachingAllocator({
      allocate(bytes) {
        const word = new OutWord();
        const status = driver.cuMemAlloc_v2(word.place, bytes);
        if (status === driverResult.outOfMemory) return undefined;
        checkDriver(status, "cuMemAlloc", "DeviceAllocator.allocate");
        opened("device memory");
        return word.value;
      },
      free(pointer) {
        closed("device memory");
        checkFreed(driver.cuMemFree_v2(pointer), "cuMemFree");
      },
    });
  }

  /**
   * Device memory, not cleared.
   * @param bytes 0 gives a valid address too
   * @param holder who needs it, for stats and errors, e.g. `state weights`
   * @throws ParetoError `CUDA_OUT_OF_MEMORY`
   */
  allocate(bytes: number, holder: string): DeviceBuffer {
    const allocation = this.#caching.allocate(bytes, holder);
    if (allocation) return allocation;
    const { freeBytes, totalBytes } = this.#context.memory();
    const { byHolder, allocatedBytes, reservedBytes } = this.stats();
    const holders = [...byHolder].sort((a, b) => b[1] - a[1]);
    const named = holders.slice(0, listed).map(([name, held]) => `${name} ${formatMiB(held)}`);
    const rest = holders.slice(listed).reduce((sum, [, held]) => sum + held, 0);
    if (rest > 0) named.push(`${holders.length - listed} others ${formatMiB(rest)}`);
    throw new ParetoError({
      code: "CUDA_OUT_OF_MEMORY",
      where: "DeviceAllocator.allocate",
      message:
        `DeviceAllocator.allocate: the GPU has ${formatMiB(freeBytes)} free of ${formatMiB(totalBytes)}; ` +
        `in use here ${formatMiB(allocatedBytes)} (${named.join(", ") || "nothing"}), ` +
        `kept for reuse ${formatMiB(reservedBytes - allocatedBytes)}, got a request of ${formatMiB(bytes)} for ${holder}`,
      fix: "Use a smaller batch (of tables: placement hybrid; of sequences: fewer of them or a smaller budget), or end other processes on this GPU (nvidia-smi lists them).",
    });
  }

  /** What is held. */
  stats(): AllocatorStats {
    return this.#caching.stats();
  }

  /** Gives memory that is kept for reuse back to the GPU. */
  trim(): void {
    this.#caching.trim();
  }

  /** Gives all memory back; buffers that are in use become invalid. */
  dispose(): void {
    this.#caching.dispose();
  }
}

function formatMiB(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 2 : 0)} MiB`;
}
