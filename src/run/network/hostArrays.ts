/**
 * @file Host arrays that are fed to programs, or read from them, again and again. On the CPU they lie in shared memory,
 * where a device's threads read and write them in place; on a GPU in page-locked memory, which is copied while this
 * thread goes on.
 */
import type { Shape } from "../../base/shape.ts";
import { sizeOf } from "../../base/shape.ts";
import type { Device } from "../../engine/program.ts";
import { alignedBytes, Arena } from "../../engine/targets/cpu/index.ts";

/** Element type and shape of an array. */
export interface HostArraySpec {
  dtype: "float32" | "int32";
  shape: Shape;
}

/** Arrays by name, as their specs say. */
export type HostArrays<Specs extends Record<string, HostArraySpec>> = {
  [Name in keyof Specs]: Specs[Name]["dtype"] extends "int32"
    ? Int32Array<SharedArrayBuffer>
    : Float32Array<SharedArrayBuffer>;
};

const ELEMENT_BYTES = 4;

/** Arrays of zeros, side by side in one memory. */
export function hostArrays<const Specs extends Record<string, HostArraySpec>>(
  device: Device,
  specs: Specs,
): HostArrays<Specs> {
  const entries = Object.entries(specs);
  const bytesOf = ({ shape }: HostArraySpec) => alignedBytes(ELEMENT_BYTES * sizeOf(shape));
  const total = entries.reduce((sum, [, spec]) => sum + bytesOf(spec), 0);
  const buffer = device.pin ? pinnedMemory(device, total) : new SharedArrayBuffer(total);
  let offset = buffer.byteLength - total;
  const arrays = entries.map(([name, spec]) => {
    const length = sizeOf(spec.shape);
    const array =
      spec.dtype === "int32"
        ? new Int32Array(buffer, offset, length)
        : new Float32Array(buffer, offset, length);
    offset += bytesOf(spec);
    return [name, array] as const;
  });
  return Object.fromEntries(arrays) as unknown as HostArrays<Specs>;
}

/** Memory whose pages hold nothing else, which page-locking needs; its last bytes are for use. */
function pinnedMemory(device: Device, bytes: number): SharedArrayBuffer {
  const arena = new Arena(bytes);
  device.pin!(arena.bytes);
  return arena.bytes.buffer;
}
