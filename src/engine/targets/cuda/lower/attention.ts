/**
 * @file Rules of attention and of its gradient. The gradient is two kernels, one that owns rows of dk and dv and one
 * that owns rows of dq, so that every sum has a fixed order; a third prepares what both read of each query.
 *
 * The kernels are Pareto's own, not cuDNN's: they are fast enough without another library to install, gradients are the
 * same from run to run, and any mask, window, group and width is taken.
 */
import type { Node, Tensor } from "../../../graph/node.ts";
import { optionalOperands, type OptionalOperands } from "../../../graph/ops/composite/attentionScores.ts";
import { sizeOf, stridesOf, tensorBytes } from "../../../../base/shape.ts";
import type { KernelArgument } from "../plan.ts";
import { attentionKernels, type AttentionProblem } from "./attentionKernels.ts";
import { float32, int32, int64, kernelStep, reads, scratchArgument, writes } from "./kernelStep.ts";
import type { LowerContext, LowerRule } from "./lowering.ts";

type AttentionNode = Node<"attention"> | Node<"attentionGradient">;

/** What an attention computes; a window that hides nothing is none. */
function problemOf({ inputs, attrs }: AttentionNode, { mask, lengths }: OptionalOperands): AttentionProblem {
  const { causal, window, alibiSlopes } = attrs;
  const [q, k] = inputs as [Tensor, Tensor];
  const [batch, heads, queries, width] = q.shape as [number, number, number, number];
  const [, keyHeads, keys] = k.shape as [number, number, number];
  return {
    batchHeads: batch * heads,
    batchKeyHeads: batch * keyHeads,
    heads,
    group: heads / keyHeads,
    queries,
    keys,
    width,
    dtype: q.dtype,
    causal,
    masked: mask !== undefined,
    ragged: lengths !== undefined,
    ...(window !== undefined && window < keys && { window }),
    ...(alibiSlopes && { alibiSlopes }),
  };
}

/**
 * The mask and elements from one to the next along its axes, and the lengths; what is not given has its place taken
 * but is not read.
 */
function optionalArguments({ mask, lengths }: OptionalOperands, q: Tensor, context: LowerContext) {
  const shape = [1, 1, 1, 1, ...(mask?.shape ?? [])].slice(-4);
  const strides = stridesOf(shape).map((stride, axis) => (!mask || shape[axis] === 1 ? 0 : stride));
  return [reads(context, mask ?? q), ...strides.map(int32), reads(context, lengths ?? q)];
}

const sizeArguments = (
  { heads, group, queries, keys }: AttentionProblem,
  scale: number,
): KernelArgument[] => [...[heads, group, queries, keys].map(int32), float32(scale)];

/** Rule of attention. */
export const lowerAttention: LowerRule<"attention"> = (node, context) => {
  const [q, k, v, ...rest] = node.inputs as [Tensor, Tensor, Tensor, ...Tensor[]];
  const [out, lse] = node.outputs as [Tensor, Tensor];
  const optional = optionalOperands(rest);
  const problem = problemOf(node, optional);
  if (sizeOf(q.shape) === 0) return;
  context.emit(
    kernelStep({
      ...attentionKernels(problem, context).forward,
      about: q,
      arguments: [
        ...[q, k, v].map((t) => reads(context, t)),
        ...optionalArguments(optional, q, context),
        writes(context, out),
        writes(context, lse),
        ...sizeArguments(problem, node.attrs.scale),
      ],
    }),
  );
};

/** Rule of attention's gradient. */
export const lowerAttentionGradient: LowerRule<"attentionGradient"> = (node, context) => {
  const [q, k, v, out, lse, dout, ...rest] = node.inputs as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    ...Tensor[],
  ];
  const [dq, dk, dv] = node.outputs as [Tensor, Tensor, Tensor];
  const optional = optionalOperands(rest);
  const problem = problemOf(node, optional);
  const count = problem.batchHeads * problem.queries;
  if (problem.width === 0 || problem.batchHeads === 0) return;
  if (count === 0) {
    for (const t of [dk, dv]) context.emit({ kind: "clear", to: context.view(t), bytes: tensorBytes(t) });
    return;
  }
  const kernels = attentionKernels(problem, context);
  const pairs = context.scratch(count * 8);
  context.emit(
    kernelStep({
      ...kernels.delta,
      about: q,
      arguments: [
        ...[out, dout, lse].map((t) => reads(context, t)),
        scratchArgument(pairs, "write", count * 8),
        int64(count),
      ],
    }),
  );
  for (const [launch, results] of [
    [kernels.keys, [dk, dv]],
    [kernels.queries, [dq]],
  ] as const) {
    context.emit(
      kernelStep({
        ...launch,
        about: q,
        arguments: [
          ...[q, k, v].map((t) => reads(context, t)),
          ...optionalArguments(optional, q, context),
          reads(context, dout),
          scratchArgument(pairs, "read", count * 8),
          ...results.map((t) => writes(context, t)),
          ...sizeArguments(problem, node.attrs.scale),
        ],
      }),
    );
  }
};
