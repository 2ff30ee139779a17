/**
 * @file Cosines and sines of a model's rotation as a table for kernels: a row for each position, `dim / 2` cosines and
 * `dim / 2` sines, scaled as the rotation is.
 */
import { dependsOnLength, rotate, type RotaryConfig } from "../../models/rotary.ts";

/**
 * The table of positions 0 … rows − 1.
 * @param length tokens of the sequence, for kinds whose angles depend on it; left out, each position's own are taken, those
 *   of a sequence that ends there, as decoding does
 * @returns float32 `[rows, dim]`
 */
export function rotaryTable(rotary: RotaryConfig, rows: number, length?: number): Float32Array {
  const { dim } = rotary;
  const table = new Float32Array(rows * dim);
  const split: RotaryConfig = { ...rotary, isInterleaved: false };
  // Turning (1, 0) leaves the cosine and the sine.
  for (let row = 0; row < rows; row++) table.fill(1, row * dim, row * dim + dim / 2);
  if (length !== undefined || !dependsOnLength(rotary)) {
    rotate(table, split, { rows, headDim: dim, first: 0, length: length ?? rows });
    return table;
  }
  for (let row = 0; row < rows; row++) {
    const own = table.subarray(row * dim, (row + 1) * dim);
    rotate(own, split, { rows: 1, headDim: dim, first: row, length: row + 1 });
  }
  return table;
}
