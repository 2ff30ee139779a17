/** @file The functions of cuBLASLt that are used, typed. Each returns a `cublasStatus_t`. */
import type { CudaContext } from "./context.ts";
import type { Memory } from "./driverLibrary.ts";
import { bind, type Prototypes } from "./koffi.ts";
import { openLibrary } from "./libraries.ts";

/** libcublasLt. */
export interface CublasLtLibrary {
  cublasLtGetVersion(): number;
  cublasLtCreate(outHandle: Memory): number;
  cublasLtDestroy(handle: number): number;
  cublasLtMatmulDescCreate(outDescriptor: Memory, computeType: number, scaleType: number): number;
  cublasLtMatmulDescSetAttribute(descriptor: number, attribute: number, value: Memory, bytes: number): number;
  cublasLtMatmulDescDestroy(descriptor: number): number;
  cublasLtMatrixLayoutCreate(
    outLayout: Memory,
    type: number,
    rows: number,
    columns: number,
    leading: number,
  ): number;
  cublasLtMatrixLayoutSetAttribute(layout: number, attribute: number, value: Memory, bytes: number): number;
  cublasLtMatrixLayoutDestroy(layout: number): number;
  cublasLtMatmulPreferenceCreate(outPreference: Memory): number;
  cublasLtMatmulPreferenceSetAttribute(
    preference: number,
    attribute: number,
    value: Memory,
    bytes: number,
  ): number;
  cublasLtMatmulPreferenceDestroy(preference: number): number;
  cublasLtMatmulAlgoGetHeuristic(
    handle: number,
    descriptor: number,
    first: number,
    second: number,
    addend: number,
    out: number,
    preference: number,
    wanted: number,
    results: Memory,
    outCountInt: Memory,
  ): number;
  cublasLtMatmul(
    handle: number,
    descriptor: number,
    alpha: number,
    first: number,
    firstLayout: number,
    second: number,
    secondLayout: number,
    beta: number,
    addend: number,
    addendLayout: number,
    out: number,
    outLayout: number,
    algorithm: number,
    workspace: number,
    workspaceBytes: number,
    stream: number,
  ): number;
}

const prototypes: Prototypes<CublasLtLibrary> = {
  cublasLtGetVersion: "size_t cublasLtGetVersion()",
  cublasLtCreate: "int cublasLtCreate(void *handle)",
  cublasLtDestroy: "int cublasLtDestroy(uintptr_t handle)",
  cublasLtMatmulDescCreate: "int cublasLtMatmulDescCreate(void *descriptor, int computeType, int scaleType)",
  cublasLtMatmulDescSetAttribute:
    "int cublasLtMatmulDescSetAttribute(uintptr_t descriptor, int attribute, void *value, size_t bytes)",
  cublasLtMatmulDescDestroy: "int cublasLtMatmulDescDestroy(uintptr_t descriptor)",
  cublasLtMatrixLayoutCreate:
    "int cublasLtMatrixLayoutCreate(void *layout, int type, uint64_t rows, uint64_t columns, int64_t leading)",
  cublasLtMatrixLayoutSetAttribute:
    "int cublasLtMatrixLayoutSetAttribute(uintptr_t layout, int attribute, void *value, size_t bytes)",
  cublasLtMatrixLayoutDestroy: "int cublasLtMatrixLayoutDestroy(uintptr_t layout)",
  cublasLtMatmulPreferenceCreate: "int cublasLtMatmulPreferenceCreate(void *preference)",
  cublasLtMatmulPreferenceSetAttribute:
    "int cublasLtMatmulPreferenceSetAttribute(uintptr_t preference, int attribute, void *value, size_t bytes)",
  cublasLtMatmulPreferenceDestroy: "int cublasLtMatmulPreferenceDestroy(uintptr_t preference)",
  cublasLtMatmulAlgoGetHeuristic:
    "int cublasLtMatmulAlgoGetHeuristic(uintptr_t handle, uintptr_t descriptor, uintptr_t first, uintptr_t second, uintptr_t addend, uintptr_t out, uintptr_t preference, int wanted, void *results, void *count)",
  cublasLtMatmul:
    "int cublasLtMatmul(uintptr_t handle, uintptr_t descriptor, uintptr_t alpha, uintptr_t first, uintptr_t firstLayout, uintptr_t second, uintptr_t secondLayout, uintptr_t beta, uintptr_t addend, uintptr_t addendLayout, uintptr_t out, uintptr_t outLayout, uintptr_t algorithm, uintptr_t workspace, size_t workspaceBytes, uintptr_t stream)",
};

let library: CublasLtLibrary | undefined;

/**
 * cuBLASLt, opened once a process.
 * @throws ParetoError `CUDA_LIBRARY_MISSING`, `CUDA_VERSION`
 */
export function cublasLtLibrary(context: CudaContext): CublasLtLibrary {
  library ??= bind(openLibrary("cublasLt", Math.floor(context.info.driverVersion / 1000)).handle, prototypes);
  return library;
}
