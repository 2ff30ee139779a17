/** @file A tensor on the host, and random ones to test with. */
import { allocate, type DType, type TypedArray } from "../../../src/base/dtype.ts";
import { elementOf } from "../../../src/base/half.ts";
import type { Rng } from "../../../src/base/rng.ts";
import { sizeOf, type Shape } from "../../../src/base/shape.ts";

/** Elements with their shape and element type. */
export interface HostTensor {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly data: TypedArray;
}

/**
 * Uniform elements in [low, high), whole ones for int32. Those closer than 1e-3 to `avoid` move away from it, so
 * that a derivative's kink is never within a finite difference's step.
 */
export function randomTensor(
  rng: Rng,
  shape: Shape,
  dtype: DType,
  { low, high, avoid = [] }: { low: number; high: number; avoid?: readonly number[] },
): HostTensor {
  const data = allocate(dtype, sizeOf(shape));
  for (let i = 0; i < data.length; i++) {
    let value = low + (high - low) * rng.uniform();
    for (const kink of avoid) if (Math.abs(value - kink) < 1e-3) value = kink + 2e-3;
    data[i] =
      dtype === "int32"
        ? Math.floor(value)
        : dtype === "bool"
          ? value < (low + high) / 2
            ? 0
            : 1
          : elementOf(value, dtype);
  }
  return { shape, dtype, data };
}
