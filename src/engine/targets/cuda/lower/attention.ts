/**
 * @file Rules of attention and of its gradient: kernels on tensor cores for 16-bit operands whose width is a multiple
 * of 16 up to 128, the plain kernels for all others. The gradient is two kernels, one that owns rows of dk and dv and
 * one that owns rows of dq, so that every sum has a fixed order.
 */
import { isHalf, type DType } from "../../../dtype.ts";
import type { Node, Tensor } from "../../../graph/node.ts";
import { stridesOf } from "../../../shape.ts";
import type { KernelArgument } from "../plan.ts";
import { bytesOf, float32, int32, int64, kernelStep, reads, scratchArgument, writes } from "./kernelStep.ts";
import type { LowerContext, LowerRule } from "./lowering.ts";

type AttentionNode = Node<"attention"> | Node<"attentionGradient">;

/** Warps of a block: of the plain kernels, and of the kernels on tensor cores, 16 rows each. */
const PLAIN_WARPS = 8;
const WIDEST_ON_TENSOR_CORES = 128;
/** Rows of the other side that a step of a kernel on tensor cores takes. */
const TILE = 64;
const STAGES = 3;

const elementNames: Partial<Record<DType, string>> = {
  float32: "float",
  float16: "float16",
  bfloat16: "bfloat16",
};

/** What all kernels of a node share. */
interface Problem {
  readonly batchHeads: number;
  readonly batchKeyHeads: number;
  readonly heads: number;
  readonly group: number;
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
  readonly scale: number;
  readonly defines: Readonly<Record<string, number | string>>;
  /** The mask and elements from one to the next of its axes. */
  readonly mask: Tensor | undefined;
  readonly maskStrides: readonly KernelArgument[];
}

function problemOf(node: AttentionNode, mask: Tensor | undefined): Problem {
  const [q, k] = node.inputs as [Tensor, Tensor];
  const [batch, heads, queries, width] = q.shape as [number, number, number, number];
  const [, keyHeads, keys] = k.shape as [number, number, number];
  const shape = [1, 1, 1, ...(mask?.shape ?? [1])].slice(-4);
  const strides = stridesOf(shape).map((stride, axis) => (shape[axis] === 1 ? 0 : stride));
  return {
    batchHeads: batch * heads,
    batchKeyHeads: batch * keyHeads,
    heads,
    group: heads / keyHeads,
    queries,
    keys,
    width,
    scale: node.attrs.scale,
    defines: {
      D: width,
      ...(node.attrs.causal && { CAUSAL: 1 }),
      ...(mask && { MASKED: 1 }),
    },
    mask,
    maskStrides: strides.map(int32),
  };
}

const onTensorCores = (q: Tensor, width: number) =>
  isHalf(q.dtype) && width % 16 === 0 && width <= WIDEST_ON_TENSOR_CORES;

const tileBytes = (rows: number, width: number) => rows * Math.ceil(width / 64) * 128;

/** The most warps with which a kernel's shared memory fits a block. */
function warpsThatFit(context: LowerContext, sharedBytes: (rows: number) => number) {
  const warps = [8, 4, 2, 1].find((n) => sharedBytes(16 * n) <= context.maxSharedBytes) ?? 1;
  return { warps, rows: 16 * warps, shared: sharedBytes(16 * warps) };
}

const sizesAfter = ({ heads, group, queries, keys, scale }: Problem): KernelArgument[] => [
  ...[heads, group, queries, keys].map(int32),
  float32(scale),
];

function tensorCoreDefines({ defines, width }: Problem, q: Tensor, context: LowerContext) {
  const wgmma = context.arch === "sm_90a" && (width === 64 || width === 128);
  return { ...defines, ...(q.dtype === "float16" && { HALF: 1 }), ...(wgmma && { WGMMA: 1 }) };
}

const maskArguments = ({ mask, maskStrides }: Problem, context: LowerContext): KernelArgument[] =>
  mask ? [reads(context, mask), ...maskStrides] : [];

/** The plain kernels always take a mask's place; without one it is not read. */
const plainMask = ({ mask, maskStrides }: Problem, q: Tensor, context: LowerContext): KernelArgument[] => [
  reads(context, mask ?? q),
  ...(mask ? maskStrides : [0, 0, 0, 0].map(int32)),
];

function plainLaunch({ width }: Problem, q: Tensor) {
  return {
    file: "attentionPlain",
    about: q,
    block: [32, PLAIN_WARPS, 1] as const,
    sharedBytes: (2 * 32 * (width + 1) + 2 * PLAIN_WARPS * width) * 4,
  };
}

/** Rule of attention. */
export const lowerAttention: LowerRule<"attention"> = (node, context) => {
  const [q, k, v, mask] = node.inputs as [Tensor, Tensor, Tensor, Tensor?];
  const [out, lse] = node.outputs as [Tensor, Tensor];
  const problem = problemOf(node, mask);
  const { batchHeads, queries, width } = problem;
  if (batchHeads * queries === 0) return;
  const operands = [q, k, v].map((t) => reads(context, t));
  const results = [writes(context, out), writes(context, lse)];
  if (!onTensorCores(q, width)) {
    context.emit(
      kernelStep({
        ...plainLaunch(problem, q),
        name: "attentionPlain",
        defines: { ...problem.defines, ELEMENT: elementNames[q.dtype]!, WARPS: PLAIN_WARPS },
        grid: [batchHeads, Math.ceil(queries / PLAIN_WARPS), 1],
        arguments: [...operands, ...plainMask(problem, q, context), ...results, ...sizesAfter(problem)],
      }),
    );
    return;
  }
  const { warps, rows, shared } = warpsThatFit(
    context,
    (n) => 1024 + tileBytes(n, width) + 4 * tileBytes(TILE, width),
  );
  context.emit(
    kernelStep({
      file: "attentionForward",
      about: q,
      defines: { ...tensorCoreDefines(problem, q, context), WARPS: warps, BN: TILE },
      grid: [Math.ceil(queries / rows) * batchHeads, 1, 1],
      block: [32 * warps, 1, 1],
      sharedBytes: shared,
      arguments: [
        ...operands,
        ...maskArguments(problem, context),
        ...results,
        int32(batchHeads),
        ...sizesAfter(problem),
      ],
    }),
  );
};

/** Rule of attention's gradient. */
export const lowerAttentionGradient: LowerRule<"attentionGradient"> = (node, context) => {
  const [q, k, v, out, lse, dout, mask] = node.inputs as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor?,
  ];
  const [dq, dk, dv] = node.outputs as [Tensor, Tensor, Tensor];
  const problem = problemOf(node, mask);
  const { batchHeads, batchKeyHeads, queries, keys, width } = problem;
  const count = batchHeads * queries;
  if (width === 0 || batchHeads === 0) return;
  if (count === 0) {
    for (const t of [dk, dv]) context.emit({ kind: "clear", to: context.view(t), bytes: bytesOf(t) });
    return;
  }
  const tensorCores = onTensorCores(q, width);
  const plain = { ...problem.defines, ELEMENT: elementNames[q.dtype]!, WARPS: PLAIN_WARPS };
  const fast = tensorCoreDefines(problem, q, context);

  // (log-sum-exp, Σ out · dout) of each query
  const pairs = context.scratch(count * 8);
  context.emit(
    kernelStep({
      ...(tensorCores
        ? {
            file: "attentionDelta",
            defines: { D: width, WARPS: 8, ...(q.dtype === "float16" && { HALF: 1 }) },
            grid: [Math.ceil(count / 8), 1, 1],
          }
        : {
            file: "attentionPlain",
            name: "attentionPlainDelta",
            defines: plain,
            grid: [Math.ceil(count / 256), 1, 1],
          }),
      about: q,
      block: [256, 1, 1],
      arguments: [
        ...[out, dout, lse].map((t) => reads(context, t)),
        scratchArgument(pairs, "write", count * 8),
        int64(count),
      ],
    }),
  );

  const operands = [q, k, v].map((t) => reads(context, t));
  const flowing = [reads(context, dout), scratchArgument(pairs, "read", count * 8)];
  const byKeys = [writes(context, dk), writes(context, dv)];
  const byQueries = [writes(context, dq)];
  if (!tensorCores) {
    const masked = plainMask(problem, q, context);
    const launch = plainLaunch(problem, q);
    context.emit(
      kernelStep({
        ...launch,
        name: "attentionPlainKeys",
        defines: plain,
        grid: [batchKeyHeads, Math.ceil(keys / PLAIN_WARPS), 1],
        arguments: [...operands, ...masked, ...flowing, ...byKeys, ...sizesAfter(problem)],
      }),
    );
    context.emit(
      kernelStep({
        ...launch,
        name: "attentionPlainQueries",
        defines: plain,
        grid: [batchHeads, Math.ceil(queries / PLAIN_WARPS), 1],
        arguments: [...operands, ...masked, ...flowing, ...byQueries, ...sizesAfter(problem)],
      }),
    );
    return;
  }
  const masked = maskArguments(problem, context);
  const keysBlock = warpsThatFit(
    context,
    (n) => 1024 + 2 * tileBytes(n, width) + STAGES * (2 * tileBytes(TILE, width) + 8 * TILE),
  );
  context.emit(
    kernelStep({
      file: "attentionGradientKeys",
      about: q,
      defines: { ...fast, WARPS: keysBlock.warps, BM: TILE },
      grid: [Math.ceil(keys / keysBlock.rows) * batchKeyHeads, 1, 1],
      block: [32 * keysBlock.warps, 1, 1],
      sharedBytes: keysBlock.shared,
      arguments: [
        ...operands,
        ...masked,
        ...flowing,
        ...byKeys,
        int32(batchKeyHeads),
        ...sizesAfter(problem),
      ],
    }),
  );
  const queriesBlock = warpsThatFit(
    context,
    (n) => 1024 + 2 * tileBytes(n, width) + 2 * STAGES * tileBytes(TILE, width),
  );
  context.emit(
    kernelStep({
      file: "attentionGradientQueries",
      about: q,
      defines: { ...fast, WARPS: queriesBlock.warps, BN: TILE },
      grid: [Math.ceil(queries / queriesBlock.rows) * batchHeads, 1, 1],
      block: [32 * queriesBlock.warps, 1, 1],
      sharedBytes: queriesBlock.shared,
      arguments: [
        ...operands,
        ...masked,
        ...flowing,
        ...byQueries,
        int32(batchHeads),
        ...sizesAfter(problem),
      ],
    }),
  );
};
