/**
 * @file The functions of libcuda that are used, typed. Each returns a `CUresult`.
 *
 * Names are the exported symbols (`_v2` is what cuda.h maps the plain name to). All exist since CUDA 12.0.
 */
import { bind, type Prototypes } from "./koffi.ts";
import { ParetoError } from "../../../../base/errors.ts";
import { openLibrary } from "./libraries.ts";

/** Memory that C reads or writes during the call: host memory, or an address. */
export type Memory = ArrayBufferView | number;

/** libcuda. `out…` parameters point to a place for one 64-bit word, `…Int` to one of 32 bits. */
export interface DriverLibrary {
  cuInit(flags: number): number;
  cuDriverGetVersion(outInt: Memory): number;
  cuDeviceGetCount(outInt: Memory): number;
  cuDeviceGet(outInt: Memory, ordinal: number): number;
  cuDeviceGetName(name: Memory, bytes: number, device: number): number;
  cuDeviceGetAttribute(outInt: Memory, attribute: number, device: number): number;
  cuDeviceTotalMem_v2(outBytes: Memory, device: number): number;
  cuDevicePrimaryCtxRetain(outContext: Memory, device: number): number;
  cuDevicePrimaryCtxRelease_v2(device: number): number;
  cuCtxSetCurrent(context: number): number;
  cuCtxSynchronize(): number;
  cuMemGetInfo_v2(outFree: Memory, outTotal: Memory): number;
  cuMemAlloc_v2(outPointer: Memory, bytes: number): number;
  cuMemFree_v2(pointer: number): number;
  cuMemHostAlloc(outPointer: Memory, bytes: number, flags: number): number;
  cuMemFreeHost(pointer: number): number;
  cuMemHostRegister_v2(pointer: number, bytes: number, flags: number): number;
  cuMemHostUnregister(pointer: number): number;
  cuMemcpyHtoDAsync_v2(to: number, from: Memory, bytes: number, stream: number): number;
  cuMemcpyDtoHAsync_v2(to: Memory, from: number, bytes: number, stream: number): number;
  cuMemcpyDtoDAsync_v2(to: number, from: number, bytes: number, stream: number): number;
  cuMemsetD8Async(to: number, value: number, count: number, stream: number): number;
  cuMemsetD32Async(to: number, value: number, count: number, stream: number): number;
  cuStreamCreate(outStream: Memory, flags: number): number;
  cuStreamDestroy_v2(stream: number): number;
  cuStreamSynchronize(stream: number): number;
  cuStreamWaitEvent(stream: number, event: number, flags: number): number;
  cuStreamBeginCapture_v2(stream: number, mode: number): number;
  cuStreamEndCapture(stream: number, outGraph: Memory): number;
  cuGraphInstantiateWithFlags(outExec: Memory, graph: number, flags: number): number;
  cuGraphLaunch(exec: number, stream: number): number;
  cuGraphExecDestroy(exec: number): number;
  cuGraphDestroy(graph: number): number;
  cuEventCreate(outEvent: Memory, flags: number): number;
  cuEventDestroy_v2(event: number): number;
  cuEventRecord(event: number, stream: number): number;
  cuEventQuery(event: number): number;
  cuEventSynchronize(event: number): number;
  cuEventElapsedTime(outFloat: Memory, start: number, end: number): number;
  cuModuleLoadData(outModule: Memory, image: Memory): number;
  cuModuleUnload(module: number): number;
  cuModuleGetFunction(outFunction: Memory, module: number, name: string): number;
  cuFuncGetAttribute(outInt: Memory, attribute: number, func: number): number;
  cuFuncSetAttribute(func: number, attribute: number, value: number): number;
  cuLaunchKernel(
    func: number,
    gridX: number,
    gridY: number,
    gridZ: number,
    blockX: number,
    blockY: number,
    blockZ: number,
    sharedBytes: number,
    stream: number,
    params: number,
    extra: number,
  ): number;
}

const prototypes: Prototypes<DriverLibrary> = {
  cuInit: "int cuInit(uint32_t flags)",
  cuDriverGetVersion: "int cuDriverGetVersion(void *version)",
  cuDeviceGetCount: "int cuDeviceGetCount(void *count)",
  cuDeviceGet: "int cuDeviceGet(void *device, int ordinal)",
  cuDeviceGetName: "int cuDeviceGetName(void *name, int bytes, int device)",
  cuDeviceGetAttribute: "int cuDeviceGetAttribute(void *value, int attribute, int device)",
  cuDeviceTotalMem_v2: "int cuDeviceTotalMem_v2(void *bytes, int device)",
  cuDevicePrimaryCtxRetain: "int cuDevicePrimaryCtxRetain(void *context, int device)",
  cuDevicePrimaryCtxRelease_v2: "int cuDevicePrimaryCtxRelease_v2(int device)",
  cuCtxSetCurrent: "int cuCtxSetCurrent(uintptr_t context)",
  cuCtxSynchronize: "int cuCtxSynchronize()",
  cuMemGetInfo_v2: "int cuMemGetInfo_v2(void *free, void *total)",
  cuMemAlloc_v2: "int cuMemAlloc_v2(void *pointer, size_t bytes)",
  cuMemFree_v2: "int cuMemFree_v2(uint64_t pointer)",
  cuMemHostAlloc: "int cuMemHostAlloc(void *pointer, size_t bytes, uint32_t flags)",
  cuMemFreeHost: "int cuMemFreeHost(uintptr_t pointer)",
  cuMemHostRegister_v2: "int cuMemHostRegister_v2(uintptr_t pointer, size_t bytes, uint32_t flags)",
  cuMemHostUnregister: "int cuMemHostUnregister(uintptr_t pointer)",
  cuMemcpyHtoDAsync_v2: "int cuMemcpyHtoDAsync_v2(uint64_t to, void *from, size_t bytes, uintptr_t stream)",
  cuMemcpyDtoHAsync_v2: "int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, uintptr_t stream)",
  cuMemcpyDtoDAsync_v2:
    "int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, uintptr_t stream)",
  cuMemsetD8Async: "int cuMemsetD8Async(uint64_t to, uint8_t value, size_t count, uintptr_t stream)",
  cuMemsetD32Async: "int cuMemsetD32Async(uint64_t to, uint32_t value, size_t count, uintptr_t stream)",
  cuStreamCreate: "int cuStreamCreate(void *stream, uint32_t flags)",
  cuStreamDestroy_v2: "int cuStreamDestroy_v2(uintptr_t stream)",
  cuStreamSynchronize: "int cuStreamSynchronize(uintptr_t stream)",
  cuStreamWaitEvent: "int cuStreamWaitEvent(uintptr_t stream, uintptr_t event, uint32_t flags)",
  cuStreamBeginCapture_v2: "int cuStreamBeginCapture_v2(uintptr_t stream, int mode)",
  cuStreamEndCapture: "int cuStreamEndCapture(uintptr_t stream, void *graph)",
  cuGraphInstantiateWithFlags: "int cuGraphInstantiateWithFlags(void *exec, uintptr_t graph, uint64_t flags)",
  cuGraphLaunch: "int cuGraphLaunch(uintptr_t exec, uintptr_t stream)",
  cuGraphExecDestroy: "int cuGraphExecDestroy(uintptr_t exec)",
  cuGraphDestroy: "int cuGraphDestroy(uintptr_t graph)",
  cuEventCreate: "int cuEventCreate(void *event, uint32_t flags)",
  cuEventDestroy_v2: "int cuEventDestroy_v2(uintptr_t event)",
  cuEventRecord: "int cuEventRecord(uintptr_t event, uintptr_t stream)",
  cuEventQuery: "int cuEventQuery(uintptr_t event)",
  cuEventSynchronize: "int cuEventSynchronize(uintptr_t event)",
  cuEventElapsedTime: "int cuEventElapsedTime(void *milliseconds, uintptr_t start, uintptr_t end)",
  cuModuleLoadData: "int cuModuleLoadData(void *module, void *image)",
  cuModuleUnload: "int cuModuleUnload(uintptr_t module)",
  cuModuleGetFunction: "int cuModuleGetFunction(void *func, uintptr_t module, const char *name)",
  cuFuncGetAttribute: "int cuFuncGetAttribute(void *value, int attribute, uintptr_t func)",
  cuFuncSetAttribute: "int cuFuncSetAttribute(uintptr_t func, int attribute, int value)",
  cuLaunchKernel:
    "int cuLaunchKernel(uintptr_t func, uint32_t gridX, uint32_t gridY, uint32_t gridZ, uint32_t blockX, uint32_t blockY, uint32_t blockZ, uint32_t sharedBytes, uintptr_t stream, uintptr_t params, uintptr_t extra)",
};

let driver: DriverLibrary | undefined;

/**
 * libcuda, opened once a process.
 * @throws ParetoError `CUDA_DRIVER_MISSING`, `CUDA_LIBRARY_MISSING` without koffi, `CUDA_VERSION` when the driver
 * lacks a function
 */
export function driverLibrary(): DriverLibrary {
  if (driver) return driver;
  const { handle, path } = openLibrary("cuda");
  try {
    driver = bind(handle, prototypes);
  } catch (cause) {
    throw new ParetoError({
      code: "CUDA_VERSION",
      where: "cuda",
      message: `cuda: the NVIDIA driver lacks a function, got ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      fix: "Update the NVIDIA driver to one for CUDA 12 or later.",
      cause,
    });
  }
  return driver;
}
