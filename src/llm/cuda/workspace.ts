/** @file Pieces of a GPU's memory that grow with what is asked of them, and lose what they held when they do. */
import type { CudaDevice, DeviceBuffer } from "../../engine/targets/cuda/index.ts";

/** Named pieces. */
export class Workspace<Name extends string> {
  readonly #device: CudaDevice;
  readonly #holder: string;
  readonly #buffers = new Map<Name, DeviceBuffer>();

  /** @param holder who needs them, for the allocator's errors */
  constructor(device: CudaDevice, holder: string) {
    this.#device = device;
    this.#holder = holder;
  }

  /**
   * Makes sure of some bytes of each. What does not fit leaves those that had to move without memory.
   * @returns names of those that have moved; their elements are undefined
   * @throws ParetoError CUDA_OUT_OF_MEMORY
   */
  reserve(bytes: Readonly<Partial<Record<Name, number>>>): Name[] {
    const moved: Name[] = [];
    try {
      for (const [name, size] of Object.entries(bytes) as [Name, number][]) {
        const held = this.#buffers.get(name);
        if (held && held.bytes >= size) continue;
        moved.push(name);
        this.#free(name);
        this.#buffers.set(name, this.#device.allocator.allocate(Math.max(1, size), this.#holder));
      }
    } catch (error) {
      // So that they count as moved when they are reserved again.
      for (const name of moved) this.#free(name);
      throw error;
    }
    return moved;
  }

  /** Address of a piece that is there. */
  at(name: Name): number {
    return this.#buffers.get(name)!.pointer;
  }

  /** Frees all; what is queued may still use it, as all work is in one stream. */
  dispose(): void {
    for (const buffer of this.#buffers.values()) buffer.free();
    this.#buffers.clear();
  }

  #free(name: Name): void {
    this.#buffers.get(name)?.free();
    this.#buffers.delete(name);
  }
}
