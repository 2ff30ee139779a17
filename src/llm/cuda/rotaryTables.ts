/** @file The angles of a model's rotation in a GPU's memory, for as many positions as sequences have come to. */
import type { CudaDevice, DeviceBuffer } from "../../engine/targets/cuda/index.ts";
import { ParetoError } from "../../base/errors.ts";
import { type RotaryConfig, steadyLength } from "../models/rotary.ts";
import { rotaryTable } from "./calls/rotaryTable.ts";

/** Positions that a table begins with. */
const ROWS_MIN = 4096;

/** A table that grows. */
export class RotaryTables {
  readonly #device: CudaDevice;
  readonly #rotary: RotaryConfig;
  #buffer: DeviceBuffer | undefined;
  #rows = 0;
  /** Grows whenever the table moves, which outdates what was recorded. */
  version = 0;

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

  /** Makes sure of so many positions. @throws ParetoError CUDA_OUT_OF_MEMORY */
  reserve(rows: number): void {
    if (rows <= this.#rows) return;
    const wanted = Math.max(ROWS_MIN, 2 ** Math.ceil(Math.log2(rows)));
    const table = rotaryTable(this.#rotary, wanted);
    this.dispose();
    this.#buffer = this.#device.allocator.allocate(table.byteLength, "rotary positions");
    this.#device.stream.copyToDevice(this.#buffer.pointer, table, table.byteLength);
    this.#rows = wanted;
    this.version++;
  }

  dispose(): void {
    this.#buffer?.free();
    this.#buffer = undefined;
    this.#rows = 0;
  }
}

/**
 * Steps turn entries that are numbered anew by one table for all lengths.
 * @param entries that a head may hold
 * @throws ParetoError LLM_POSITIONS for more than those whose angles do not change with the length
 */
export function requireSteady(rotary: RotaryConfig, entries: number): void {
  const most = steadyLength(rotary);
  if (entries <= most) return;
  throw new ParetoError({
    code: "LLM_POSITIONS",
    where: "CudaRunner.read",
    message: `this model's angles change with the length beyond ${most} tokens, so cuda numbers at most so many entries anew, got ${entries}`,
    fix: "Take a smaller budget, keep original positions, or compute on the device cpu.",
  });
}
