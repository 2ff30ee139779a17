/**
 * @file Rules of layer norm and of its gradient. The gradient by weight and bias is summed in two stages: many blocks
 * each sum some rows, then columns of their sums are added.
 */
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf, tensorBytes } from "../../../../base/shape.ts";
import type { BufferView } from "../plan.ts";
import { elementType } from "./axes.ts";
import { float32, int32, kernelStep, reads, scratchArgument, vectorWidth, writes } from "./kernelStep.ts";
import type { LowerContext, LowerRule } from "./lowering.ts";
import { emitRowKernel } from "./rowKernel.ts";
import { rowShape } from "./rowShape.ts";

/** Elements of a row that a thread of the gradient holds: four arrays of them stay in registers. */
const GRADIENT_HELD_MAX = 8;
/** Threads that a multiprocessor can run when each takes 64 registers. */
const RESIDENT_THREADS = 1024;
/** Threads a row too wide for registers. */
const WIDE_THREADS = 1024;

/** Rule of layer norm. */
export const lowerLayerNorm: LowerRule<"layerNorm"> = ({ inputs, outputs, attrs }, context) => {
  emitRowKernel(context, {
    file: "layerNorm",
    inputs,
    output: outputs[0]!,
    more: [float32(attrs.epsilon)],
  });
};

/** Rule of layer norm's gradient. */
export const lowerLayerNormGradient: LowerRule<"layerNormGradient"> = (
  { inputs, outputs, attrs },
  context,
) => {
  const [x, weight, g] = inputs as [Tensor, Tensor, Tensor];
  const [dx, dweight, dbias] = outputs as [Tensor, Tensor, Tensor];
  const width = x.shape.at(-1)!;
  const rows = sizeOf(x.shape.slice(0, -1));
  if (width === 0) return;
  if (rows === 0) {
    for (const t of [dweight, dbias]) {
      context.emit({ kind: "clear", to: context.view(t), bytes: tensorBytes(t) });
    }
    return;
  }
  const vector = vectorWidth(width, x.dtype, ...[x, weight, g, dx].map((t) => context.view(t)));
  const shape = rowShape(width, vector, GRADIENT_HELD_MAX);
  const parts =
    shape.HELD === "true"
      ? emitHeld(context, { x, weight, g, dx, rows, width, vector, epsilon: attrs.epsilon, shape })
      : emitWide(context, { x, weight, g, dx, rows, width, vector, epsilon: attrs.epsilon });
  context.emit(
    kernelStep({
      file: "columnSums",
      defines: { ELEMENT: elementType(dweight) },
      about: dweight,
      grid: [Math.ceil((2 * width) / 32), 1, 1],
      block: [32, 16, 1],
      arguments: [
        scratchArgument(parts.view, "read", parts.count * 2 * width * 4),
        writes(context, dweight),
        writes(context, dbias),
        int32(parts.count),
        int32(2 * width),
        int32(width),
      ],
    }),
  );
};

interface Gradient {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly g: Tensor;
  readonly dx: Tensor;
  readonly rows: number;
  readonly width: number;
  readonly vector: number;
  readonly epsilon: number;
}

/** Sums of g·n and of g over some rows each: `[count, 2, width]`. */
interface Parts {
  readonly view: BufferView;
  readonly count: number;
}

function emitHeld(context: LowerContext, gradient: Gradient & { shape: ReturnType<typeof rowShape> }): Parts {
  const { x, weight, g, dx, rows, width, vector, epsilon, shape } = gradient;
  const threads = shape.THREADS * shape.ROWS;
  const count = Math.min(
    Math.ceil(rows / shape.ROWS),
    context.multiprocessors * Math.floor(RESIDENT_THREADS / threads),
  );
  const view = context.scratch(count * 2 * width * 4);
  context.emit(
    kernelStep({
      file: "layerNormGradient",
      defines: {
        ELEMENT: elementType(x),
        WIDTH: width,
        VECTOR: vector,
        THREADS: shape.THREADS,
        ROWS: shape.ROWS,
      },
      about: x,
      grid: [count, 1, 1],
      block: [threads, 1, 1],
      arguments: [
        ...[x, weight, g].map((t) => reads(context, t)),
        writes(context, dx),
        scratchArgument(view, "write", count * 2 * width * 4),
        int32(rows),
        float32(epsilon),
      ],
    }),
  );
  return { view, count };
}

function emitWide(context: LowerContext, gradient: Gradient): Parts {
  const { x, weight, g, dx, rows, width, vector, epsilon } = gradient;
  const stats = context.scratch(rows * 2 * 4);
  const across = Math.ceil(width / 256);
  const count = Math.min(rows, Math.ceil((context.multiprocessors * 8) / across));
  const view = context.scratch(count * 2 * width * 4);
  context.emit(
    kernelStep({
      file: "layerNormRows",
      defines: { ELEMENT: elementType(x), WIDTH: width, VECTOR: vector, THREADS: WIDE_THREADS },
      about: x,
      grid: [rows, 1, 1],
      block: [WIDE_THREADS, 1, 1],
      arguments: [
        ...[x, weight, g].map((t) => reads(context, t)),
        writes(context, dx),
        scratchArgument(stats, "write", rows * 2 * 4),
        float32(epsilon),
      ],
    }),
  );
  context.emit(
    kernelStep({
      file: "layerNormColumns",
      defines: { ELEMENT: elementType(x) },
      about: x,
      grid: [across, count, 1],
      block: [256, 1, 1],
      arguments: [
        reads(context, x),
        reads(context, g),
        scratchArgument(stats, "read", rows * 2 * 4),
        scratchArgument(view, "write", count * 2 * width * 4),
        int32(rows),
        int32(width),
      ],
    }),
  );
  return { view, count };
}
