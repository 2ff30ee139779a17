/**
 * @file Rows and optimizer state out of and into a table's parts, unpadded, on the calling thread: what
 * checkpoints read and write. The result does not depend on where the parts lie.
 */
import { ParetoError } from "../../base/errors.ts";
import type { Arena } from "../../engine/targets/cpu/index.ts";
import type { RowColumn, RowFormat } from "./rowFormat.ts";

/** A range of a stored table's rows: pointers of its columns in its arena. */
export interface TablePart {
  arena: Arena;
  firstRow: number;
  rows: number;
  /** Pointer of each column of the {@link RowFormat}. */
  columns: number[];
  /** Byte map of rows changed since the last sync. */
  changed: number;
}

/** Rows of one table with their optimizer state. */
export interface TableRows {
  /** `[count, D]` */
  weights: Float32Array;
  /** By name (`sum`, `m`, `v`): `[count, D]`, or `[count]` for a rowwise state. */
  state: Record<string, Float32Array>;
}

/** Copies rows `firstRow` to `firstRow + count` of a table. */
export function readParts(
  parts: readonly TablePart[],
  format: RowFormat,
  firstRow: number,
  count: number,
): TableRows {
  checkRange(rowsOf(parts), firstRow, count);
  const state: TableRows["state"] = {};
  let weights = new Float32Array(0);
  for (const [index, column] of format.columns.entries()) {
    const rows = new Float32Array(count * column.length);
    eachPiece(parts, firstRow, count, (part, partRow, row, length) => {
      const stored = storedRows(part, index, column, partRow, length);
      copyRows(
        rows.subarray(row * column.length),
        column.length,
        stored,
        column.stride,
        column.length,
        length,
      );
    });
    if (column.name === "weights") weights = rows;
    else state[column.name] = rows;
  }
  return { weights, state };
}

/**
 * Replaces rows from `firstRow` on; a state that `rows` lacks stays as it is.
 * @param mark left in the byte maps of changed rows when > 0
 * @throws ParetoError ROWS_RANGE, ROWS_LENGTH
 */
export function writeParts(
  parts: readonly TablePart[],
  format: RowFormat,
  firstRow: number,
  rows: TableRows,
  mark: number,
): void {
  const count = rows.weights.length / format.dim;
  checkRange(rowsOf(parts), firstRow, count);
  for (const [index, column] of format.columns.entries()) {
    const source = column.name === "weights" ? rows.weights : rows.state[column.name];
    if (source === undefined) continue;
    checkRowsLength(column, source.length, count);
    eachPiece(parts, firstRow, count, (part, partRow, row, length) => {
      const stored = storedRows(part, index, column, partRow, length);
      copyRows(
        stored,
        column.stride,
        source.subarray(row * column.length),
        column.length,
        column.length,
        length,
      );
      if (mark > 0) part.arena.bytes.fill(mark, part.changed + partRow, part.changed + partRow + length);
    });
  }
}

function storedRows(
  part: TablePart,
  index: number,
  column: RowColumn,
  row: number,
  count: number,
): Float32Array {
  return part.arena.float32At(part.columns[index]! + row * column.stride * 4, count * column.stride);
}

/** @throws ParetoError ROWS_LENGTH */
export function checkRowsLength({ name, length }: RowColumn, got: number, count: number): void {
  if (got === count * length) return;
  throw new ParetoError({
    code: "ROWS_LENGTH",
    where: name,
    message: `${count} rows need ${count * length} values of ${name}, got ${got}`,
    fix: "Pass whole rows, written under the same dimension and optimizer.",
  });
}

/** Copies rows of `length` floats between arrays of different strides. */
export function copyRows(
  target: Float32Array,
  targetStride: number,
  source: Float32Array,
  sourceStride: number,
  length: number,
  count: number,
): void {
  if (targetStride === sourceStride) {
    target.set(source.subarray(0, count * sourceStride));
    return;
  }
  for (let row = 0; row < count; row++) {
    for (let e = 0; e < length; e++) target[row * targetStride + e] = source[row * sourceStride + e]!;
  }
}

/** Visits the pieces of a range of rows: (part, first row in the part, first row in the range, rows). */
function eachPiece(
  parts: readonly TablePart[],
  firstRow: number,
  count: number,
  visit: (part: TablePart, partRow: number, row: number, length: number) => void,
): void {
  for (const part of parts) {
    const from = Math.max(firstRow, part.firstRow);
    const to = Math.min(firstRow + count, part.firstRow + part.rows);
    if (from < to) visit(part, from - part.firstRow, from - firstRow, to - from);
  }
}

function rowsOf(parts: readonly TablePart[]): number {
  const last = parts.at(-1);
  return last === undefined ? 0 : last.firstRow + last.rows;
}

/**
 * Checks a range of rows of a table of `rows` rows.
 * @throws ParetoError ROWS_RANGE
 */
export function checkRange(rows: number, firstRow: number, count: number): void {
  const isWhole = Number.isInteger(firstRow) && Number.isInteger(count);
  if (isWhole && firstRow >= 0 && count >= 0 && firstRow + count <= rows) return;
  throw new ParetoError({
    code: "ROWS_RANGE",
    where: "table rows",
    message: `rows must lie in a table of ${rows} rows, got ${count} from row ${firstRow}`,
    fix: "Ask for a table and rows that the store has.",
  });
}
