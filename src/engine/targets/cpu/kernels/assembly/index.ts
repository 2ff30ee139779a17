/**
 * @file The CPU target's row kernels: AssemblyScript, compiled to WebAssembly with SIMD over a shared memory.
 *
 * Every export is one task of a kernel thread: it works on one table (or a range of it), allocates nothing,
 * and returns 0, or a positive code that the caller of the job understands. Kernels of one job touch disjoint
 * memory, so results do not depend on which thread runs which task. `../scripts/buildKernels.ts` builds them.
 */
export { fillUniform, fillValue } from "./fill";
export { findDistinct } from "./distinct";
export { gatherRows, refreshRows } from "./gather";
export { readLines } from "./probe";
export { updateAdagrad, updateAdam, updateRowwiseAdagrad, updateSgd } from "./update";
