/**
 * @file The angles that a group of reads turns by on a GPU: one table for all sequences, or where angles depend on how long
 * a sequence is, a table for each length.
 */
import type { CudaDevice, DeviceBuffer } from "../../engine/targets/cuda/index.ts";
import { dependsOnLength, type RotaryConfig } from "../models/rotary.ts";
import { rotaryTable } from "./calls/rotaryTable.ts";
import type { RotaryTables } from "./rotaryTables.ts";

/** A table: `rows` positions from 0 on. */
export interface RotaryRows {
  readonly pointer: number;
  readonly rows: number;
}

/** Tables of the group that is read. */
export class PrefillRotary {
  readonly #device: CudaDevice;
  readonly #rotary: RotaryConfig;
  readonly #shared: RotaryTables;
  readonly #own = new Map<number, DeviceBuffer>();

  constructor(device: CudaDevice, rotary: RotaryConfig, shared: RotaryTables) {
    this.#device = device;
    this.#rotary = rotary;
    this.#shared = shared;
  }

  /** Makes the tables of sequences of some lengths, and drops others. @throws ParetoError CUDA_OUT_OF_MEMORY */
  reserve(lengths: ReadonlySet<number>): void {
    if (!dependsOnLength(this.#rotary)) {
      this.#shared.reserve(Math.max(...lengths) + 1);
      return;
    }
    for (const [length, buffer] of this.#own) {
      if (lengths.has(length)) continue;
      buffer.free();
      this.#own.delete(length);
    }
    for (const length of lengths) {
      if (this.#own.has(length)) continue;
      const table = rotaryTable(this.#rotary, length, length);
      const buffer = this.#device.allocator.allocate(table.byteLength, "rotary positions");
      this.#own.set(length, buffer);
      this.#device.stream.copyToDevice(buffer.pointer, table, table.byteLength);
    }
  }

  /** The table of a sequence of a length that was reserved. */
  of(length: number): RotaryRows {
    if (!dependsOnLength(this.#rotary)) return this.#shared;
    return { pointer: this.#own.get(length)!.pointer, rows: length };
  }

  /** Frees what is its own; what is queued may still use it, as all work is in one stream. */
  dispose(): void {
    for (const buffer of this.#own.values()) buffer.free();
    this.#own.clear();
  }
}
