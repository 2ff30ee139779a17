/** @file Ops that multiply and add along an axis: matmul, conv1d with its two gradients, DLRM's dot interaction. */
import { floatDtypes, isHalf, type DType } from "../../../base/dtype.ts";
import { ParetoError } from "../../../base/errors.ts";
import { broadcastShapes, formatShape } from "../../../base/shape.ts";
import { apply, commonDtype, requireDtype, requireRank, type OpDefinition, type Tensor } from "../node.ts";
import type { Conv1dAttrs } from "../opAttrs.ts";
import { add, cast } from "./elementwise.ts";
import { take } from "./indexing.ts";
import { reshape, sumTo, transpose } from "./movement.ts";

const matmulOp: OpDefinition<"matmul"> = {
  name: "matmul",
  infer: ([a, b], { transposeA, transposeB, outDtype }) => {
    const dtype = commonDtype("matmul", [a!, b!]);
    requireDtype("matmul", a!, ...floatDtypes);
    if (outDtype !== dtype && !(isHalf(dtype) && outDtype === "float32")) {
      throw new ParetoError({
        code: "DTYPE_MATMUL_OUT",
        where: "matmul",
        message: `matmul: operands of ${dtype} give ${isHalf(dtype) ? `${dtype} or float32` : dtype}, got outDtype ${outDtype}`,
        fix: "Leave outDtype out and convert the result with cast(x, dtype).",
      });
    }
    if (a!.shape.length < 2 || b!.shape.length < 2) {
      throw new ParetoError({
        code: "SHAPE_MATMUL_RANK",
        where: "matmul",
        message: `matmul: operands need two axes or more, got ${formatShape(a!.shape)} × ${formatShape(b!.shape)}`,
        fix: "Reshape a vector to [1, n] or [n, 1].",
      });
    }
    const [m, k] = transposeA ? [a!.shape.at(-1)!, a!.shape.at(-2)!] : [a!.shape.at(-2)!, a!.shape.at(-1)!];
    const [kb, n] = transposeB ? [b!.shape.at(-1)!, b!.shape.at(-2)!] : [b!.shape.at(-2)!, b!.shape.at(-1)!];
    if (k !== kb) {
      throw new ParetoError({
        code: "SHAPE_MATMUL_INNER",
        where: "matmul",
        message: `matmul: inner lengths differ (${k} and ${kb}), got ${formatShape(a!.shape)} × ${formatShape(b!.shape)}`,
        fix: "Transpose an operand, or pass { transposeA: true } or { transposeB: true }.",
      });
    }
    const batch = broadcastShapes("matmul", a!.shape.slice(0, -2), b!.shape.slice(0, -2));
    return [{ shape: [...batch, m, n], dtype: outDtype }];
  },
  gradient: ({ inputs: [a, b], attrs: { transposeA, transposeB } }, [outer]) => {
    // A product of 16-bit operands that gives float32 is differentiated by products of 16-bit operands.
    const g = cast(outer!, a!.dtype);
    const forA = transposeA
      ? matmul(b!, g, { transposeA: transposeB, transposeB: true })
      : matmul(g, b!, { transposeB: !transposeB });
    const forB = transposeB
      ? matmul(g, a!, { transposeA: true, transposeB: transposeA })
      : matmul(a!, g, { transposeA: !transposeA });
    return [sumTo(forA, a!.shape), sumTo(forB, b!.shape)];
  },
};

/**
 * Matrix product over the last two axes; leading axes broadcast. Sums are float32 or wider on every target.
 * @param a `[…, M, K]`, or `[…, K, M]` with `transposeA`
 * @param b `[…, K, N]`, or `[…, N, K]` with `transposeB`
 * @param options.outDtype element type of the result: the operands', or float32 for 16-bit operands, whose sums
 * are then not rounded. Gradients have the operands' type either way.
 * @returns `[…, M, N]`
 * @throws ParetoError `SHAPE_MATMUL_INNER`, `SHAPE_MATMUL_RANK`, `SHAPE_BROADCAST`, `DTYPE_MATMUL_OUT`
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  {
    transposeA = false,
    transposeB = false,
    outDtype = a.dtype,
  }: { transposeA?: boolean; transposeB?: boolean; outDtype?: DType } = {},
): Tensor {
  return apply(matmulOp, [a, b], { transposeA, transposeB, outDtype });
}

/** Steps of a convolution's output along an input of this length. */
function convLength(length: number, kernel: number, { stride, dilation, padding }: Conv1dAttrs): number {
  return Math.floor((length + padding[0] + padding[1] - dilation * (kernel - 1) - 1) / stride) + 1;
}

const conv1dOp: OpDefinition<"conv1d"> = {
  name: "conv1d",
  infer: ([x, w], attrs) => {
    requireRank("conv1d", x!, 3);
    requireRank("conv1d", w!, 3);
    requireDtype("conv1d", x!, ...floatDtypes);
    const [batch, channels, length] = x!.shape as [number, number, number];
    const [outputs, perGroup, kernel] = w!.shape as [number, number, number];
    if (perGroup * attrs.groups !== channels || outputs % attrs.groups !== 0) {
      throw new ParetoError({
        code: "SHAPE_CONV_CHANNELS",
        where: "conv1d",
        message: `conv1d: channels do not fit ${attrs.groups} group(s), got ${formatShape(x!.shape)} and kernel ${formatShape(w!.shape)}`,
        fix: "The kernel is [outputs, channels / groups, length]; outputs must divide into the groups.",
      });
    }
    const steps = convLength(length, kernel, attrs);
    if (steps < 1) {
      throw new ParetoError({
        code: "SHAPE_CONV_LENGTH",
        where: "conv1d",
        message: `conv1d: the kernel is longer than the padded input, got ${formatShape(x!.shape)} and kernel ${formatShape(w!.shape)}`,
        fix: "Pad the input or use a shorter kernel.",
      });
    }
    return [{ shape: [batch, outputs, steps], dtype: commonDtype("conv1d", [x!, w!]) }];
  },
  gradient: ({ inputs: [x, w], attrs }, [g]) => [
    apply(conv1dInputGradientOp, [g!, w!], { ...attrs, inputLength: x!.shape[2]! }),
    apply(conv1dKernelGradientOp, [x!, g!], { ...attrs, kernelLength: w!.shape[2]! }),
  ],
};

/** The adjoint of conv1d in its input; itself linear in both operands, so differentiable again. */
const conv1dInputGradientOp: OpDefinition<"conv1dInputGradient"> = {
  name: "conv1dInputGradient",
  infer: ([g, w], { groups, inputLength }) => [
    { shape: [g!.shape[0]!, w!.shape[1]! * groups, inputLength], dtype: g!.dtype },
  ],
  gradient: ({ inputs: [g, w], attrs: { inputLength: _, ...attrs } }, [outer]) => [
    apply(conv1dOp, [outer!, w!], attrs),
    apply(conv1dKernelGradientOp, [outer!, g!], { ...attrs, kernelLength: w!.shape[2]! }),
  ],
};

/** The adjoint of conv1d in its kernel. */
const conv1dKernelGradientOp: OpDefinition<"conv1dKernelGradient"> = {
  name: "conv1dKernelGradient",
  infer: ([x, g], { groups, kernelLength }) => [
    { shape: [g!.shape[1]!, x!.shape[1]! / groups, kernelLength], dtype: x!.dtype },
  ],
  gradient: ({ inputs: [x, g], attrs: { kernelLength: _, ...attrs } }, [outer]) => [
    apply(conv1dInputGradientOp, [g!, outer!], { ...attrs, inputLength: x!.shape[2]! }),
    apply(conv1dOp, [x!, outer!], attrs),
  ],
};

/**
 * Cross-correlation along the last axis, as PyTorch's conv1d, without bias.
 * @param x `[B, C, T]`
 * @param w `[outputs, C / groups, K]`
 * @returns `[B, outputs, ⌊(T + padding − dilation·(K − 1) − 1) / stride⌋ + 1]`
 * @throws ParetoError `SHAPE_CONV_CHANNELS`, `SHAPE_CONV_LENGTH`
 */
export function conv1d(
  x: Tensor,
  w: Tensor,
  {
    stride = 1,
    dilation = 1,
    padding = 0,
    groups = 1,
  }: {
    stride?: number;
    dilation?: number;
    padding?: number | readonly [number, number];
    groups?: number;
  } = {},
): Tensor {
  const both = typeof padding === "number" ? ([padding, padding] as const) : padding;
  return apply(conv1dOp, [x, w], { stride, dilation, padding: both, groups });
}

const dotInteractionOp: OpDefinition<"dotInteraction"> = {
  name: "dotInteraction",
  infer: ([x]) => {
    requireRank("dotInteraction", x!, 3);
    requireDtype("dotInteraction", x!, ...floatDtypes);
    const [batch, features] = x!.shape as [number, number, number];
    return [{ shape: [batch, (features * (features - 1)) / 2], dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x] }, [g]) => [dotInteractionGradient(x!, g!)],
};

/** Bilinear in its operands: (G + Gᵀ)·X with G strictly lower triangular. */
const dotInteractionGradientOp: OpDefinition<"dotInteractionGradient"> = {
  name: "dotInteractionGradient",
  infer: ([x]) => [x!],
  gradient: ({ inputs: [x, g] }, [outer]) => [
    dotInteractionGradient(outer!, g!),
    crossInteraction(x!, outer!),
  ],
};

/** Σ over d of x_i·u_j + x_j·u_i for i > j. */
function crossInteraction(x: Tensor, u: Tensor): Tensor {
  const [batch, features] = x.shape as [number, number, number];
  const products = matmul(x, u, { transposeB: true });
  const pairs = reshape(add(products, transpose(products)), [batch, features * features]);
  const triangle = Array.from({ length: features }, (_, i) =>
    Array.from({ length: i }, (_, j) => i * features + j),
  );
  return take(pairs, 1, triangle.flat());
}

/**
 * Products of every pair of feature vectors, the strictly lower triangle in row-major order
 * (i = 1 … F − 1, j = 0 … i − 1): DLRM's `dot` interaction.
 * @param x `[B, F, D]`
 * @returns `[B, F(F − 1)/2]`
 */
export function dotInteraction(x: Tensor): Tensor {
  return apply(dotInteractionOp, [x], {});
}

/** dL/dx of y = dotInteraction(x) from x `[B, F, D]` and dL/dy. */
export function dotInteractionGradient(x: Tensor, g: Tensor): Tensor {
  return apply(dotInteractionGradientOp, [x, g], {});
}
