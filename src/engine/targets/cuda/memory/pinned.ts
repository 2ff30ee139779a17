/**
 * @file Page-locked host memory: the GPU copies to and from it directly, while this thread goes on.
 */
import type { CudaContext } from "../driver/context.ts";
import { checkDriver, checkFreed } from "../driver/errors.ts";
import { addressOf, OutWord, viewMemory } from "../driver/koffi.ts";
import { closed, opened } from "../driver/liveObjects.ts";
import { addRange, holdsRange, touchesRange, type Range } from "./ranges.ts";

/** `CU_MEMHOSTALLOC_PORTABLE` and `CU_MEMHOSTREGISTER_PORTABLE`. */
const portable = 1;
const pageBytes = 4096;

/** Page-locked memory of its own. */
export class PinnedBuffer {
  /** All of it. Detached (length 0) after dispose. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #context: CudaContext;
  readonly #pointer: number;
  #disposed = false;

  /** @throws ParetoError `CUDA_OUT_OF_MEMORY` when so much cannot be locked */
  constructor(context: CudaContext, bytes: number) {
    this.#context = context;
    const word = new OutWord();
    const status = context.driver.cuMemHostAlloc(word.place, Math.max(1, bytes), portable);
    checkDriver(status, "cuMemHostAlloc", `PinnedBuffer of ${bytes} bytes`);
    this.#pointer = word.value;
    this.bytes = new Uint8Array(viewMemory(this.#pointer, Math.max(1, bytes)), 0, bytes);
    opened("pinned memory");
  }

  /** Elements from a byte offset, a multiple of 4. */
  float32(offsetBytes = 0, length = (this.bytes.length - offsetBytes) >>> 2): Float32Array<ArrayBuffer> {
    return new Float32Array(this.bytes.buffer, offsetBytes, length);
  }

  /** Elements from a byte offset, a multiple of 4. */
  int32(offsetBytes = 0, length = (this.bytes.length - offsetBytes) >>> 2): Int32Array<ArrayBuffer> {
    return new Int32Array(this.bytes.buffer, offsetBytes, length);
  }

  /** Frees the memory; no copy may be under way. Arrays over it become empty. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    // Detached first: an array over freed memory would crash the process.
    this.bytes.buffer.transfer(0);
    closed("pinned memory");
    checkFreed(this.#context.driver.cuMemFreeHost(this.#pointer), "cuMemFreeHost");
  }
}

/**
 * Page-locks arrays that exist already, in memory whose pages hold nothing else: that of WebAssembly, or whole pages of
 * any other origin. Whole pages are locked, and the driver refuses to copy what is locked in part, so an array among
 * others on a heap would spoil the copies of its neighbours. Arrays that lie side by side are best registered as one.
 */
export class HostRegistry {
  readonly #context: CudaContext;
  #ranges: readonly Range[] = [];
  /** Keeps the memory from being collected while it is locked. */
  readonly #buffers = new Set<ArrayBufferLike>();

  constructor(context: CudaContext) {
    this.#context = context;
  }

  /**
   * Page-locks an array's memory until unregisterAll. Waits for the GPU when it overlaps what is locked already.
   * @returns false when its buffer shares pages with others or the system refuses: then copies are staged by the
   * driver, as for any memory
   */
  register(array: ArrayBufferView): boolean {
    if (array.byteLength === 0) return true;
    if (!ownsItsPages(array.buffer)) return false;
    const wanted = pagesOf(array);
    if (holdsRange(this.#ranges, wanted)) return true;
    // The driver copies only within one registration, so what overlaps becomes one.
    const { ranges, merged, replaced } = addRange(this.#ranges, wanted);
    const { driver } = this.#context;
    if (replaced.length > 0) this.#context.synchronize();
    for (const range of replaced) this.#unlock(range);
    const status = driver.cuMemHostRegister_v2(merged.start, merged.end - merged.start, portable);
    if (status !== 0) {
      this.#ranges = this.#ranges.filter((range) => !replaced.includes(range));
      return false;
    }
    opened("registered memory");
    this.#ranges = ranges;
    this.#buffers.add(array.buffer);
    return true;
  }

  /**
   * Whether an array lies in memory that is locked. One that lies there in part, as a neighbour of what was registered
   * may, is locked as a whole: the driver refuses to copy it as it is.
   */
  isPinned(array: ArrayBufferView): boolean {
    if (array.byteLength === 0 || this.#ranges.length === 0) return false;
    const wanted = pagesOf(array);
    if (holdsRange(this.#ranges, wanted)) return true;
    // A neighbour in the same memory; other buffers have no page in common with what is locked.
    return touchesRange(this.#ranges, wanted) && this.register(array);
  }

  /** Unlocks all; no copy may be under way. */
  unregisterAll(): void {
    for (const range of this.#ranges) this.#unlock(range);
    this.#ranges = [];
    this.#buffers.clear();
  }

  #unlock(range: Range): void {
    closed("registered memory");
    checkFreed(this.#context.driver.cuMemHostUnregister(range.start), "cuMemHostUnregister");
  }
}

/** Whether a buffer begins and ends with a page. */
function ownsItsPages(buffer: ArrayBufferLike): boolean {
  return buffer.byteLength % pageBytes === 0 && addressOf(new Uint8Array(buffer)) % pageBytes === 0;
}

function pagesOf(array: ArrayBufferView): Range {
  const start = addressOf(array);
  const end = start + array.byteLength;
  return { start: Math.floor(start / pageBytes) * pageBytes, end: Math.ceil(end / pageBytes) * pageBytes };
}
