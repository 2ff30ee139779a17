/**
 * @file Rotary positions in a graph: what `rotate` does to arrays, over whole texts that begin at position 0. Each
 * element is read with the other one of its pair, so that a target computes it in one pass with what comes before and
 * after it.
 */
import type { Tensor } from "../../engine/graph/node.ts";
import { add, mul } from "../../engine/graph/ops/elementwise.ts";
import { constant } from "../../engine/graph/ops/leaf.ts";
import { concat, flip, reshape, slice } from "../../engine/graph/ops/movement.ts";
import { rotate, type RotaryConfig } from "./rotary.ts";

/** A rotation of so many positions. */
export interface RotaryTables {
  readonly rotary: RotaryConfig;
  /** `[T, dim]`: what each element is multiplied by, and what the other one of its pair is. */
  readonly own: Tensor;
  readonly other: Tensor;
}

/** The tables of positions 0 to `length`, of texts of that length. */
export function rotaryTables(rotary: RotaryConfig, length: number): RotaryTables {
  const { dim, isInterleaved } = rotary;
  const half = dim / 2;
  const sizes = { rows: length, headDim: dim, first: 0, length };
  // Turned, the pair (1, 0) is (cos, sin) and (0, 1) is (−sin, cos).
  const isFirst = (i: number) => (isInterleaved ? i % 2 === 0 : i < half);
  const turned = (first: boolean) => {
    const x = Float32Array.from({ length: length * dim }, (_, i) => (isFirst(i % dim) === first ? 1 : 0));
    rotate(x, rotary, sizes);
    return x;
  };
  const [ofFirst, ofSecond] = [turned(true), turned(false)];
  const pick = (same: boolean) =>
    constant(
      ofFirst.map((x, i) => (isFirst(i % dim) === same ? x : ofSecond[i]!)),
      [length, dim],
    );
  return { rotary, own: pick(true), other: pick(false) };
}

/** Heads `[…, T, D]` turned; elements from `dim` on pass. */
export function rotateHeads(x: Tensor, { rotary, own, other }: RotaryTables): Tensor {
  const { dim, isInterleaved } = rotary;
  const axis = x.shape.length - 1;
  const width = x.shape[axis]!;
  const part = dim < width ? slice(x, { [axis]: [0, dim] }) : x;
  const pairs = isInterleaved ? [dim / 2, 2] : [2, dim / 2];
  const rows = part.shape.slice(0, -1);
  const swapped = flip(reshape(part, [...rows, ...pairs]), isInterleaved ? axis + 1 : axis);
  const turned = add(mul(part, own), mul(reshape(swapped, part.shape), other));
  return dim < width ? concat([turned, slice(x, { [axis]: [dim, width] })], axis) : turned;
}
