/**
 * @file A GPU that is open: the driver's functions, the device's primary context, current on this thread, and what
 * the device can do.
 *
 * All calls of one process must come from the thread that opened the context, and go to one GPU. Libraries such as cuBLASLt use the
 * same primary context.
 */
import { ParetoError } from "../../../../base/errors.ts";
import { driverLibrary, type DriverLibrary } from "./driverLibrary.ts";
import { checkDriver, checkFreed } from "./errors.ts";
import { OutWord } from "./koffi.ts";
import { closed, opened } from "./liveObjects.ts";

/** What a GPU is. */
export interface CudaDeviceInfo {
  readonly name: string;
  readonly computeCapability: readonly [major: number, minor: number];
  /** The architecture to compile for, e.g. `sm_80`; with the features of one generation only where there are: `sm_90a`. */
  readonly arch: string;
  readonly multiprocessors: number;
  readonly memoryBytes: number;
  /** Shared memory that a block can ask for. */
  readonly maxSharedBytes: number;
  readonly l2Bytes: number;
  /** CUDA version of the driver: 1000 · major + 10 · minor. */
  readonly driverVersion: number;
  readonly clockKhz: number;
  readonly memoryClockKhz: number;
  readonly memoryBusBits: number;
}

/** `CUdevice_attribute` of cuda.h. */
const attribute = {
  clockKhz: 13,
  multiprocessors: 16,
  memoryClockKhz: 36,
  memoryBusBits: 37,
  l2Bytes: 38,
  major: 75,
  minor: 76,
  maxSharedBytes: 97,
} as const;

const oldestDriver = 12_000;

/** An open GPU. */
export class CudaContext {
  /** The driver's functions. */
  readonly driver: DriverLibrary;
  readonly info: CudaDeviceInfo;
  readonly #device: number;
  #disposed = false;

  private constructor(driver: DriverLibrary, device: number, info: CudaDeviceInfo) {
    this.driver = driver;
    this.#device = device;
    this.info = info;
    const context = new OutWord();
    checkDriver(
      driver.cuDevicePrimaryCtxRetain(context.place, device),
      "cuDevicePrimaryCtxRetain",
      "CudaContext.open",
    );
    opened("context");
    checkDriver(driver.cuCtxSetCurrent(context.value), "cuCtxSetCurrent", "CudaContext.open");
  }

  /**
   * Opens a GPU.
   * @param ordinal its place among the visible GPUs
   * @throws ParetoError `CUDA_DRIVER_MISSING`, `CUDA_LIBRARY_MISSING` without koffi, `CUDA_VERSION` for a driver older
   * than CUDA 12, `CUDA_NO_DEVICE`
   */
  static open(ordinal = 0): CudaContext {
    const where = "CudaContext.open";
    const driver = driverLibrary();
    checkDriver(driver.cuInit(0), "cuInit", where);
    const word = new Int32Array(1);
    checkDriver(driver.cuDriverGetVersion(word), "cuDriverGetVersion", where);
    const driverVersion = word[0]!;
    if (driverVersion < oldestDriver) {
      throw new ParetoError({
        code: "CUDA_VERSION",
        where,
        message: `${where}: the NVIDIA driver must be for CUDA 12 or later, got CUDA ${formatVersion(driverVersion)}`,
        fix: "Update the NVIDIA driver.",
      });
    }
    checkDriver(driver.cuDeviceGetCount(word), "cuDeviceGetCount", where);
    const count = word[0]!;
    if (!Number.isInteger(ordinal) || ordinal < 0 || ordinal >= count) {
      throw new ParetoError({
        code: "CUDA_NO_DEVICE",
        where,
        message: `${where}: ${count} GPUs are visible, got ordinal ${ordinal}`,
        fix:
          count === 0
            ? "Check that nvidia-smi lists a GPU and that CUDA_VISIBLE_DEVICES does not hide it."
            : `Use an ordinal from 0 to ${count - 1}.`,
      });
    }
    checkDriver(driver.cuDeviceGet(word, ordinal), "cuDeviceGet", where);
    const device = word[0]!;
    return new CudaContext(driver, device, describe(driver, device, driverVersion));
  }

  /** Device memory, of all processes. */
  memory(): { freeBytes: number; totalBytes: number } {
    const free = new OutWord();
    const total = new OutWord();
    checkDriver(this.driver.cuMemGetInfo_v2(free.place, total.place), "cuMemGetInfo", "CudaContext.memory");
    return { freeBytes: free.value, totalBytes: total.value };
  }

  /** Waits, blocking this thread, for all work of the context. */
  synchronize(): void {
    checkDriver(this.driver.cuCtxSynchronize(), "cuCtxSynchronize", "CudaContext.synchronize");
  }

  /** Lets go of the GPU. What was made in the context must be disposed of before. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    closed("context");
    checkFreed(this.driver.cuDevicePrimaryCtxRelease_v2(this.#device), "cuDevicePrimaryCtxRelease");
  }
}

/** A CUDA version as people write it, e.g. `13.0`. */
export function formatVersion(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
}

function describe(driver: DriverLibrary, device: number, driverVersion: number): CudaDeviceInfo {
  const where = "CudaContext.open";
  const word = new Int32Array(1);
  const read = (name: keyof typeof attribute): number => {
    checkDriver(driver.cuDeviceGetAttribute(word, attribute[name], device), "cuDeviceGetAttribute", where);
    return word[0]!;
  };
  const name = Buffer.alloc(256);
  checkDriver(driver.cuDeviceGetName(name, name.length, device), "cuDeviceGetName", where);
  const memory = new OutWord();
  checkDriver(driver.cuDeviceTotalMem_v2(memory.place, device), "cuDeviceTotalMem", where);
  const [major, minor] = [read("major"), read("minor")];
  return {
    name: name.toString("utf8", 0, name.indexOf(0)),
    computeCapability: [major, minor],
    arch: architecture(major, minor),
    multiprocessors: read("multiprocessors"),
    memoryBytes: memory.value,
    maxSharedBytes: read("maxSharedBytes"),
    l2Bytes: read("l2Bytes"),
    driverVersion,
    clockKhz: read("clockKhz"),
    memoryClockKhz: read("memoryClockKhz"),
    memoryBusBits: read("memoryBusBits"),
  };
}

/** `sm_90a` has Hopper's tensor-core instructions, which `sm_90` lacks. */
function architecture(major: number, minor: number): string {
  return `sm_${major}${minor}${major === 9 && minor === 0 ? "a" : ""}`;
}
