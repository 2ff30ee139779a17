/** @file Pieces of a GPU's memory that grow with what is asked of them, and lose what they held when they do. */
import type { CudaDevice } from "../../engine/targets/cuda/cudaDevice.ts";
import type { DeviceBuffer } from "../../engine/targets/cuda/memory/deviceAllocator.ts";

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

  /** Makes sure of some bytes of each. @returns names of those that have moved; their elements are undefined */
  reserve(bytes: Readonly<Partial<Record<Name, number>>>): Name[] {
    const moved: Name[] = [];
    for (const [name, size] of Object.entries(bytes) as [Name, number][]) {
      const held = this.#buffers.get(name);
      if (held && held.bytes >= size) continue;
      held?.free();
      this.#buffers.delete(name);
      this.#buffers.set(name, this.#device.allocator.allocate(Math.max(1, size), this.#holder));
      moved.push(name);
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
}
