/** @file The matcher itself: what it must accept and, above all, refuse. */
import { expect, test } from "vitest";
import type { HostTensor } from "../../support/engine/hostTensor.ts";
import "../../support/engine/toBeAllclose.ts";

const tensor = (...values: number[]): HostTensor => ({
  shape: [values.length],
  dtype: "float32",
  data: Float32Array.from(values),
});
const near = { rtol: 1e-3, atol: 1e-3 };

test("accepts equal and close tensors, NaN against NaN, an infinity against itself", () => {
  expect(tensor(1, 2)).toBeAllclose(tensor(1.0005, 2), near);
  expect(tensor(NaN, Infinity, 0)).toBeAllclose(tensor(NaN, Infinity, -0), near);
});

test.each<[string, HostTensor, HostTensor, RegExp]>([
  [
    "values too far apart",
    tensor(1, 2, 9),
    tensor(1, 2.5, 3),
    /2 of 3 elements .* at \[2\]: got 9, expected 3 \(max difference 6\)/,
  ],
  ["NaN for a number", tensor(NaN), tensor(1), /got NaN/],
  ["a number for NaN", tensor(1), tensor(NaN), /expected NaN/],
  ["a number for an infinity", tensor(1e30), tensor(Infinity), /expected Infinity/],
  ["the wrong infinity", tensor(-Infinity), tensor(Infinity), /got -Infinity/],
  ["another shape", { ...tensor(1, 2), shape: [2, 1] }, tensor(1, 2), /shape \[2, 1\], expected \[2\]/],
  [
    "another element type",
    { ...tensor(1), dtype: "float64" },
    tensor(1),
    /element type float64, expected float32/,
  ],
  ["too few elements", { ...tensor(1), shape: [2] }, tensor(1, 2), /1 elements, expected 2/],
])("refuses %s", (_, got, want, message) => {
  expect(() => expect(got).toBeAllclose(want, near)).toThrow(message);
});

test("refuses when negated on close tensors", () => {
  expect(() => expect(tensor(1)).not.toBeAllclose(tensor(1), near)).toThrow(/close/);
});
