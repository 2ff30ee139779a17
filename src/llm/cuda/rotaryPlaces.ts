/** @file The angles of a model's rotation in a GPU's memory, for as many positions as texts have come to. */
import type { CudaDevice } from "../../engine/targets/cuda/cudaDevice.ts";
import type { DeviceBuffer } from "../../engine/targets/cuda/memory/deviceAllocator.ts";
import type { RotaryConfig } from "../models/rotary.ts";
import { rotaryTable } from "./calls/rotaryTable.ts";

/** Positions that a table begins with. */
const ROWS_MIN = 4096;

/** A table that grows. */
export class RotaryPlaces {
  readonly #device: CudaDevice;
  readonly #rotary: RotaryConfig;
  #buffer: DeviceBuffer | undefined;
  #rows = 0;

  constructor(device: CudaDevice, rotary: RotaryConfig) {
    this.#device = device;
    this.#rotary = rotary;
  }

  /** Address of the table. */
  get pointer(): number {
    return this.#buffer?.pointer ?? 0;
  }

  /** Positions in it. */
  get rows(): number {
    return this.#rows;
  }

  /** Makes sure of so many positions. @returns whether the table has moved */
  reserve(rows: number): boolean {
    if (rows <= this.#rows) return false;
    this.#rows = Math.max(ROWS_MIN, 2 ** Math.ceil(Math.log2(rows)));
    const table = rotaryTable(this.#rotary, this.#rows);
    this.#buffer?.free();
    this.#buffer = this.#device.allocator.allocate(table.byteLength, "rotary positions");
    this.#device.stream.copyToDevice(this.#buffer.pointer, table, table.byteLength);
    return true;
  }

  dispose(): void {
    this.#buffer?.free();
    this.#buffer = undefined;
  }
}
