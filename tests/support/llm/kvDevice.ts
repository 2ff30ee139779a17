/** @file Device memory and launches for tests of the kernels over caches. */
import type { TypedArray } from "../../../src/base/dtype.ts";
import {
  type CudaDevice,
  type DeviceBuffer,
  type KernelCall,
  packArguments,
} from "../../../src/engine/targets/cuda/index.ts";
import type { CopiedEntries } from "../../../src/llm/cuda/calls/copiedLayer.ts";
import { type KvShape, SLAB_WORDS, slabLayout } from "../../../src/llm/cuda/calls/buffers.ts";

/** A slab in device memory. */
export interface DeviceSlab {
  address: number;
  capacity: number;
}

/** What a slab holds of one KV head, by position. */
export interface HeadEntries {
  positions: number[];
  scores: number[];
}

/** Memory and launches of one test. */
export class KvDevice {
  readonly #device: CudaDevice;
  readonly #buffers: DeviceBuffer[] = [];

  constructor(device: CudaDevice) {
    this.#device = device;
  }

  /** Zeroed memory. */
  zeros(bytes: number): number {
    const buffer = this.#device.allocator.allocate(bytes, "test");
    this.#buffers.push(buffer);
    this.#device.stream.clear(buffer.pointer, bytes);
    return buffer.pointer;
  }

  upload(values: TypedArray | Uint32Array): number {
    const address = this.zeros(Math.max(4, values.byteLength));
    this.write(address, values);
    return address;
  }

  write(address: number, values: TypedArray | Uint32Array): void {
    if (values.byteLength > 0) this.#device.stream.copyToDevice(address, values, values.byteLength);
  }

  copy(to: DeviceSlab, from: DeviceSlab, shape: KvShape): void {
    this.#device.stream.copyOnDevice(to.address, from.address, slabLayout(shape, from.capacity).bytes);
  }

  read<T extends TypedArray>(into: T, address: number): T {
    this.#device.stream.synchronize();
    this.#device.stream.copyToHost(into, address, into.byteLength);
    this.#device.stream.synchronize();
    return into;
  }

  async launch(...calls: KernelCall<number>[]): Promise<void> {
    const kernels = await this.#device.kernels(calls.map(({ source }) => source));
    for (const [i, { grid, block, arguments: list }] of calls.entries()) {
      const values = list.map((argument) =>
        argument.kind === "buffer" ? { kind: "pointer" as const, value: argument.place } : argument,
      );
      this.#device.stream.launch(kernels[i]!, grid, block, 0, packArguments(values));
    }
  }

  slab(shape: KvShape, capacity: number): DeviceSlab {
    return { address: this.zeros(slabLayout(shape, capacity).bytes), capacity };
  }

  /** What a slab holds, in order of slot. @param rows new tokens that its lengths do not count */
  copied(shape: KvShape, layer: number, { address, capacity }: DeviceSlab, rows = 0): CopiedEntries {
    const layout = slabLayout(shape, capacity);
    const lengths = this.read(new Int32Array(shape.kvHeads), address + layout.lengths.offsetBytes);
    const size = shape.kvHeads * capacity;
    const positions = this.read(new Int32Array(size), address + layout.positions.offsetBytes);
    const scores = this.read(new Float32Array(size), address + layout.scores.offsetBytes);
    return { layer, capacity, lengths: lengths.map((length) => length + rows), positions, scores };
  }

  /** Entries of a slab's KV heads, in order of position. */
  entries(shape: KvShape, slab: DeviceSlab): HeadEntries[] {
    const { lengths, positions, scores, capacity } = this.copied(shape, 0, slab);
    return Array.from(lengths, (length, head) => {
      const slots = Array.from({ length }, (_, slot) => head * capacity + slot);
      slots.sort((a, b) => positions[a]! - positions[b]!);
      return {
        positions: slots.map((slot) => positions[slot]!),
        scores: slots.map((slot) => scores[slot]!),
      };
    });
  }

  free(): void {
    this.#device.stream.synchronize();
    for (const buffer of this.#buffers) buffer.free();
    this.#buffers.length = 0;
  }
}

/** The words of a table of slabs `[layers, sequences]`. */
export function slabTable(slabs: readonly DeviceSlab[]): Uint32Array {
  const words = new Uint32Array(slabs.length * SLAB_WORDS);
  for (const [i, { address, capacity }] of slabs.entries()) {
    words.set([address % 2 ** 32, Math.floor(address / 2 ** 32), capacity], i * SLAB_WORDS);
  }
  return words;
}
