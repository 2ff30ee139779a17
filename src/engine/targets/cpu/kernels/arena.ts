/**
 * @file An arena: one shared WebAssembly memory with a bump allocator.
 *
 * It is created at its final size and never grows, so views of it stay valid and pages that nobody touches take
 * no physical memory. Pointers are unsigned 32-bit byte offsets, aligned to 64; 0 is never handed out. Nothing
 * is freed singly: the whole arena goes when it is no longer referenced.
 */
import { ParetoError } from "../../../../base/errors.ts";
import { type WasmMemory, webAssembly } from "./webAssembly.ts";

const PAGE_BYTES = 65_536;
/** Alignment of every allocation: a cache line. */
const ARENA_ALIGN_BYTES = 64;
/** Most bytes of an arena: wasm32's 4 GiB less a page, so that an end pointer still fits 32 bits. */
export const ARENA_MAX_BYTES = 65_535 * PAGE_BYTES;

/** Bytes that an allocation of `bytes` takes in an arena. */
export function alignedBytes(bytes: number): number {
  return Math.ceil(bytes / ARENA_ALIGN_BYTES) * ARENA_ALIGN_BYTES;
}

/** A shared memory that kernels of a thread pool work on. */
export class Arena {
  readonly memory: WasmMemory;
  readonly sizeBytes: number;
  /** Views of the whole memory. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly int32: Int32Array<SharedArrayBuffer>;
  readonly float32: Float32Array<SharedArrayBuffer>;
  #next = ARENA_ALIGN_BYTES;

  /**
   * @param sizeBytes room for allocations (each rounded up to 64 bytes)
   * @throws ParetoError ARENA_TOO_LARGE above {@link ARENA_MAX_BYTES}
   * @throws ParetoError ARENA_OUT_OF_MEMORY when the system refuses
   */
  constructor(sizeBytes: number) {
    const pages = Math.ceil((sizeBytes + ARENA_ALIGN_BYTES) / PAGE_BYTES);
    if (pages * PAGE_BYTES > ARENA_MAX_BYTES + PAGE_BYTES) {
      throw new ParetoError({
        code: "ARENA_TOO_LARGE",
        where: "Arena",
        message: `one memory holds at most ${ARENA_MAX_BYTES} bytes, got a request for ${sizeBytes}`,
        fix: "Spread the data over several arenas.",
      });
    }
    try {
      this.memory = new webAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    } catch (cause) {
      throw new ParetoError({
        code: "ARENA_OUT_OF_MEMORY",
        where: "Arena",
        message: `the system refused a shared memory, got a request for ${sizeBytes} bytes`,
        fix: "Use smaller tables or a smaller embedding dimension, free memory, or raise the address-space limit (ulimit -v).",
        cause,
      });
    }
    const buffer = this.memory.buffer as SharedArrayBuffer;
    this.sizeBytes = pages * PAGE_BYTES;
    this.bytes = new Uint8Array(buffer);
    this.int32 = new Int32Array(buffer);
    this.float32 = new Float32Array(buffer);
  }

  /**
   * Takes `bytes` zeroed bytes.
   * @returns their byte offset, a multiple of 64
   * @throws ParetoError ARENA_FULL
   */
  allocate(bytes: number): number {
    const pointer = this.#next;
    const next = pointer + alignedBytes(bytes);
    if (next > this.sizeBytes) {
      throw new ParetoError({
        code: "ARENA_FULL",
        where: "Arena.allocate",
        message: `the arena has ${this.sizeBytes - pointer} bytes left, got a request for ${bytes}`,
        fix: "Create the arena with room for everything it will hold.",
      });
    }
    this.#next = next;
    return pointer;
  }

  /** The 32-bit signed integers at a pointer, in place. */
  int32At(pointer: number, length: number): Int32Array<SharedArrayBuffer> {
    return this.int32.subarray(pointer / 4, pointer / 4 + length);
  }

  /** The floats at a pointer, in place. */
  float32At(pointer: number, length: number): Float32Array<SharedArrayBuffer> {
    return this.float32.subarray(pointer / 4, pointer / 4 + length);
  }
}
