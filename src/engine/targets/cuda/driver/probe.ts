/**
 * @file What a diagnosis asks of CUDA's libraries: whether there is a GPU, where each library was found and in which
 * version, and whether the compiler compiles. Each question stands alone, so that the first thing missing is named.
 */
import { ParetoError } from "../../../../base/errors.ts";
import { CudaContext } from "./context.ts";
import { bind } from "./koffi.ts";
import { openLibrary } from "./libraries.ts";
import { Nvrtc } from "./nvrtc.ts";

/** A library as it was found. */
export interface FoundLibrary {
  /** A path, or a name that the system's loader knows. */
  readonly path: string;
  /** E.g. `13.0`. */
  readonly version: string;
}

/** Why this machine has no GPU that can be used; null when it has one. */
export function missingGpu(): ParetoError | null {
  try {
    CudaContext.open().dispose();
    return null;
  } catch (error) {
    if (error instanceof ParetoError) return error;
    throw error;
  }
}

/** Where the driver's library was found. @throws ParetoError `CUDA_DRIVER_MISSING`, `CUDA_LIBRARY_MISSING` without koffi */
export function findDriver(): string {
  return openLibrary("cuda").path;
}

/**
 * NVRTC, CUDA's compiler.
 * @param driverMajor CUDA's major version of the driver; without it any version is taken
 * @throws ParetoError `CUDA_LIBRARY_MISSING`, `CUDA_VERSION`
 */
export function findNvrtc(driverMajor?: number): FoundLibrary {
  const { path, version } = Nvrtc.open(driverMajor);
  return { path, version };
}

/**
 * cuBLASLt, which multiplies matrices.
 * @param driverMajor as for {@link findNvrtc}
 * @throws ParetoError `CUDA_LIBRARY_MISSING`, `CUDA_VERSION`
 */
export function findCublasLt(driverMajor?: number): FoundLibrary {
  const { handle, path } = openLibrary("cublasLt", driverMajor);
  const { cublasLtGetVersion } = bind<{ cublasLtGetVersion(): number }>(handle, {
    cublasLtGetVersion: "size_t cublasLtGetVersion(void)",
  });
  // 10000 · major + 100 · minor + patch
  const version = Number(cublasLtGetVersion());
  const parts = [Math.floor(version / 10_000), Math.floor(version / 100) % 100, version % 100];
  return { path, version: parts.join(".") };
}

/**
 * Compiles a small kernel that no cache holds.
 * @param arch e.g. `sm_90a`
 * @param driverMajor as for {@link findNvrtc}
 * @returns bytes of machine code
 * @throws ParetoError `CUDA_COMPILE`, and as {@link findNvrtc}
 */
export async function compileProbe(arch: string, driverMajor?: number): Promise<number> {
  const name = "probe";
  const code = `extern "C" __global__ void ${name}(float *y) { y[threadIdx.x] = ${Date.now()}.0f; }\n`;
  const cubin = await Nvrtc.open(driverMajor).compile({ name, code }, arch);
  return cubin.length;
}
