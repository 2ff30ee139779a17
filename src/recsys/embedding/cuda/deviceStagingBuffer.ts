/**
 * @file One staging place of a store in device memory: page-locked host arrays that lookups are copied from, and where
 * they, their sorted keys, the pooled rows and the gradients lie on the device.
 */
import { DeviceTensor } from "../../../engine/program.ts";
import {
  type CapturedGraph,
  type CudaDevice,
  CudaEvent,
  type DeviceBuffer,
  type LookupShape,
  PinnedBuffer,
  segmentBytes,
  type SegmentPlaces,
} from "../../../engine/targets/cuda/index.ts";

/** The limits of a buffer. */
export interface DeviceStagingBufferShape {
  tables: number;
  dim: number;
  maxBatch: number;
  maxLookups: number;
}

/** A staging place. Everything named as a number is a device address. */
export class DeviceStagingBuffer {
  /** Page-locked, `[maxLookups]`, `[T * maxBatch + 1]` and `[2]`. */
  readonly hostIds: Int32Array;
  readonly hostOffsets: Int32Array;
  readonly hostBad: Int32Array;
  readonly ids: number;
  readonly offsets: number;
  readonly bad: number;
  /** Keys in the order of lookups, and the bags of sorted keys. */
  readonly keys: number;
  readonly sortedBags: number;
  readonly segments: SegmentPlaces<number>;
  readonly rows: DeviceTensor;
  readonly gradients: DeviceTensor;
  readonly guard: DeviceTensor;
  /** The last use of this buffer by the main stream; lookups checked; items found. */
  readonly used: CudaEvent;
  readonly checked: CudaEvent;
  readonly sorted: CudaEvent;
  /** The sort of a full batch of one-id bags, recorded. */
  recorded: CapturedGraph | null = null;
  /** What is staged. */
  batch: LookupShape = { size: 0, lookups: 0, isOneHot: true };
  isStaged = false;
  readonly #pinned: PinnedBuffer;
  readonly #memory: DeviceBuffer;

  constructor(
    device: CudaDevice,
    { tables, dim, maxBatch, maxLookups }: DeviceStagingBufferShape,
    holder: string,
  ) {
    const bags = tables * maxBatch;
    this.#pinned = new PinnedBuffer(device.context, 4 * (maxLookups + bags + 1 + 2));
    this.hostIds = this.#pinned.int32(0, maxLookups);
    this.hostOffsets = this.#pinned.int32(4 * maxLookups, bags + 1);
    this.hostBad = this.#pinned.int32(4 * (maxLookups + bags + 1), 2);
    const segments = segmentBytes(maxLookups);
    const sizes = [
      4 * maxLookups,
      4 * (bags + 1),
      8,
      4 * maxLookups,
      4 * maxLookups,
      4 * bags * dim,
      4 * bags * dim,
      4,
      ...Object.values(segments),
    ];
    const offsets: number[] = [];
    let bytes = 0;
    for (const size of sizes) {
      offsets.push(bytes);
      bytes += Math.ceil(size / 256) * 256;
    }
    try {
      this.#memory = device.allocator.allocate(bytes, holder);
    } catch (error) {
      this.#pinned.dispose();
      throw error;
    }
    const at = offsets.map((offset) => this.#memory.pointer + offset);
    [this.ids, this.offsets, this.bad, this.keys, this.sortedBags] = at as [
      ...[number, number, number, number, number],
    ];
    const tensor = (shape: number[], pointer: number) =>
      new DeviceTensor("cuda", { shape, dtype: "float32" }, pointer);
    this.rows = tensor([maxBatch, tables, dim], at[5]!);
    this.gradients = tensor([maxBatch, tables, dim], at[6]!);
    this.guard = tensor([], at[7]!);
    const names = Object.keys(segments) as (keyof SegmentPlaces<number>)[];
    this.segments = Object.fromEntries(
      names.map((name, i) => [name, at[8 + i]!]),
    ) as unknown as SegmentPlaces<number>;
    this.used = new CudaEvent(device.context);
    this.checked = new CudaEvent(device.context);
    this.sorted = new CudaEvent(device.context);
    device.stream.clear(this.guard.pointer, 4);
    this.used.record(device.stream);
  }

  /** Frees the memory; nothing may use it any more. */
  dispose(): void {
    this.recorded?.dispose();
    for (const event of [this.used, this.checked, this.sorted]) event.dispose();
    this.#memory.free();
    this.#pinned.dispose();
  }
}
