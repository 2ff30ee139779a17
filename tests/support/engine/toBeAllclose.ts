/** @file The one matcher for tensors: shape, element type, and |got − want| ≤ atol + rtol · |want|. */
import { expect } from "vitest";
import { numbersOf } from "../../../src/base/half.ts";
import { formatShape, sameShape, stridesOf } from "../../../src/base/shape.ts";
import type { HostTensor } from "./hostTensor.ts";
import type { Tolerance } from "./tolerances.ts";

/** Index of a flat position, e.g. `[1, 2]`. */
function indexOf(position: number, { shape }: HostTensor): string {
  const strides = stridesOf(shape);
  return formatShape(shape.map((n, axis) => Math.floor(position / strides[axis]!) % n));
}

/** What is wrong with `got`; undefined if it is close. NaN is close to NaN, an infinity to itself. */
function difference(got: HostTensor, want: HostTensor, { rtol, atol }: Tolerance): string | undefined {
  if (got.dtype !== want.dtype) return `element type ${got.dtype}, expected ${want.dtype}`;
  if (!sameShape(got.shape, want.shape)) {
    return `shape ${formatShape(got.shape)}, expected ${formatShape(want.shape)}`;
  }
  if (got.data.length !== want.data.length)
    return `${got.data.length} elements, expected ${want.data.length}`;
  const [numbers, wanted] = [numbersOf(got.data, got.dtype), numbersOf(want.data, want.dtype)];
  let bad = 0;
  let worst = -1;
  let largest = -1;
  wanted.forEach((b, i) => {
    const a = numbers[i]!;
    if (Object.is(a, b) || a === b) return;
    const distance = Math.abs(a - b);
    if (distance <= atol + rtol * Math.abs(b) && Number.isFinite(b)) return;
    bad++;
    const size = Number.isNaN(distance) ? Infinity : distance;
    if (size > largest) {
      largest = size;
      worst = i;
    }
  });
  if (bad === 0) return undefined;
  return (
    `${bad} of ${want.data.length} elements differ by more than ${atol} + ${rtol} · |want|; the most at ` +
    `${indexOf(worst, want)}: got ${numbers[worst]}, expected ${wanted[worst]} (max difference ${largest})`
  );
}

declare module "vitest" {
  // The type parameters repeat those of the interface that this merges with.
  // oxlint-disable-next-line typescript/no-unused-vars
  interface Matchers<R extends void | Promise<void> = void | Promise<void>, T = unknown> {
    /** Passes if shape, element type and values of a {@link HostTensor} agree within a tolerance. */
    toBeAllclose(want: HostTensor, tolerance: Tolerance): R;
  }
}

expect.extend({
  toBeAllclose(got: HostTensor, want: HostTensor, tolerance: Tolerance) {
    const found = difference(got, want, tolerance);
    return {
      pass: found === undefined,
      message: () =>
        found === undefined ? "expected tensors to differ; they are close" : `tensors differ: ${found}`,
    };
  },
});
