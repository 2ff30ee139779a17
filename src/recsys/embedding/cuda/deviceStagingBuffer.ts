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
import { paddedSize, paddingStep } from "../partPadding.ts";
import { partOf } from "../stagingBuffer.ts";

/** The limits of a buffer. */
export interface DeviceStagingBufferShape {
  tables: number;
  dim: number;
  maxBatch: number;
  maxLookups: number;
}

const floats = (shape: number[], pointer: number) =>
  new DeviceTensor("cuda", { shape, dtype: "float32" }, pointer);

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
  /** `[B, T, D]`, and room for the padding of a last part. */
  readonly rows: number;
  readonly gradients: number;
  readonly guard: DeviceTensor;
  /** The last use of this buffer by the main stream; lookups checked; items found. */
  readonly used: CudaEvent;
  readonly checked: CudaEvent;
  readonly sorted: CudaEvent;
  /** The sort of a full batch of one-id bags, recorded. */
  recorded: CapturedGraph | null = null;
  /** What is staged. */
  batch: LookupShape = { size: 0, lookups: 0, isOneHot: true };
  /** First input of each part, and the end. */
  starts: number[] = [0, 0];
  isStaged = false;
  readonly #shape: [maxBatch: number, tables: number, dim: number];
  readonly #pinned: PinnedBuffer;
  readonly #memory: DeviceBuffer;

  constructor(
    device: CudaDevice,
    { tables, dim, maxBatch, maxLookups }: DeviceStagingBufferShape,
    holder: string,
  ) {
    const bags = tables * maxBatch;
    // A last part begins late and is padded, so its program reads past the batch's end.
    const pooled = (maxBatch + paddingStep(maxBatch)) * tables * dim;
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
      4 * pooled,
      4 * pooled,
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
    this.rows = at[5]!;
    this.gradients = at[6]!;
    this.guard = floats([], at[7]!);
    this.#shape = [maxBatch, tables, dim];
    const names = Object.keys(segments) as (keyof SegmentPlaces<number>)[];
    this.segments = Object.fromEntries(
      names.map((name, i) => [name, at[8 + i]!]),
    ) as unknown as SegmentPlaces<number>;
    this.used = new CudaEvent(device.context);
    this.checked = new CudaEvent(device.context);
    this.sorted = new CudaEvent(device.context);
    device.stream.clear(this.guard.pointer, 4);
    // What no gather writes must be finite.
    for (const pointer of [this.rows, this.gradients]) device.stream.clear(pointer, 4 * pooled);
    this.used.record(device.stream);
  }

  /** Rows or gradients of a part and of its padding, `[paddedSize, T, D]`. @throws ParetoError PART_INVALID */
  part(what: "rows" | "gradients", part: number): DeviceTensor {
    const { from, size } = partOf(this.starts, part);
    const [maxBatch, tables, dim] = this.#shape;
    const inputs = paddedSize(size, this.starts.length - 1, maxBatch);
    return floats([inputs, tables, dim], this[what] + 4 * from * tables * dim);
  }

  /** Frees the memory; nothing may use it any more. */
  dispose(): void {
    this.recorded?.dispose();
    for (const event of [this.used, this.checked, this.sorted]) event.dispose();
    this.#memory.free();
    this.#pinned.dispose();
  }
}
