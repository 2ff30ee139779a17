/** @file The targets that are tested against `reference`, and how a missing one shows. */
import { openDevice } from "../../../src/engine/openDevice.ts";
import type { Device } from "../../../src/engine/program.ts";
import { isCudaAbsent } from "../../../src/engine/targets/cuda/driver/errors.ts";

/** Targets to test. */
export const devices = ["cpu", "cuda"] as const;

/** Whether a target computes with 16-bit floats. */
export function hasHalf(name: string): boolean {
  return name !== "cpu";
}

/** Opens a device, or says why this machine or build has none. */
export async function tryOpenDevice(name: string): Promise<Device | { missing: string }> {
  try {
    return await openDevice(name, { threads: 2 });
  } catch (error) {
    if (isCudaAbsent(error)) return { missing: (error as Error).message };
    throw error;
  }
}
