/**
 * @file Rules of the convolution and of its two gradients, as matrix products over unfolded inputs.
 *
 * Without groups a matmul a sample writes the output where it belongs. With groups the groups are the batch of one
 * matmul, whose columns are all samples' steps; the output's two leading axes are then swapped into place.
 */
import type { Tensor } from "../../../graph/node.ts";
import type { Conv1dAttrs } from "../../../graph/opAttrs.ts";
import { sizeOf, tensorBytes } from "../../../../base/shape.ts";
import type { BufferView, KernelArgument, MatmulSpec } from "../plan.ts";
import { elementwise, int32, int64, kernelStep, reads, scratchArgument, writes } from "./kernelStep.ts";
import type { LowerContext, LowerRule } from "./lowering.ts";

/** The lengths of a convolution. */
interface Sizes {
  readonly batch: number;
  /** Channels and outputs a group. */
  readonly channels: number;
  readonly outputs: number;
  readonly length: number;
  readonly kernel: number;
  readonly steps: number;
  readonly attrs: Conv1dAttrs;
}

function sizesOf(x: Tensor["shape"], w: Tensor["shape"], y: Tensor["shape"], attrs: Conv1dAttrs): Sizes {
  return {
    batch: x[0]!,
    channels: w[1]!,
    outputs: w[0]! / attrs.groups,
    length: x[2]!,
    kernel: w[2]!,
    steps: y[2]!,
    attrs,
  };
}

/** Where columns lie: `[B, G, C·K, steps]`, or `[G, C·K, B, steps]`, in which all samples are one matrix a group. */
type ColumnOrder = "bySample" | "byGroup";

const columnBytes = (s: Sizes) => s.batch * s.attrs.groups * s.channels * s.kernel * s.steps * 4;

function conv1dMacros(s: Sizes, order: ColumnOrder): Record<string, number | string> {
  const { stride, dilation, padding, groups } = s.attrs;
  const rows = s.channels * s.kernel;
  const strides =
    order === "bySample"
      ? { STRIDE_B: groups * rows * s.steps, STRIDE_G: rows * s.steps, STRIDE_K: s.steps }
      : { STRIDE_B: s.steps, STRIDE_G: rows * s.batch * s.steps, STRIDE_K: s.batch * s.steps };
  return {
    GROUPS: groups,
    CHANNELS: s.channels,
    LENGTH: s.length,
    STEPS: s.steps,
    KERNEL: s.kernel,
    STEP: stride,
    DILATION: dilation,
    PADDING: padding[0],
    ...strides,
    INDEX: indexType(largest(s)),
  };
}

/** Elements of the largest tensor that takes part. */
const largest = (s: Sizes) => Math.max(columnBytes(s) / 4, s.batch * s.attrs.groups * s.channels * s.length);

/** The C type that counts so many elements: divisions by shorter ones are faster. */
const indexType = (elements: number) => (elements < 2 ** 31 ? "unsigned" : "unsigned long long");

/** An argument of that type. */
const indexArgument = (value: number, elements: number) => (elements < 2 ** 31 ? int32(value) : int64(value));

/** Emits the columns of an input. */
function unfold(context: LowerContext, x: Tensor, s: Sizes, order: ColumnOrder): BufferView {
  const bytes = columnBytes(s);
  const columns = context.scratch(bytes);
  context.emit(
    kernelStep({
      file: "conv1d",
      name: "unfold",
      defines: conv1dMacros(s, order),
      about: x,
      ...elementwise(bytes / 4),
      arguments: [
        reads(context, x),
        scratchArgument(columns, "write", bytes),
        indexArgument(bytes / 4, largest(s)),
      ],
    }),
  );
  return columns;
}

/** Emits `[first, second, inner]` → `[second, first, inner]`. */
function swapAxes(
  context: LowerContext,
  about: Tensor,
  [from, to]: readonly [KernelArgument, KernelArgument],
  [first, second, inner]: readonly [number, number, number],
): void {
  const size = first * second * inner;
  context.emit(
    kernelStep({
      file: "conv1d",
      name: "swapAxes",
      defines: { INDEX: indexType(size) },
      about,
      ...elementwise(size),
      arguments: [from, to, int32(first), int32(second), int32(inner), indexArgument(size, size)],
    }),
  );
}

/** `[B, O, steps]` as `[O, B, steps]`: one matrix a group. */
function byGroup(context: LowerContext, y: Tensor): BufferView {
  const [batch, outputs, steps] = y.shape as [number, number, number];
  if (batch === 1) return context.view(y);
  const swapped = context.scratch(tensorBytes(y));
  const to = scratchArgument(swapped, "write", tensorBytes(y));
  swapAxes(context, y, [reads(context, y), to], [batch, outputs, steps]);
  return swapped;
}

function matmul(
  context: LowerContext,
  about: string,
  spec: Pick<MatmulSpec, "m" | "n" | "k" | "batch" | "strideA" | "strideB"> &
    Partial<Pick<MatmulSpec, "transposeA" | "transposeB">>,
  { a, b, out }: { a: BufferView; b: BufferView; out: BufferView },
): void {
  context.emit({
    kind: "matmul",
    label: `${about} [${spec.batch}, ${spec.m}, ${spec.n}] k ${spec.k}`,
    spec: {
      transposeA: false,
      transposeB: false,
      strideOut: spec.m * spec.n,
      dtype: "float32",
      outDtype: "float32",
      compute: context.compute,
      epilogue: "none",
      ...spec,
    },
    a,
    b,
    out,
  });
}

/** Whether nothing is convolved, so that the result is empty or zero; it is then written. */
function isNothing(context: LowerContext, inputs: readonly Tensor[], output: Tensor): boolean {
  if (inputs.every((t) => sizeOf(t.shape) > 0) && sizeOf(output.shape) > 0) return false;
  if (sizeOf(output.shape) > 0) {
    context.emit({ kind: "clear", to: context.view(output), bytes: tensorBytes(output) });
  }
  return true;
}

/** Rule of the convolution. */
export const lowerConv1d: LowerRule<"conv1d"> = ({ inputs, outputs, attrs }, context) => {
  const [x, w] = inputs as [Tensor, Tensor];
  const y = outputs[0]!;
  if (isNothing(context, inputs, y)) return;
  const s = sizesOf(x.shape, w.shape, y.shape, attrs);
  const k = s.channels * s.kernel;
  const a = context.view(w);
  if (attrs.groups === 1) {
    const b = unfold(context, x, s, "bySample");
    const spec = { m: s.outputs, n: s.steps, k, batch: s.batch, strideA: 0, strideB: k * s.steps };
    matmul(context, "conv1d", spec, { a, b, out: context.view(y) });
    return;
  }
  const b = unfold(context, x, s, "byGroup");
  const n = s.batch * s.steps;
  const out = s.batch === 1 ? context.view(y) : context.scratch(tensorBytes(y));
  const spec = { m: s.outputs, n, k, batch: attrs.groups, strideA: s.outputs * k, strideB: k * n };
  matmul(context, "conv1d", spec, { a, b, out });
  if (s.batch === 1) return;
  const from = scratchArgument(out, "read", tensorBytes(y));
  swapAxes(context, y, [from, writes(context, y)], [y.shape[1]!, s.batch, s.steps]);
};

/** Rule of the convolution's gradient by its input: columns of the gradient, folded back. */
export const lowerConv1dInputGradient: LowerRule<"conv1dInputGradient"> = (
  { inputs, outputs, attrs },
  context,
) => {
  const [g, w] = inputs as [Tensor, Tensor];
  const dx = outputs[0]!;
  if (isNothing(context, inputs, dx)) return;
  const s = sizesOf(dx.shape, w.shape, g.shape, attrs);
  const m = s.channels * s.kernel;
  const order: ColumnOrder = attrs.groups === 1 ? "bySample" : "byGroup";
  const b = order === "bySample" ? context.view(g) : byGroup(context, g);
  const columns = context.scratch(columnBytes(s));
  const n = order === "bySample" ? s.steps : s.batch * s.steps;
  matmul(
    context,
    "conv1dInputGradient",
    {
      m,
      n,
      k: s.outputs,
      batch: order === "bySample" ? s.batch : attrs.groups,
      strideA: order === "bySample" ? 0 : s.outputs * m,
      strideB: s.outputs * n,
      transposeA: true,
    },
    { a: context.view(w), b, out: columns },
  );
  const size = sizeOf(dx.shape);
  context.emit(
    kernelStep({
      file: "conv1d",
      name: "fold",
      defines: conv1dMacros(s, order),
      about: dx,
      ...elementwise(size),
      arguments: [
        scratchArgument(columns, "read", columnBytes(s)),
        writes(context, dx),
        indexArgument(size, largest(s)),
      ],
    }),
  );
};

/** Rule of the convolution's gradient by its kernel: one sum over all samples and steps a group. */
export const lowerConv1dKernelGradient: LowerRule<"conv1dKernelGradient"> = (
  { inputs, outputs, attrs },
  context,
) => {
  const [x, g] = inputs as [Tensor, Tensor];
  const dw = outputs[0]!;
  if (isNothing(context, inputs, dw)) return;
  const s = sizesOf(x.shape, dw.shape, g.shape, attrs);
  const a = byGroup(context, g);
  const b = unfold(context, x, s, "byGroup");
  const [n, k] = [s.channels * s.kernel, s.batch * s.steps];
  matmul(
    context,
    "conv1dKernelGradient",
    {
      m: s.outputs,
      n,
      k,
      batch: attrs.groups,
      strideA: s.outputs * k,
      strideB: n * k,
      transposeB: true,
    },
    { a, b, out: context.view(dw) },
  );
};
