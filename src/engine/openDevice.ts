/** @file The one way to a device: by target name. A target's code loads only when it is asked for. */
import { ParetoError } from "../base/errors.ts";
import type { Device, Precision, TargetName } from "./program.ts";

/** How a device is set up. */
export interface DeviceOptions {
  /** Threads that compute; the target chooses when left out. The reference target always uses one. */
  threads?: number;
  /**
   * Whether `cpu` gives the memory of a run's intermediate tensors back when the run ends, rather than keep it for the
   * next run. Training is slower so, by a third; small predictions are not. Defaults to false.
   */
  returnsMemory?: boolean;
  /** How `cuda` multiplies float32 matrices; `tf32` is faster and keeps 10 bits of mantissa. Defaults to `float32`. */
  precision?: Precision;
}

type Open = (options: DeviceOptions) => Promise<Device>;

const targets: Record<TargetName, Open> = {
  reference: async () => new (await import("./targets/reference/device.ts")).ReferenceDevice(),
  cpu: async (options) => new (await import("./targets/cpu/index.ts")).CpuDevice(options),
  cuda: async (options) => (await import("./targets/cuda/index.ts")).CudaDevice.open(options),
};

/**
 * Opens a device.
 * @param name a target, e.g. `reference`
 * @throws ParetoError `TARGET_UNKNOWN`
 */
export async function openDevice(name: string, options: DeviceOptions = {}): Promise<Device> {
  const open = Object.hasOwn(targets, name) ? targets[name as TargetName] : undefined;
  if (!open) {
    throw new ParetoError({
      code: "TARGET_UNKNOWN",
      where: "openDevice",
      message: `openDevice: no target has this name, got "${name}"`,
      fix: `Use one of: ${Object.keys(targets).join(", ")}.`,
    });
  }
  return open(options);
}
