/** @file The launch that all row kernels share: a group of threads a row, the row's width known to the compiler. */
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../../base/shape.ts";
import type { KernelArgument } from "../plan.ts";
import { elementType } from "./axes.ts";
import { int32, kernelStep, reads, vectorWidth, writes } from "./kernelStep.ts";
import type { LowerContext } from "./lowering.ts";
import { rowShape } from "./rowShape.ts";

/** Registers that a thread gives to the elements of rows. */
const HELD_MAX = 32;

/** A row kernel over the last axis of its first operand. */
interface RowKernel {
  readonly file: string;
  readonly name?: string;
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  /** Rows that each thread holds a part of. */
  readonly heldRows?: number;
  /** Arguments behind operands, result and number of rows. */
  readonly more?: readonly KernelArgument[];
}

/** Emits a row kernel, unless there is no element. */
export function emitRowKernel(context: LowerContext, kernel: RowKernel): void {
  const { file, name = file, inputs, output, heldRows = 1, more = [] } = kernel;
  const x = inputs[0]!;
  const width = x.shape.at(-1)!;
  const rows = sizeOf(x.shape.slice(0, -1));
  if (rows * width === 0) return;
  const wide = [...inputs, output].filter((t) => t.dtype === x.dtype && t.shape.at(-1) === width);
  const vector = vectorWidth(width, x.dtype, ...wide.map((t) => context.view(t)));
  const shape = rowShape(width, vector, HELD_MAX / heldRows);
  context.emit(
    kernelStep({
      file,
      name,
      defines: { ELEMENT: elementType(x), WIDTH: width, VECTOR: vector, ...shape },
      about: x,
      grid: [Math.ceil(rows / shape.ROWS), 1, 1],
      block: [shape.THREADS * shape.ROWS, 1, 1],
      arguments: [...inputs.map((t) => reads(context, t)), writes(context, output), int32(rows), ...more],
    }),
  );
}
