/**
 * @file Static shapes: sizes, strides and NumPy broadcasting.
 *
 * A shape is a readonly list of non-negative integers, row-major; `[]` is a scalar. A zero anywhere makes the
 * tensor empty, which is legal in every op.
 */
import { dtypeBytes, type DType } from "./dtype.ts";
import { ParetoError } from "./errors.ts";

/** Lengths of a tensor's axes, outermost first. */
export type Shape = readonly number[];

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
}

/** Bytes of a tensor's elements. */
export function tensorBytes({ shape, dtype }: { readonly shape: Shape; readonly dtype: DType }): number {
  return sizeOf(shape) * dtypeBytes(dtype);
}

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = Array.from<number>({ length: shape.length });
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/** Whether two shapes are the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** Text of a shape for messages, e.g. `[2, 3]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/**
 * The common shape of operands under NumPy broadcasting.
 * @throws ParetoError `SHAPE_BROADCAST` when an axis differs and neither length is 1.
 */
export function broadcastShapes(where: string, ...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const out = Array.from<number>({ length: rank }).fill(1);
  for (const shape of shapes) {
    const lead = rank - shape.length;
    for (let i = 0; i < shape.length; i++) {
      const n = shape[i]!;
      const axis = lead + i;
      if (n === out[axis] || n === 1) continue;
      if (out[axis] !== 1) {
        throw new ParetoError({
          code: "SHAPE_BROADCAST",
          where,
          message: `${where}: shapes do not broadcast, got ${shapes.map(formatShape).join(" and ")}`,
          fix: "Make the axes equal, or of length 1, counting from the last; reshape or transpose first.",
        });
      }
      out[axis] = n;
    }
  }
  return out;
}

/**
 * An axis counted from the front; negative axes count from the back, as in NumPy.
 * @throws ParetoError `SHAPE_AXIS` when it is out of range.
 */
export function normalizeAxis(where: string, axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normal < 0 || normal >= rank) {
    throw new ParetoError({
      code: "SHAPE_AXIS",
      where,
      message: `${where}: axis out of range for a tensor of ${rank} axes, got ${axis}`,
      fix: `Use an axis from ${-rank} to ${rank - 1}.`,
    });
  }
  return normal;
}

/**
 * Checks the lengths of a shape.
 * @throws ParetoError `SHAPE_LENGTH` for a negative or fractional length.
 */
export function checkShape(where: string, shape: Shape): void {
  if (!shape.every((n) => Number.isInteger(n) && n >= 0)) {
    throw new ParetoError({
      code: "SHAPE_LENGTH",
      where,
      message: `${where}: lengths must be whole and not negative, got ${formatShape(shape)}`,
      fix: "Give each axis a whole length; shapes are static.",
    });
  }
}
