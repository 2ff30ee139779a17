/**
 * @file The one door to the `cuda` target: NVIDIA GPUs through the driver, cuBLASLt and NVRTC. Code outside this folder
 * imports from here alone.
 *
 * Importing it opens nothing: koffi and CUDA's libraries are loaded by the first `CudaContext.open` or
 * `CudaDevice.open`. What it offers, from the top down: a device that compiles and runs graphs; the device's stream,
 * events, recorded graphs and memory; hand-written kernels launched on that stream; kernels for the rows of embedding
 * tables; and what a diagnosis or a benchmark asks.
 */

// A device and its programs.
export { CudaDevice } from "./cudaDevice.ts";
export type { CudaProgram } from "./cudaProgram.ts";
export { CudaContext, formatVersion } from "./driver/context.ts";

// Queued work: streams, events, recordings.
export { CudaEvent } from "./driver/event.ts";
export { CapturedGraph, Stream } from "./driver/stream.ts";

// Memory of the device, and page-locked memory of the host.
export type { AllocatorStats } from "./memory/cachingAllocator.ts";
export type { DeviceBuffer } from "./memory/deviceAllocator.ts";
export { PinnedBuffer } from "./memory/pinned.ts";

// Hand-written kernels: their source, and launches of them.
export { cuSource } from "./kernels/source.ts";
export { packArguments } from "./driver/module.ts";
export type { KernelSource } from "./plan.ts";
export { CallQueue } from "./rows/callQueue.ts";
export { argument } from "./rows/kernelCall.ts";
export type { KernelCall } from "./rows/kernelCall.ts";

// Rows of embedding tables: keys, gather and fill; sort; segments of equal keys; update.
export { fillCall, fillKernel, gatherCall, gatherKernels, keysCall } from "./rows/gatherCalls.ts";
export type { GatherKernels, LookupShape } from "./rows/gatherCalls.ts";
export { sortCalls, sortKernels, sortScratchBytes, sortTotalsBytes } from "./rows/sortCalls.ts";
export type { SortKernels } from "./rows/sortCalls.ts";
export { segmentBytes, segmentCalls, segmentKernels } from "./rows/segmentCalls.ts";
export type { SegmentKernels, SegmentPlaces } from "./rows/segmentCalls.ts";
export { partialBytes, updateCalls, updateKernels } from "./rows/updateCalls.ts";
export type { UpdateKernels } from "./rows/updateCalls.ts";

// What a diagnosis or a benchmark asks.
export { compileProbe, findCublasLt, findDriver, findNvrtc, missingGpu } from "./driver/probe.ts";
export { Cublas } from "./driver/cublas.ts";
export { printPlan } from "./compiler/printPlan.ts";
export type { Step } from "./plan.ts";
