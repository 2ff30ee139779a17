/**
 * @file From a result code of the driver, NVRTC or cuBLAS to an error that says what happened and what to do.
 *
 * A fault of a kernel poisons its context for the rest of the process (CUDA's rule); every other failure leaves
 * the device usable.
 */
import { ParetoError } from "../../../../base/errors.ts";
import { resultNames } from "./resultNames.ts";

/** Libraries whose result codes are known. */
export type Library = keyof typeof resultNames;

/** Driver results that callers act on. */
export const driverResult = {
  success: 0,
  outOfMemory: 2,
  invalidContext: 201,
  notReady: 600,
  alreadyRegistered: 712,
} as const;

/** Codes of errors that say: this machine has no such target. */
const absenceCodes: ReadonlySet<string> = new Set([
  "CUDA_DRIVER_MISSING",
  "CUDA_NO_DEVICE",
  "CUDA_LIBRARY_MISSING",
]);

/** Faults of a kernel: no call on the context succeeds after one of these. */
const faults = new Set([700, 702, 709, 710, 714, 715, 716, 717, 718, 719]);

const launchFailures = new Set([701, 720, 912]);
const driverTooOld = new Set([36, 222, 227, 803, 804]);
/** The process is ending, or the context is gone already: what was to be freed is freed. */
const goneAlready = new Set([4, 201, 709]);

interface Meaning {
  code: string;
  fix: string;
}

function meaningOf(library: Library, status: number): Meaning {
  if (library === "driver") {
    if (status === 2) {
      return {
        code: "CUDA_OUT_OF_MEMORY",
        fix: "Use a smaller batch (of tables: placement hybrid; of sequences: fewer of them or a smaller budget), or end other processes on this GPU (nvidia-smi lists them).",
      };
    }
    if (status === 100 || status === 101 || status === 46) {
      return {
        code: "CUDA_NO_DEVICE",
        fix: "Check that nvidia-smi lists a GPU and that CUDA_VISIBLE_DEVICES does not hide it.",
      };
    }
    if (status === 34) {
      return { code: "CUDA_DRIVER_MISSING", fix: "Remove the folder of CUDA stubs from LD_LIBRARY_PATH." };
    }
    if (faults.has(status)) {
      return {
        code: "CUDA_ILLEGAL_ADDRESS",
        fix: "Open a new process: CUDA accepts no more work in this one. If it happens again, report the graph.",
      };
    }
    if (launchFailures.has(status)) {
      return {
        code: "CUDA_LAUNCH",
        fix: "Report the graph: a kernel asks for more than this GPU offers a block.",
      };
    }
    if (driverTooOld.has(status)) {
      return { code: "CUDA_VERSION", fix: "Update the NVIDIA driver to one for CUDA 12 or later." };
    }
    if (status === 209 || status === 200) {
      return {
        code: "CUDA_VERSION",
        fix: "Install an NVRTC that is no newer than the driver, and clear the kernel cache.",
      };
    }
  }
  if (library === "nvrtc" && status === 6) {
    return { code: "CUDA_COMPILE", fix: "Report the graph: generated source must compile." };
  }
  if (library === "cublas" && status === 3) {
    return { code: "CUDA_OUT_OF_MEMORY", fix: "Use a smaller batch, or end other processes on this GPU." };
  }
  if (library === "cublas" && status === 15) {
    return {
      code: "CUDA_FAILED",
      fix: "Use element types and alignments that cuBLASLt multiplies on this GPU.",
    };
  }
  return {
    code: "CUDA_FAILED",
    fix: "Run pareto doctor --device cuda, and report its output with this message.",
  };
}

/** The name of a result, e.g. `CUDA_ERROR_INVALID_VALUE`. */
function resultName(library: Library, status: number): string {
  return resultNames[library][status] ?? `${library} result ${status}`;
}

/** The error for a result. `where` is what the caller was doing, `call` the function that failed. */
export function cudaError(library: Library, status: number, call: string, where = "cuda"): ParetoError {
  const { code, fix } = meaningOf(library, status);
  return new ParetoError({
    code,
    where,
    message: `${where}: ${call} failed, got ${resultName(library, status)}`,
    fix,
  });
}

/** @throws ParetoError when a call of the driver failed */
export function checkDriver(status: number, call: string, where?: string): void {
  if (status !== 0) throw cudaError("driver", status, call, where);
}

/** @throws ParetoError when a call of cuBLAS or cuBLASLt failed */
export function checkCublas(status: number, call: string, where?: string): void {
  if (status !== 0) throw cudaError("cublas", status, call, where);
}

/** Like checkDriver for calls that free: after a fault, or with the context gone, there is nothing left to free. */
export function checkFreed(status: number, call: string): void {
  if (status !== 0 && !faults.has(status) && !goneAlready.has(status))
    throw cudaError("driver", status, call);
}

/** Whether an error says that this machine lacks a GPU, its driver or the CUDA libraries. */
export function isCudaAbsent(error: unknown): error is ParetoError {
  return error instanceof ParetoError && absenceCodes.has(error.code);
}
