/** @file The GPU that is measured, as results name it. */
import { ParetoError } from "../../src/base/errors.ts";
import { driverRelease } from "../../src/engine/doctor/cudaLibraries.ts";
import { CudaContext, formatVersion } from "../../src/engine/targets/cuda/index.ts";

/** The first GPU. */
export interface Gpu {
  name: string;
  computeCapability: string;
  multiprocessors: number;
  memoryBytes: number;
  /** The driver's release, where the system tells, and its CUDA version: `580.65.06, CUDA 13.0`. */
  driver: string;
}

/** Opens the first GPU for an instant. @throws ParetoError as `CudaContext.open` */
export async function describeGpu(): Promise<Gpu> {
  const context = CudaContext.open();
  const { name, computeCapability, multiprocessors, memoryBytes, driverVersion } = context.info;
  context.dispose();
  return {
    name,
    computeCapability: computeCapability.join("."),
    multiprocessors,
    memoryBytes,
    driver: [driverRelease(), `CUDA ${formatVersion(driverVersion)}`]
      .filter((part) => part !== null)
      .join(", "),
  };
}
/** Why nothing can be measured here; null where there is a GPU that works. */
export async function missingGpu(): Promise<ParetoError | null> {
  try {
    await describeGpu();
    return null;
  } catch (error) {
    if (error instanceof ParetoError) return error;
    throw error;
  }
}
