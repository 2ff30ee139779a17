/** @file A tensor seen along one axis, as kernels see it that work along any: `[outer, length, inner]`. */
import { invariant } from "../../../../base/errors.ts";
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../../base/shape.ts";

/** Lengths before, of and behind an axis. */
export function alongAxis({ shape }: Tensor, axis: number): { outer: number; length: number; inner: number } {
  return {
    outer: sizeOf(shape.slice(0, axis)),
    length: shape[axis]!,
    inner: sizeOf(shape.slice(axis + 1)),
  };
}

/** The C type of a tensor's elements, as `kernels/prelude.cuh` names them. */
export function elementType({ dtype }: Tensor): "float" | "float16" | "bfloat16" | "int" {
  invariant(dtype !== "float64" && dtype !== "bool", `a kernel over ${dtype}`);
  return dtype === "float32" ? "float" : dtype === "int32" ? "int" : dtype;
}
