/**
 * @file The one door to the `cpu` target: ONNX Runtime on a worker thread for graphs, and SIMD kernels on threads for
 * rows, caches and small matrices. Code outside this folder imports from here alone.
 *
 * Importing it starts nothing and loads no native code: ONNX Runtime loads in the worker of a `CpuDevice`, the
 * WebAssembly kernels when a `ThreadPool` or `HeapKernels` is created.
 */

// A device and its programs.
export { CpuDevice } from "./cpuDevice.ts";

// Kernels on threads: who runs them, and the tasks that they run.
export { KernelFailure, ThreadPool } from "./kernels/threadPool.ts";
export type { KernelTask } from "./kernels/threadPool.ts";
export type { KernelName } from "./kernels/kernelModule.ts";

// Memory that threads share: an arena that only grows, and a heap that takes memory back.
export { alignedBytes, Arena, ARENA_MAX_BYTES } from "./kernels/arena.ts";
export type { Heap } from "./kernels/heap.ts";
export { HeapKernels } from "./kernels/heapKernels.ts";
export type { HeapTask } from "./kernels/heapKernels.ts";

// Rows of embedding tables as kernels see them.
export { moveRowsArguments } from "./kernels/moveRows.ts";
export type { RowMove } from "./kernels/moveRows.ts";
export {
  distinctCount,
  setChangeMarks,
  setDistinctCount,
  TABLE_VIEW_BYTES,
  writeTableView,
} from "./kernels/tableView.ts";
export type { TableView } from "./kernels/tableView.ts";
