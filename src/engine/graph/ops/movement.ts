/**
 * @file Ops that move elements, and `sum`, which is broadcasting's transpose and so belongs beside it.
 * No arithmetic but addition; every one works on any element type unless it says otherwise.
 */
import { numericDtypes } from "../../../base/dtype.ts";
import { ParetoError } from "../../../base/errors.ts";
import {
  broadcastShapes,
  formatShape,
  normalizeAxis,
  sameShape,
  sizeOf,
  type Shape,
} from "../../../base/shape.ts";
import { apply, commonDtype, requireDtype, type OpDefinition, type Tensor } from "../node.ts";

const reshapeOp: OpDefinition<"reshape"> = {
  name: "reshape",
  infer: ([x], { shape }) => {
    if (sizeOf(x!.shape) !== sizeOf(shape)) {
      throw new ParetoError({
        code: "SHAPE_RESHAPE",
        where: "reshape",
        message: `reshape: ${formatShape(x!.shape)} has ${sizeOf(x!.shape)} elements, got the shape ${formatShape(shape)}`,
        fix: "Give a shape of as many elements; one length may be -1.",
      });
    }
    return [{ shape, dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x] }, [g]) => [reshape(g!, x!.shape)],
};

/** The same elements under another shape; one length may be -1. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const hole = shape.indexOf(-1);
  const known = sizeOf(shape.filter((n) => n !== -1));
  const full = hole < 0 ? shape : shape.with(hole, known === 0 ? 0 : sizeOf(x.shape) / known);
  return sameShape(full, x.shape) ? x : apply(reshapeOp, [x], { shape: full });
}

const broadcastToOp: OpDefinition<"broadcastTo"> = {
  name: "broadcastTo",
  infer: ([x], { shape }) => {
    if (!sameShape(broadcastShapes("broadcastTo", x!.shape, shape), shape)) {
      throw new ParetoError({
        code: "SHAPE_BROADCAST",
        where: "broadcastTo",
        message: `broadcastTo: ${formatShape(x!.shape)} does not broadcast, got the shape ${formatShape(shape)}`,
        fix: "Only axes of length 1, and missing leading axes, can be stretched.",
      });
    }
    return [{ shape, dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x] }, [g]) => [sumTo(g!, x!.shape)],
};

/** Repeats elements along axes of length 1 and new leading axes. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply(broadcastToOp, [x], { shape });
}

const sumOp: OpDefinition<"sum"> = {
  name: "sum",
  infer: ([x], { axes }) => {
    requireDtype("sum", x!, ...numericDtypes);
    return [{ shape: keepDims(x!.shape, axes), dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x] }, [g]) => [broadcastTo(g!, x!.shape)],
};

/** The shape with each reduced axis of length 1. */
export function keepDims(shape: Shape, axes: readonly number[]): number[] {
  return shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
}

/** Axes counted from the front, ascending; all of them when none are given. */
export function normalizeAxes(where: string, rank: number, axes?: number | readonly number[]): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = typeof axes === "number" ? [axes] : axes;
  return [...new Set(list.map((axis) => normalizeAxis(where, axis, rank)))].sort((a, b) => a - b);
}

/** Drops the reduced axes of a result that kept them, unless they are to stay. */
export function dropAxes(x: Tensor, axes: readonly number[], keep: boolean): Tensor {
  if (keep) return x;
  return reshape(
    x,
    x.shape.filter((_, axis) => !axes.includes(axis)),
  );
}

/**
 * Sum over axes (all when none are given), in float32 or wider and rounded once. The sum of nothing is 0.
 */
export function sum(x: Tensor, axes?: number | readonly number[], keep = false): Tensor {
  const list = normalizeAxes("sum", x.shape.length, axes);
  return dropAxes(list.length === 0 ? x : apply(sumOp, [x], { axes: list }), list, keep);
}

/** Sums a broadcast gradient back to the shape of the operand it came from. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((n, axis) =>
    axis < lead || (shape[axis - lead] === 1 && n !== 1) ? [axis] : [],
  );
  return reshape(sum(x, axes, true), shape);
}

const transposeOp: OpDefinition<"transpose"> = {
  name: "transpose",
  infer: ([x], { permutation }) => {
    const rank = x!.shape.length;
    if (permutation.length !== rank || new Set(permutation).size !== rank) {
      throw new ParetoError({
        code: "SHAPE_PERMUTATION",
        where: "transpose",
        message: `transpose: expected an order of ${rank} axes, got [${permutation.join(", ")}]`,
        fix: "Name each axis once.",
      });
    }
    return [{ shape: permutation.map((axis) => x!.shape[axis]!), dtype: x!.dtype }];
  },
  gradient: ({ attrs: { permutation } }, [g]) => [
    transpose(
      g!,
      permutation.map((_, axis) => permutation.indexOf(axis)),
    ),
  ],
};

/** Reorders axes; without an order, swaps the last two. */
export function transpose(x: Tensor, permutation?: readonly number[]): Tensor {
  const rank = x.shape.length;
  const order =
    permutation?.map((axis) => normalizeAxis("transpose", axis, rank)) ??
    x.shape.map((_, axis) => (axis === rank - 1 ? rank - 2 : axis === rank - 2 ? rank - 1 : axis));
  if (rank < 2 || order.every((axis, i) => axis === i)) return x;
  return apply(transposeOp, [x], { permutation: order });
}

/** Elements in `[start, end)` by `step`. */
function sliceLength(start: number, end: number, step: number): number {
  return Math.max(0, Math.ceil((end - start) / step));
}

const sliceOp: OpDefinition<"slice"> = {
  name: "slice",
  infer: ([x], { starts, ends, steps }) => [
    { shape: x!.shape.map((_, i) => sliceLength(starts[i]!, ends[i]!, steps[i]!)), dtype: x!.dtype },
  ],
  gradient: ({ inputs: [x], attrs: { starts, steps } }, [g]) => {
    // Spread strided elements apart first: reshape to [n, 1], pad to [n, step], flatten, cut the surplus.
    let spread = g!;
    steps.forEach((step, axis) => {
      if (step === 1) return;
      const n = spread.shape[axis]!;
      const before = spread.shape.slice(0, axis);
      const after = spread.shape.slice(axis + 1);
      const widths = [...before.map(() => 0), 0, step - 1, ...after.map(() => 0)];
      const padded = pad(
        reshape(spread, [...before, n, 1, ...after]),
        widths.map(() => 0),
        widths,
      );
      const flat = reshape(padded, [...before, n * step, ...after]);
      spread = slice(flat, { [axis]: [0, Math.min(n * step, x!.shape[axis]! - starts[axis]!)] });
    });
    const end = x!.shape.map((n, axis) => n - starts[axis]! - spread.shape[axis]!);
    return [pad(spread, starts, end)];
  },
};

/**
 * A part of a tensor: for each axis named, `[start, end)` or `[start, end, step]` with positive steps; negative
 * positions count from the end, and positions beyond an end are cut, as in NumPy.
 */
export function slice(
  x: Tensor,
  ranges: Record<number, readonly [number, number] | readonly [number, number, number]>,
): Tensor {
  const starts = x.shape.map(() => 0);
  const ends = [...x.shape];
  const steps = x.shape.map(() => 1);
  for (const [key, [start, end, step = 1]] of Object.entries(ranges)) {
    const axis = normalizeAxis("slice", Number(key), x.shape.length);
    if (!Number.isInteger(step) || step < 1) {
      throw new ParetoError({
        code: "SHAPE_SLICE_STEP",
        where: "slice",
        message: `slice: steps must be positive, got ${step}`,
        fix: "Use flip(x, axis) to reverse an axis.",
      });
    }
    const n = x.shape[axis]!;
    const place = (p: number) => Math.min(Math.max(p < 0 ? p + n : p, 0), n);
    starts[axis] = place(start);
    ends[axis] = Math.max(place(start), place(end));
    steps[axis] = step;
  }
  const whole = x.shape.every((n, i) => starts[i] === 0 && ends[i] === n && steps[i] === 1);
  return whole ? x : apply(sliceOp, [x], { starts, ends, steps });
}

const padOp: OpDefinition<"pad"> = {
  name: "pad",
  infer: ([x], { before, after }) => [
    { shape: x!.shape.map((n, i) => n + before[i]! + after[i]!), dtype: x!.dtype },
  ],
  gradient: ({ inputs: [x], attrs: { before } }, [g]) => [
    slice(g!, Object.fromEntries(x!.shape.map((n, i) => [i, [before[i]!, before[i]! + n] as const]))),
  ],
};

/** Adds elements of one value around a tensor, so many before and after along each axis. */
export function pad(x: Tensor, before: readonly number[], after: readonly number[], value = 0): Tensor {
  if (before.every((n) => n === 0) && after.every((n) => n === 0)) return x;
  return apply(padOp, [x], { before, after, value });
}

const concatOp: OpDefinition<"concat"> = {
  name: "concat",
  infer: (parts, { axis }) => {
    const first = parts[0]!;
    const shape = first.shape.with(
      axis,
      parts.reduce((n, part) => n + (part.shape[axis] ?? 0), 0),
    );
    for (const part of parts) {
      const fits = part.shape.length === first.shape.length;
      if (!fits || !sameShape(part.shape.with(axis, 0), first.shape.with(axis, 0))) {
        throw new ParetoError({
          code: "SHAPE_CONCAT",
          where: "concat",
          message: `concat: parts differ beside axis ${axis}, got ${parts.map((p) => formatShape(p.shape)).join(" and ")}`,
          fix: "Parts must be alike but along the axis that joins them.",
        });
      }
    }
    return [{ shape, dtype: commonDtype("concat", parts) }];
  },
  gradient: ({ inputs, attrs: { axis } }, [g]) => {
    let start = 0;
    return inputs.map((part) => {
      const end = start + part.shape[axis]!;
      const cut = slice(g!, { [axis]: [start, end] });
      start = end;
      return cut;
    });
  },
};

/** Joins tensors along an axis. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  if (parts.length === 0) {
    throw new ParetoError({
      code: "SHAPE_CONCAT",
      where: "concat",
      message: "concat: expected at least one tensor, got 0",
      fix: "Pass the parts to join.",
    });
  }
  if (parts.length === 1) return parts[0]!;
  return apply(concatOp, parts, { axis: normalizeAxis("concat", axis, parts[0]!.shape.length) });
}

const flipOp: OpDefinition<"flip"> = {
  name: "flip",
  infer: ([x]) => [x!],
  gradient: ({ attrs: { axis } }, [g]) => [flip(g!, axis)],
};

/** Reverses the order of elements along an axis. */
export function flip(x: Tensor, axis: number): Tensor {
  return apply(flipOp, [x], { axis: normalizeAxis("flip", axis, x.shape.length) });
}
