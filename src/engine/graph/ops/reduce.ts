/** @file Reductions and scans along axes other than `sum`: max, argmax, cumsum, softmax. */
import { floatDtypes, numericDtypes } from "../../../base/dtype.ts";
import { ParetoError } from "../../../base/errors.ts";
import { formatShape, normalizeAxis, type Shape } from "../../../base/shape.ts";
import { apply, requireDtype, type OpDefinition, type Tensor } from "../node.ts";
import { softmaxGradient } from "./composite/softmaxGradient.ts";
import { cast, div, equal, mul, neg } from "./elementwise.ts";
import { dropAxes, flip, keepDims, normalizeAxes, sum, transpose } from "./movement.ts";

function requireElements(where: string, shape: Shape, axes: readonly number[]): void {
  if (axes.some((axis) => shape[axis] === 0)) {
    throw new ParetoError({
      code: "SHAPE_EMPTY_REDUCTION",
      where,
      message: `${where}: no element to choose from along an axis, got ${formatShape(shape)}`,
      fix: "Reduce over axes that have at least one element.",
    });
  }
}

const maxOp: OpDefinition<"max"> = {
  name: "max",
  infer: ([x], { axes }) => {
    requireDtype("max", x!, ...numericDtypes);
    requireElements("max", x!.shape, axes);
    return [{ shape: keepDims(x!.shape, axes), dtype: x!.dtype }];
  },
  gradient: ({ inputs: [x], outputs: [y], attrs: { axes } }, [g]) => {
    const hit = cast(equal(x!, y!), x!.dtype);
    return [mul(hit, div(g!, sum(hit, axes, true)))];
  },
};

/** Largest element over axes (all when none are given); equal ones share the gradient. */
export function max(x: Tensor, axes?: number | readonly number[], keep = false): Tensor {
  const list = normalizeAxes("max", x.shape.length, axes);
  return dropAxes(list.length === 0 ? x : apply(maxOp, [x], { axes: list }), list, keep);
}

/** Smallest element over axes (all when none are given); equal ones share the gradient. */
export function min(x: Tensor, axes?: number | readonly number[], keep = false): Tensor {
  return neg(max(neg(x), axes, keep));
}

const argmaxOp: OpDefinition<"argmax"> = {
  name: "argmax",
  infer: ([x], { axis }) => {
    requireDtype("argmax", x!, ...numericDtypes);
    requireElements("argmax", x!.shape, [axis]);
    return [{ shape: x!.shape.toSpliced(axis, 1), dtype: "int32" }];
  },
};

/** Position of the largest element along an axis, the first of equals; int32, without that axis. */
export function argmax(x: Tensor, axis = -1): Tensor {
  return apply(argmaxOp, [x], { axis: normalizeAxis("argmax", axis, x.shape.length) });
}

const cumsumOp: OpDefinition<"cumsum"> = {
  name: "cumsum",
  infer: ([x]) => {
    requireDtype("cumsum", x!, ...numericDtypes);
    return [x!];
  },
  gradient: ({ attrs: { axis } }, [g]) => [flip(cumsum(flip(g!, axis), axis), axis)],
};

/** Running sum along an axis, each element included. */
export function cumsum(x: Tensor, axis = -1): Tensor {
  return apply(cumsumOp, [x], { axis: normalizeAxis("cumsum", axis, x.shape.length) });
}

const softmaxOp: OpDefinition<"softmax"> = {
  name: "softmax",
  infer: ([x]) => {
    requireDtype("softmax", x!, ...floatDtypes);
    requireElements("softmax", x!.shape, [x!.shape.length - 1]);
    return [x!];
  },
  gradient: ({ outputs: [y] }, [g]) => [softmaxGradient(y!, g!)],
};

/** e^(x − max) over its sum along an axis. */
export function softmax(x: Tensor, axis = -1): Tensor {
  const last = x.shape.length - 1;
  const at = normalizeAxis("softmax", axis, x.shape.length);
  if (at === last) return apply(softmaxOp, [x], {});
  const swap = x.shape.map((_, i) => (i === at ? last : i === last ? at : i));
  return transpose(apply(softmaxOp, [transpose(x, swap)], {}), swap);
}
