/**
 * @file A shared WebAssembly memory that grows, with blocks that are taken and given back.
 *
 * Blocks begin at multiples of 64 bytes and hold whatever lay there before. Views of a block stay valid until it is
 * freed, however much the memory grows. What was freed is used again, neighbours joined; the system gets its pages back
 * when the whole heap is no longer referenced.
 */
import { ParetoError } from "../../../../base/errors.ts";
import { alignedBytes, ARENA_MAX_BYTES } from "./arena.ts";
import { type WasmMemory, webAssembly } from "./webAssembly.ts";

const PAGE_BYTES = 65_536;
/** The first block's place; 0 is never handed out. */
const FIRST = 64;

interface Run {
  from: number;
  bytes: number;
}

/** A memory that kernels work on, and what of it is in use. */
export class Heap {
  readonly memory: WasmMemory;
  /** Free runs, in order, no two of them neighbours. */
  readonly #free: Run[] = [{ from: FIRST, bytes: PAGE_BYTES - FIRST }];
  readonly #used = new Map<number, number>();
  #usedBytes = 0;

  constructor() {
    this.memory = new webAssembly.Memory({
      initial: 1,
      maximum: ARENA_MAX_BYTES / PAGE_BYTES + 1,
      shared: true,
    });
  }

  /** Bytes of blocks in use. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Takes a block.
   * @returns its byte offset
   * @throws ParetoError HEAP_FULL beyond 4 GiB, or when the system refuses
   */
  allocate(sizeBytes: number): number {
    const bytes = alignedBytes(Math.max(1, sizeBytes));
    const fitting = this.#free.find((run) => run.bytes >= bytes) ?? this.#grow(bytes);
    const { from } = fitting;
    fitting.from += bytes;
    fitting.bytes -= bytes;
    if (fitting.bytes === 0) this.#free.splice(this.#free.indexOf(fitting), 1);
    this.#used.set(from, bytes);
    this.#usedBytes += bytes;
    return from;
  }

  /** Gives a block back. */
  free(pointer: number): void {
    const bytes = this.#used.get(pointer);
    if (bytes === undefined) return;
    this.#used.delete(pointer);
    this.#usedBytes -= bytes;
    this.#release({ from: pointer, bytes });
  }

  /** Floats at a pointer, in place. */
  float32At(pointer: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer as ArrayBuffer, pointer, length);
  }

  /** 64-bit floats at a pointer, in place. */
  float64At(pointer: number, length: number): Float64Array {
    return new Float64Array(this.memory.buffer as ArrayBuffer, pointer, length);
  }

  /** 32-bit signed integers at a pointer, in place. */
  int32At(pointer: number, length: number): Int32Array {
    return new Int32Array(this.memory.buffer as ArrayBuffer, pointer, length);
  }

  /** More memory at the end, of which the last free run becomes large enough. */
  #grow(bytes: number): Run {
    const end = this.memory.buffer.byteLength;
    const last = this.#free.at(-1);
    const reach = last && last.from + last.bytes === end ? last.bytes : 0;
    const pages = Math.ceil((bytes - reach) / PAGE_BYTES);
    try {
      if (end + pages * PAGE_BYTES > ARENA_MAX_BYTES) throw new RangeError("beyond 4 GiB");
      this.memory.grow(pages);
    } catch (cause) {
      throw new ParetoError({
        code: "HEAP_FULL",
        where: "Heap.allocate",
        message: `one memory holds at most ${ARENA_MAX_BYTES} bytes, and ${this.#usedBytes} are in use, got a request for ${bytes} more`,
        fix: "Hold fewer or shorter sequences at a time, give their caches a smaller budget, or free memory.",
        cause,
      });
    }
    this.#release({ from: end, bytes: pages * PAGE_BYTES });
    return this.#free.at(-1)!;
  }

  /** Adds a free run, joined with its neighbours. */
  #release(run: Run): void {
    const free = this.#free;
    let at = free.findIndex(({ from }) => from > run.from);
    if (at < 0) at = free.length;
    const next = free[at];
    if (next && run.from + run.bytes === next.from) {
      run.bytes += next.bytes;
      free.splice(at, 1);
    }
    const previous = free[at - 1];
    if (previous && previous.from + previous.bytes === run.from) previous.bytes += run.bytes;
    else free.splice(at, 0, run);
  }
}
