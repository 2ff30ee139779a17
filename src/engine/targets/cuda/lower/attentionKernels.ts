/**
 * @file Which kernels compute an attention and how they are launched. Three families take the same arguments and give
 * the same results: kernels for the warpgroup products of sm_90a (16-bit operands of width 64 or 128, and for the result
 * 256), kernels for the warp products of sm_80 and later (16-bit operands whose width is a multiple of 16 up to 128, or
 * of 32 up to 256), and plain ones.
 */
import { isHalf, type DType } from "../../../../base/dtype.ts";
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
  /** Whether sequences have lengths of their own. */
  readonly ragged: boolean;
  /** How many keys a query sees, its own the last. */
  readonly window?: number;
  /** By query head. */
  readonly alibiSlopes?: readonly number[];
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
/** Rows of the other side that a step takes, where shared memory allows. */
const STEP_ROWS = 64;
const WIDEST_ON_TENSOR_CORES = 256;
/** Widths of which the registers of a thread hold what each kernel adds up. */
const WIDEST_WHOLE = 128;

const tileBytes = (rows: number, width: number) => rows * Math.ceil(width / 64) * 128;

/** A tile of queries with one of the same rows of dout, and the pairs that belong to them. */
const stageOfQueries = (width: number, rows = STEP_ROWS) => 2 * tileBytes(rows, width) + 8 * rows;

/** A float32 constant of CUDA C++. */
const floatLiteral = (x: number) => `${Math.fround(x).toExponential(9)}f`;

const elementMacros = ({ width, dtype }: AttentionProblem) => ({
  D: width,
  ...(dtype === "float16" && { HALF: 1 }),
});

function macros(problem: AttentionProblem) {
  const { causal, masked, ragged, window, alibiSlopes } = problem;
  return {
    ...elementMacros(problem),
    ...(causal && { CAUSAL: 1 }),
    ...(masked && { MASKED: 1 }),
    ...(ragged && { LENGTHS: 1 }),
    ...(window !== undefined && { WINDOW: window }),
    ...(alibiSlopes && { ALIBI: alibiSlopes.map(floatLiteral).join() }),
  };
}

/** Blocks of 16 rows a warp, of one head each. */
const tiledGrid = (rows: number, heads: number, warps: number) =>
  [Math.ceil(rows / (16 * warps)) * heads, 1, 1] as const;

const deltaOnTensorCores = (problem: AttentionProblem): AttentionLaunch => ({
  file: "attentionDelta",
  defines: elementMacros(problem),
  grid: [Math.ceil((problem.batchHeads * problem.queries) / 16), 1, 1],
  block: [256, 1, 1],
});

/** One warpgroup copies and two compute; tiles and stages are those that ran fastest on an H100. */
function warpgroupLaunch(problem: AttentionProblem) {
  const WARPS = 8;
  return (file: string, rows: number, heads: number, bytes: number, defines: Launch["defines"]) => ({
    file,
    defines: { ...macros(problem), WARPS, ...defines },
    grid: tiledGrid(rows, heads, WARPS),
    block: [32 * WARPS + 128, 1, 1] as const,
    sharedBytes: ALIGNMENT_BYTES + bytes,
  });
}

function warpgroupForward(problem: AttentionProblem): AttentionLaunch {
  const { batchHeads, queries, width } = problem;
  const BN = width > WIDEST_WHOLE ? 64 : 128;
  const bytes = tileBytes(128, width) + 4 * tileBytes(BN, width);
  return warpgroupLaunch(problem)("attentionForwardStreamed", queries, batchHeads, bytes, { BN });
}

function warpgroupKernels(problem: AttentionProblem): AttentionKernels {
  const { batchHeads, batchKeyHeads, queries, keys, width } = problem;
  const launch = warpgroupLaunch(problem);
  const rowsBytes = tileBytes(128, width);
  const [keyStages, queryStages] = [3, 4];
  return {
    forward: warpgroupForward(problem),
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

/** What warps of a kernel for sm_80 work on. */
interface WarpWork {
  readonly file: string;
  readonly rows: number;
  readonly heads: number;
  readonly mostWarps: number;
  /** The macro of the rows that a step takes, and how many it takes at most. */
  readonly step: "BN" | "BM";
  readonly mostSteps: number;
  /** Shared memory of blocks that own `rows` and take `step` rows at a time. */
  readonly bytes: (rows: number, step: number) => number;
  /** Columns of the results that a block owns. */
  readonly columns?: number;
}

/** All threads copy and compute; blocks have as many warps as their shared memory holds rows for. */
function warpKernels(problem: AttentionProblem, { maxSharedBytes }: LowerContext): AttentionKernels {
  const { batchHeads, batchKeyHeads, queries, keys, width } = problem;
  const launch = (work: WarpWork): AttentionLaunch => {
    const shared = ([warps, step]: readonly [number, number]) =>
      ALIGNMENT_BYTES + work.bytes(16 * warps, step);
    const choices = [64, 32].flatMap((step) => [8, 4, 2, 1].map((warps) => [warps, step] as const));
    const allowed = choices.filter(([warps, step]) => warps <= work.mostWarps && step <= work.mostSteps);
    const chosen = allowed.find((choice) => shared(choice) <= maxSharedBytes) ?? allowed.at(-1)!;
    const [WARPS, step] = chosen;
    const [blocks] = tiledGrid(work.rows, work.heads, WARPS);
    return {
      file: work.file,
      defines: {
        ...macros(problem),
        WARPS,
        [work.step]: step,
        ...(work.columns && { COLUMNS: work.columns }),
      },
      grid: [blocks, work.columns ? width / work.columns : 1, 1],
      block: [32 * WARPS, 1, 1],
      sharedBytes: shared(chosen),
    };
  };
  const wide = width > WIDEST_WHOLE;
  return {
    forward: launch({
      file: "attentionForward",
      rows: queries,
      heads: batchHeads,
      mostWarps: 4, // two blocks a multiprocessor are faster than one of twice the size
      step: "BN",
      mostSteps: STEP_ROWS,
      bytes: (rows, step) => tileBytes(rows, width) + 4 * tileBytes(step, width),
    }),
    delta: deltaOnTensorCores(problem),
    keys: launch({
      file: "attentionGradientKeys",
      rows: keys,
      heads: batchKeyHeads,
      mostWarps: 8,
      step: "BM",
      mostSteps: wide ? 32 : STEP_ROWS,
      bytes: (rows, step) => 2 * tileBytes(rows, width) + 2 * stageOfQueries(width, step),
      columns: wide ? width / 2 : width,
    }),
    queries: launch({
      file: "attentionGradientQueries",
      rows: queries,
      heads: batchHeads,
      mostWarps: 8,
      step: "BN",
      mostSteps: wide ? 32 : STEP_ROWS,
      bytes: (rows, step) => 2 * tileBytes(rows, width) + 4 * tileBytes(step, width),
    }),
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
  const fits = width % (width > WIDEST_WHOLE ? 32 : 16) === 0 && width <= WIDEST_ON_TENSOR_CORES;
  if (!isHalf(dtype) || !fits) return plainKernels(problem);
  if (context.arch !== "sm_90a" || ![64, 128, 256].includes(width)) return warpKernels(problem, context);
  if (width <= WIDEST_WHOLE) return warpgroupKernels(problem);
  return { ...warpKernels(problem, context), forward: warpgroupForward(problem) };
}
