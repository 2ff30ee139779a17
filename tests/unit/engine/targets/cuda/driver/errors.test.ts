/** @file What result codes of the CUDA libraries become. */
import { describe, expect, test } from "vitest";
import { ParetoError } from "../../../../../../src/base/errors.ts";
import {
  checkFreed,
  cudaError,
  isCudaAbsent,
} from "../../../../../../src/engine/targets/cuda/driver/errors.ts";

describe("a result code", () => {
  test.each([
    ["driver", 2, "CUDA_OUT_OF_MEMORY", "CUDA_ERROR_OUT_OF_MEMORY"],
    ["driver", 34, "CUDA_DRIVER_MISSING", "CUDA_ERROR_STUB_LIBRARY"],
    ["driver", 100, "CUDA_NO_DEVICE", "CUDA_ERROR_NO_DEVICE"],
    ["driver", 209, "CUDA_VERSION", "CUDA_ERROR_NO_BINARY_FOR_GPU"],
    ["driver", 803, "CUDA_VERSION", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"],
    ["driver", 701, "CUDA_LAUNCH", "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"],
    ["driver", 700, "CUDA_ILLEGAL_ADDRESS", "CUDA_ERROR_ILLEGAL_ADDRESS"],
    ["driver", 716, "CUDA_ILLEGAL_ADDRESS", "CUDA_ERROR_MISALIGNED_ADDRESS"],
    ["driver", 1, "CUDA_FAILED", "CUDA_ERROR_INVALID_VALUE"],
    ["driver", 12_345, "CUDA_FAILED", "driver result 12345"],
    ["nvrtc", 6, "CUDA_COMPILE", "NVRTC_ERROR_COMPILATION"],
    ["nvrtc", 5, "CUDA_FAILED", "NVRTC_ERROR_INVALID_OPTION"],
    ["cublas", 3, "CUDA_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED"],
    ["cublas", 15, "CUDA_FAILED", "CUBLAS_STATUS_NOT_SUPPORTED"],
  ] as const)("%s %i becomes %s and is named", (library, status, code, name) => {
    const error = cudaError(library, status, "cuSomething", "Stream.launch");
    expect(error.code).toBe(code);
    expect(error.where).toBe("Stream.launch");
    expect(error.message).toBe(`Stream.launch: cuSomething failed, got ${name}`);
    expect(error.fix).toMatch(/\.$/);
  });

  test("after a fault of a kernel asks for a new process, and freeing goes through", () => {
    expect(cudaError("driver", 700, "cuEventQuery").fix).toContain("new process");
    expect(() => checkFreed(700, "cuMemFree")).not.toThrow();
    expect(() => checkFreed(1, "cuMemFree")).toThrow(ParetoError);
  });

  test("says whether this machine has CUDA at all", () => {
    expect(isCudaAbsent(cudaError("driver", 100, "cuInit"))).toBe(true);
    expect(isCudaAbsent(cudaError("driver", 34, "cuInit"))).toBe(true);
    expect(isCudaAbsent(cudaError("driver", 700, "cuEventQuery"))).toBe(false);
    expect(isCudaAbsent(new Error("CUDA_NO_DEVICE"))).toBe(false);
  });
});
