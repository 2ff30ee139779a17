/**
 * @file Element types of tensors, by NumPy's names, and the typed array that holds each on the host.
 *
 * `bool` is one byte an element, 0 or 1. `float64` exists for gradient checks on the `reference` target.
 */
import { ParetoError } from "./errors.ts";

/** Element type of a tensor. */
export type DType = "float32" | "float64" | "int32" | "bool";

/** Host storage of a tensor. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

const constructors = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  bool: Uint8Array,
} as const;

/** Bytes of one element. */
export function dtypeBytes(dtype: DType): number {
  return constructors[dtype].BYTES_PER_ELEMENT;
}

/** A zero-filled host array of `length` elements. */
export function allocate(dtype: DType, length: number): TypedArray {
  return new constructors[dtype](length);
}

/** Whether elements are floating point, i.e. whether gradients flow through them. */
export function isFloat(dtype: DType): dtype is "float32" | "float64" {
  return dtype === "float32" || dtype === "float64";
}

/**
 * Checks that a host array has the element type and length of a tensor.
 * @throws ParetoError `DTYPE_HOST_ARRAY` or `SHAPE_HOST_ARRAY`.
 */
export function checkHostArray(where: string, array: TypedArray, dtype: DType, length: number): void {
  if (!(array instanceof constructors[dtype])) {
    throw new ParetoError({
      code: "DTYPE_HOST_ARRAY",
      where,
      message: `${where}: expected a ${constructors[dtype].name} for ${dtype}, got ${array.constructor.name}`,
      fix: `Pass the values as a ${constructors[dtype].name}.`,
    });
  }
  if (array.length !== length) {
    throw new ParetoError({
      code: "SHAPE_HOST_ARRAY",
      where,
      message: `${where}: expected ${length} elements, got ${array.length}`,
      fix: "Pass as many values as the shape has elements, in row-major order.",
    });
  }
}
