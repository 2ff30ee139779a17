/** @file The kernels of prompts and turns over caches, specialised for a model. */
import { cuSource, type KernelSource } from "../../../engine/targets/cuda/index.ts";
import { type KvModel, positionMacros, shapeMacros } from "./model.ts";

/** Threads of a block of each kernel. */
export const prefillThreads = {
  lift: 256,
  append: 256,
  settle: 256,
  pool: 512,
  keep: 512,
  gather: 256,
  gatherInPlace: 1024,
} as const;

/** Slots that a block of a lift copies. */
export const LIFT_SLOTS = 32;
const PLAIN_WARPS = 4;
/** Rows that a block on tensor cores owns, and the bytes of shared memory that the rows of the other side take. */
const TILE_ROWS = 64;
const STAGED_BYTES = 40_000;
const WIDEST_ON_TENSOR_CORES = 256;

/** A kernel with the rows that a block has. */
export interface RowKernel {
  readonly source: KernelSource;
  readonly rows: number;
  readonly threads: number;
}

/** Kernels of a model's prompts and turns. */
export interface PrefillKernels {
  readonly model: KvModel;
  readonly lift: KernelSource;
  readonly append: KernelSource;
  readonly attend: RowKernel;
  readonly sums: RowKernel;
  readonly columns: RowKernel;
  readonly pool: KernelSource;
  readonly meanHeads: KernelSource;
  readonly sumLayers: KernelSource;
  readonly keep: KernelSource;
  readonly gather: KernelSource;
  readonly gatherInPlace: KernelSource;
}

/** The kernels of a model's prompts and turns. */
export function prefillKernels(model: KvModel): PrefillKernels {
  const positions = positionMacros(model);
  const source = (file: string, name: string, threads: number, macros: Record<string, number> = {}) =>
    cuSource(`${file}.cu`, name, { ...shapeMacros(model, threads), ...macros });
  const settle = (name: string, macro: string, threads: number = prefillThreads.settle) =>
    source("kvSettle", name, threads, { [macro]: 1 });
  const read = (name: string, macro: string) => prefillKernel(model, name, macro);
  return {
    model,
    lift: source("kvLift", "kvLift", prefillThreads.lift, { ...positions, SLOTS: LIFT_SLOTS }),
    append: source("kvAppend", "kvAppend", prefillThreads.append, positions),
    attend: read("kvPrefillAttend", "ATTEND"),
    sums: read("kvPrefillSums", "SUMS"),
    columns: read("kvPrefillColumns", "COLUMNS"),
    pool: settle("kvPool", "POOL", prefillThreads.pool),
    meanHeads: settle("kvMeanHeads", "MEAN"),
    sumLayers: settle("kvSumLayers", "LAYERS"),
    keep: source("kvKeep", "kvKeep", prefillThreads.keep),
    gather: source("kvGather", "kvGather", prefillThreads.gather),
    gatherInPlace: source("kvGather", "kvGather", prefillThreads.gatherInPlace),
  };
}

/** The kernel on tensor cores where the element type and the width allow it. */
function prefillKernel(model: KvModel, name: string, macro: string): RowKernel {
  const { headDim, dtype } = model;
  const threads = 32 * PLAIN_WARPS;
  const macros = { ...shapeMacros(model, threads), ...positionMacros(model), [macro]: 1 };
  if (dtype !== "float32" && headDim % 16 === 0 && headDim <= WIDEST_ON_TENSOR_CORES) {
    const tiles = macro === "ATTEND" ? 2 : 1;
    const stagedBytes = (rows: number) => 2 * tiles * rows * 2 * (headDim + 8);
    const BN = stagedBytes(64) <= STAGED_BYTES ? 64 : stagedBytes(32) <= STAGED_BYTES ? 32 : 16;
    const half = dtype === "float16" && { HALF: 1 };
    const source = cuSource("kvPrefillTiles.cu", name, { ...macros, ...half, BN });
    return { source, rows: TILE_ROWS, threads };
  }
  const TILE = headDim > 128 ? 16 : 32;
  return { source: cuSource("kvPrefillPlain.cu", name, { ...macros, TILE }), rows: PLAIN_WARPS, threads };
}

/** All kernels of reads. */
export function prefillSources({ model: _, ...kernels }: PrefillKernels): KernelSource[] {
  return Object.values(kernels).map((kernel) => ("source" in kernel ? kernel.source : kernel));
}
