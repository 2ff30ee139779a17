/**
 * @file The CPU target's own kernels: AssemblyScript, compiled to WebAssembly with SIMD over a shared memory.
 *
 * Every export is one task of a kernel thread: it works on one table or KV head (or a range of it), allocates nothing,
 * and returns 0, or a positive code that the caller of the job understands. Kernels of one job touch disjoint
 * memory, so results do not depend on which thread runs which task. `../scripts/buildKernels.ts` builds them.
 */
export { attendRows, decodeToken, placeRows, turnKeys } from "./cacheAttention";
export { fillUniform, fillValue } from "./fill";
export { findDistinct } from "./distinct";
export { gatherRows, refreshRows } from "./gather";
export { multiplyRows } from "./multiply";
export { mapExp, mapLog } from "./numbers";
export { readBytes, readLines } from "./probe";
export { fillNoise } from "./scoreNoise";
export { deferRows, forwardRows, translateRows } from "./translate";
export { updateAdagrad, updateAdam, updateRowwiseAdagrad, updateSgd } from "./update";
