/**
 * @file The two 16-bit floating-point types. On the host their elements are the bit patterns, in a Uint16Array.
 *
 * `float16` is IEEE 754 binary16 (5 bits of exponent, 10 of mantissa, largest 65504); `bfloat16` is the upper half
 * of a float32 (8 and 7). Encoding rounds once, from the float64 given to the nearest representable number, ties
 * to even; what is too large becomes an infinity, NaN stays NaN (with a positive sign). Decoding is exact.
 */
import { isHalf, type DType, type HalfDType, type TypedArray } from "./dtype.ts";

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/**
 * The float32 bits of a number rounded to odd: what float32 cannot hold is cut off and leaves a 1 in the last bit,
 * so that rounding on to fewer bits gives what rounding the number itself would.
 */
function oddBits(value: number): number {
  float[0] = value;
  const near = float[0]!;
  const word = bits[0]!;
  if (near === value || Number.isNaN(value)) return word;
  return (Math.abs(near) > Math.abs(value) ? word - 1 : word) | 1;
}

/** `word / 2^shift` for a word below 2^31, ties to even. */
function shiftToEven(word: number, shift: number): number {
  return (word + 2 ** (shift - 1) - 1 + ((word >>> shift) & 1)) >>> shift;
}

function encodeBfloat16(value: number): number {
  const word = oddBits(value);
  const magnitude = word & 0x7fffffff;
  const sign = (word >>> 16) & 0x8000;
  return magnitude > 0x7f800000 ? 0x7fc0 : sign | shiftToEven(magnitude, 16);
}

function encodeFloat16(value: number): number {
  const word = oddBits(value);
  const magnitude = word & 0x7fffffff;
  const sign = (word >>> 16) & 0x8000;
  if (magnitude > 0x7f800000) return 0x7e00;
  // From 2^16 on; numbers that only round up to it reach the pattern of infinity by their carry.
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  const exponent = magnitude >>> 23;
  // Normal from 2^-14 on: the exponent's bias goes from 127 to 15, the mantissa from 23 bits to 10.
  if (exponent >= 113) return sign | shiftToEven(magnitude - 0x38000000, 13);
  // Subnormal: multiples of 2^-24. Below 2^-25 nothing is left.
  if (exponent < 102) return sign;
  return sign | shiftToEven((magnitude & 0x7fffff) | 0x800000, 126 - exponent);
}

function decodeBfloat16(pattern: number): number {
  bits[0] = pattern << 16;
  return float[0]!;
}

function decodeFloat16(pattern: number): number {
  const sign = pattern & 0x8000 ? -1 : 1;
  const exponent = (pattern >>> 10) & 0x1f;
  const mantissa = pattern & 0x3ff;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

const encoders = { float16: encodeFloat16, bfloat16: encodeBfloat16 };
const decoders = { float16: decodeFloat16, bfloat16: decodeBfloat16 };

/** Every float16, by its pattern; made at the first use. */
let float16Values: Float32Array | undefined;

/** Bit patterns of numbers, each rounded to the nearest of the type. */
export function encodeHalf(
  dtype: HalfDType,
  values: ArrayLike<number>,
  into = new Uint16Array(values.length),
): Uint16Array {
  const encode = encoders[dtype];
  for (let i = 0; i < values.length; i++) into[i] = encode(values[i]!);
  return into;
}

/** The numbers that bit patterns stand for. */
export function decodeHalf(
  dtype: HalfDType,
  patterns: ArrayLike<number>,
  into = new Float32Array(patterns.length),
): Float32Array {
  if (dtype === "bfloat16") {
    const words = new Uint32Array(into.buffer, into.byteOffset, into.length);
    for (let i = 0; i < patterns.length; i++) words[i] = patterns[i]! << 16;
    return into;
  }
  float16Values ??= Float32Array.from({ length: 65_536 }, (_, pattern) => decodeFloat16(pattern));
  for (let i = 0; i < patterns.length; i++) into[i] = float16Values[patterns[i]!]!;
  return into;
}

/** Rounds numbers in place to the nearest of the type. */
export function roundToHalf(dtype: HalfDType, values: Float32Array | Float64Array): void {
  const [encode, decode] = [encoders[dtype], decoders[dtype]];
  for (let i = 0; i < values.length; i++) values[i] = decode(encode(values[i]!));
}

/** The numbers in a host array of an element type; the array itself unless it holds bit patterns. */
export function numbersOf(array: TypedArray, dtype: DType): TypedArray {
  return isHalf(dtype) ? decodeHalf(dtype, array) : array;
}

/** One element of a host array as a number. */
export function numberOf(element: number, dtype: DType): number {
  return isHalf(dtype) ? decoders[dtype](element) : element;
}

/** One number as an element of a host array. */
export function elementOf(value: number, dtype: DType): number {
  return isHalf(dtype) ? encoders[dtype](value) : value;
}
