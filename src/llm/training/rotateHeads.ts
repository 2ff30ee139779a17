/** @file Rotary positions in a graph: what `rotate` does to arrays, over whole texts that begin at position 0. */
import type { Tensor } from "../../engine/graph/node.ts";
import { add, mul, sub } from "../../engine/graph/ops/elementwise.ts";
import { constant } from "../../engine/graph/ops/leaf.ts";
import { concat, slice } from "../../engine/graph/ops/movement.ts";
import { rotate, type RotaryConfig } from "../models/rotary.ts";

/** Cosines and sines `[T, dim / 2]`. */
export interface RotaryTables {
  cosines: Tensor;
  sines: Tensor;
}

/** The tables of positions 0 to `length`: where the first of each pair goes when it is 1 and the second is 0. */
export function rotaryTables(rotary: RotaryConfig, length: number): RotaryTables {
  const { dim } = rotary;
  const half = dim / 2;
  const x = new Float32Array(length * dim);
  const halves = { ...rotary, isInterleaved: false };
  for (let row = 0; row < length; row++) x.fill(1, row * dim, row * dim + half);
  rotate(x, halves, { rows: length, headDim: dim, first: 0, length });
  const part = (from: number) => {
    const values = new Float32Array(length * half);
    for (let row = 0; row < length; row++)
      values.set(x.subarray(row * dim + from, row * dim + from + half), row * half);
    return constant(values, [length, half]);
  };
  return { cosines: part(0), sines: part(half) };
}

/** Heads `[B, H, T, D]` turned, where pairs are elements i and i + D / 2. */
export function rotateHeads(x: Tensor, { cosines, sines }: RotaryTables): Tensor {
  const half = x.shape[3]! / 2;
  const left = slice(x, { 3: [0, half] });
  const right = slice(x, { 3: [half, 2 * half] });
  return concat([sub(mul(left, cosines), mul(right, sines)), add(mul(left, sines), mul(right, cosines))], 3);
}
