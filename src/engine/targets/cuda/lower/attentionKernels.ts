/**
 * @file Which kernels compute an attention and how they are launched. Three families take the same arguments and give
 * the same results: kernels for the warpgroup products of sm_90a (16-bit operands of width 64 or 128), kernels for the
 * warp products of sm_80 and later (16-bit operands whose width is a multiple of 16 up to 128), and plain ones.
 */
import { isHalf, type DType } from "../../../dtype.ts";
import type { Launch } from "./kernelStep.ts";
import type { LowerContext } from "./lowering.ts";

/** Sizes of an attention, and what its kernels are specialised by. */
export interface AttentionProblem {
  readonly batchHeads: number;
  readonly batchKeyHeads: number;
  readonly heads: number;
  /** Query heads that share a key head. */
  readonly group: number;
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
  readonly dtype: DType;
  readonly causal: boolean;
  readonly masked: boolean;
}

type AttentionLaunch = Omit<Launch, "about" | "arguments">;

/** Launches but for their arguments. */
interface AttentionKernels {
  readonly forward: AttentionLaunch;
  /** Of each query what the gradients need. */
  readonly delta: AttentionLaunch;
  /** The gradients by keys and values, and by queries. */
  readonly keys: AttentionLaunch;
  readonly queries: AttentionLaunch;
}

/** Shared memory starts at a multiple of this. */
const ALIGNMENT_BYTES = 1024;
/** Rows of the other side that a step takes. */
const STEP_ROWS = 64;
const WIDEST_ON_TENSOR_CORES = 128;

const tileBytes = (rows: number, width: number) => rows * Math.ceil(width / 64) * 128;

/** A tile of queries with one of the same rows of dout, and the pairs that belong to them. */
const stageOfQueries = (width: number) => 2 * tileBytes(STEP_ROWS, width) + 8 * STEP_ROWS;

function macros({ width, dtype, causal, masked }: AttentionProblem) {
  return {
    D: width,
    ...(causal && { CAUSAL: 1 }),
    ...(masked && { MASKED: 1 }),
    ...(dtype === "float16" && { HALF: 1 }),
  };
}

/** Blocks of 16 rows a warp, of one head each. */
const tiledGrid = (rows: number, heads: number, warps: number) =>
  [Math.ceil(rows / (16 * warps)) * heads, 1, 1] as const;

const deltaOnTensorCores = (problem: AttentionProblem): AttentionLaunch => ({
  file: "attentionDelta",
  defines: macros({ ...problem, causal: false, masked: false }),
  grid: [Math.ceil((problem.batchHeads * problem.queries) / 16), 1, 1],
  block: [256, 1, 1],
});

/** One warpgroup copies and two compute; tiles and stages are those that ran fastest on an H100. */
function warpgroupKernels(problem: AttentionProblem): AttentionKernels {
  const { batchHeads, batchKeyHeads, queries, keys, width } = problem;
  const WARPS = 8;
  const rowsBytes = tileBytes(16 * WARPS, width);
  const launch = (file: string, rows: number, heads: number, bytes: number, defines: Launch["defines"]) => ({
    file,
    defines: { ...macros(problem), WARPS, ...defines },
    grid: tiledGrid(rows, heads, WARPS),
    block: [32 * WARPS + 128, 1, 1] as const,
    sharedBytes: ALIGNMENT_BYTES + bytes,
  });
  const [BN, keyStages, queryStages] = [128, 3, 4];
  return {
    forward: launch("attentionForwardStreamed", queries, batchHeads, rowsBytes + 4 * tileBytes(BN, width), {
      BN,
    }),
    delta: deltaOnTensorCores(problem),
    keys: launch(
      "attentionGradientKeysStreamed",
      keys,
      batchKeyHeads,
      2 * rowsBytes + keyStages * stageOfQueries(width),
      { BM: STEP_ROWS, STAGES: keyStages },
    ),
    queries: launch(
      "attentionGradientQueriesStreamed",
      queries,
      batchHeads,
      2 * rowsBytes + 2 * queryStages * tileBytes(STEP_ROWS, width),
      { BN: STEP_ROWS, STAGES: queryStages },
    ),
  };
}

/** All threads copy and compute; the gradients have as many warps as the shared memory of a block holds rows for. */
function warpKernels(problem: AttentionProblem, { maxSharedBytes }: LowerContext): AttentionKernels {
  const { batchHeads, batchKeyHeads, queries, keys, width } = problem;
  const launch = (
    file: string,
    rows: number,
    heads: number,
    most: number,
    bytes: (rows: number) => number,
    defines: Launch["defines"],
  ) => {
    const shared = (warps: number) => ALIGNMENT_BYTES + bytes(16 * warps);
    const WARPS = [8, 4, 2].find((n) => n <= most && shared(n) <= maxSharedBytes) ?? 1;
    return {
      file,
      defines: { ...macros(problem), WARPS, ...defines },
      grid: tiledGrid(rows, heads, WARPS),
      block: [32 * WARPS, 1, 1] as const,
      sharedBytes: shared(WARPS),
    };
  };
  const step = tileBytes(STEP_ROWS, width);
  return {
    forward: launch(
      "attentionForward",
      queries,
      batchHeads,
      4, // two blocks a multiprocessor are faster than one of twice the size
      (rows) => tileBytes(rows, width) + 4 * step,
      { BN: STEP_ROWS },
    ),
    delta: deltaOnTensorCores(problem),
    keys: launch(
      "attentionGradientKeys",
      keys,
      batchKeyHeads,
      8,
      (rows) => 2 * tileBytes(rows, width) + 2 * stageOfQueries(width),
      { BM: STEP_ROWS },
    ),
    queries: launch(
      "attentionGradientQueries",
      queries,
      batchHeads,
      8,
      (rows) => 2 * tileBytes(rows, width) + 4 * step,
      { BN: STEP_ROWS },
    ),
  };
}

const elementNames: Partial<Record<DType, string>> = {
  float32: "float",
  float16: "float16",
  bfloat16: "bfloat16",
};

/** A warp a row. */
function plainKernels(problem: AttentionProblem): AttentionKernels {
  const { batchHeads, batchKeyHeads, queries, keys, width, dtype } = problem;
  const WARPS = 8;
  const kernel = (name: string) => ({
    file: "attentionPlain",
    name,
    defines: { ...macros(problem), ELEMENT: elementNames[dtype]!, WARPS },
  });
  const launch = (name: string, rows: number, heads: number): AttentionLaunch => ({
    ...kernel(name),
    grid: [heads, Math.ceil(rows / WARPS), 1],
    block: [32, WARPS, 1],
    sharedBytes: (2 * 32 * (width + 1) + 2 * WARPS * width) * 4,
  });
  return {
    forward: launch("attentionPlain", queries, batchHeads),
    delta: {
      ...kernel("attentionPlainDelta"),
      grid: [Math.ceil((batchHeads * queries) / 256), 1, 1],
      block: [256, 1, 1],
    },
    keys: launch("attentionPlainKeys", keys, batchKeyHeads),
    queries: launch("attentionPlainQueries", queries, batchHeads),
  };
}

/** The fastest kernels that take these operands on this device. */
export function attentionKernels(problem: AttentionProblem, context: LowerContext): AttentionKernels {
  const { dtype, width } = problem;
  if (!isHalf(dtype) || width % 16 !== 0 || width > WIDEST_ON_TENSOR_CORES) return plainKernels(problem);
  if (context.arch === "sm_90a" && width % 64 === 0) return warpgroupKernels(problem);
  return warpKernels(problem, context);
}
