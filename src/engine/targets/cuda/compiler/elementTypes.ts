/**
 * @file Element types as generated kernels see them: what lies in memory, what a thread computes with, and how one
 * becomes the other. 16-bit floats are computed with as float and rounded to nearest even where they are stored.
 */
import { ParetoError } from "../../../../base/errors.ts";
import type { DType } from "../../../../base/dtype.ts";
import { numberOf } from "../../../../base/half.ts";
import type { HelperName } from "./helpers.ts";

/** An element type in CUDA C++. */
export interface ElementType {
  /** In memory. */
  readonly storage: string;
  /** Four neighbours in memory, read or written at once. */
  readonly vector: string;
  /** In a register. */
  readonly value: "float" | "int" | "bool";
  readonly load: (stored: string) => string;
  readonly store: (value: string) => string;
  readonly helpers?: readonly HelperName[];
}

const same = (x: string) => x;

const elementTypes: Readonly<Record<Exclude<DType, "float64">, ElementType>> = {
  float32: { storage: "float", vector: "float4", value: "float", load: same, store: same },
  int32: { storage: "int", vector: "int4", value: "int", load: same, store: same },
  bool: {
    storage: "unsigned char",
    vector: "uchar4",
    value: "bool",
    load: (x) => `${x} != 0`,
    store: (x) => `(unsigned char)(${x})`,
  },
  float16: {
    storage: "unsigned short",
    vector: "ushort4",
    value: "float",
    load: (x) => `from_float16(${x})`,
    store: (x) => `to_float16(${x})`,
    helpers: ["float16"],
  },
  bfloat16: {
    storage: "unsigned short",
    vector: "ushort4",
    value: "float",
    load: (x) => `from_bfloat16(${x})`,
    store: (x) => `to_bfloat16(${x})`,
    helpers: ["bfloat16"],
  },
};

/**
 * How an element type looks in a kernel.
 * @throws ParetoError `TARGET_UNSUPPORTED` for float64
 */
export function elementType(dtype: DType): ElementType {
  if (dtype === "float64") {
    throw new ParetoError({
      code: "TARGET_UNSUPPORTED",
      where: "compile",
      message: `compile: the cuda target has no double precision, got ${dtype}`,
      fix: 'Use float32, or open the device "reference" for float64.',
    });
  }
  return elementTypes[dtype];
}

/** An element of a host array as a literal of exactly its value. */
export function literal(stored: number, dtype: DType): string {
  const { value } = elementType(dtype);
  const x = numberOf(stored, dtype);
  if (value === "bool") return x === 0 ? "false" : "true";
  if (value === "int") return x === -(2 ** 31) ? "(-2147483647 - 1)" : String(x | 0);
  return floatLiteral(Math.fround(x));
}

/** A float32 in as few digits as give it back. */
export function floatLiteral(x: number): string {
  if (Number.isNaN(x)) return "__int_as_float(0x7fc00000)";
  if (!Number.isFinite(x)) return x > 0 ? "__int_as_float(0x7f800000)" : "__int_as_float(0xff800000)";
  if (Object.is(x, -0)) return "-0.0f";
  let text = String(x);
  for (let digits = 1; digits <= 9; digits++) {
    const shorter = String(Number(x.toPrecision(digits)));
    if (Math.fround(Number(shorter)) === x) {
      text = shorter;
      break;
    }
  }
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}
