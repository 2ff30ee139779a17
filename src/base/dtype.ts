/**
 * @file Element types of tensors, by NumPy's names, and the typed array that holds each on the host.
 *
 * `bool` is one byte an element, 0 or 1. `float64` exists for gradient checks on the `reference` target. `float16`
 * and `bfloat16` are bit patterns on the host; `half.ts` converts them to and from numbers.
 */
import { ParetoError } from "./errors.ts";

/** The floating-point types of 16 bits. */
export type HalfDType = "float16" | "bfloat16";

/** The floating-point types. */
export type FloatDType = "float32" | "float64" | HalfDType;

/** Element type of a tensor. */
export type DType = FloatDType | "int32" | "bool";

/** Host storage of a tensor. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array | Uint16Array;

const constructors = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>;

/** The floating-point types, as a list for checks of operands. */
export const floatDtypes: readonly FloatDType[] = ["float32", "float64", "float16", "bfloat16"];

/** The types that have arithmetic, as a list for checks of operands. */
export const numericDtypes: readonly DType[] = [...floatDtypes, "int32"];

/** Bytes of one element. */
export function dtypeBytes(dtype: DType): number {
  return constructors[dtype].BYTES_PER_ELEMENT;
}

/** A zero-filled host array of `length` elements. */
export function allocate(dtype: DType, length: number): TypedArray {
  return new constructors[dtype](length);
}

/** The bytes of any view, without a copy. */
export function viewBytes({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** Whether elements are floating point, i.e. whether gradients flow through them. */
export function isFloat(dtype: DType): dtype is FloatDType {
  return dtype !== "int32" && dtype !== "bool";
}

/** Whether elements are floats of 16 bits, which a host array holds as bit patterns. */
export function isHalf(dtype: DType): dtype is HalfDType {
  return dtype === "float16" || dtype === "bfloat16";
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
