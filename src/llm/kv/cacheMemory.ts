/** @file Where a layer's cache lies: memory of the host's own, or memory that kernels share. */

/** A piece of memory, a multiple of 16 bytes from its start. */
export interface MemoryBlock {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  readonly byteOffset: number;
}

/** Gives and takes back blocks. */
export interface CacheMemory {
  /** At least so many bytes; what they hold is undefined. */
  allocate(sizeBytes: number): MemoryBlock;
  free(block: MemoryBlock): void;
}

/** The garbage collector's. */
export const hostMemory: CacheMemory = {
  allocate: (sizeBytes) => ({ buffer: new ArrayBuffer(sizeBytes), byteOffset: 0 }),
  free: () => {},
};
