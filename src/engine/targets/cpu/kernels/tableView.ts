/**
 * @file The loader's side of `assembly/tableView.ts`: what a kernel receives about one table of a staged batch,
 * as 32-bit fields in the same order. What each field means is documented there.
 */
import type { Arena } from "./arena.ts";

const FIELDS = [
  "ids",
  "first",
  "lookups",
  "offsets",
  "size",
  "cardinality",
  "table",
  "owners",
  "dim",
  "stride",
  "rows",
  "inverse",
  "hash",
  "mask",
  "marks",
  "count",
  "weights",
  "state0",
  "state1",
  "changed",
  "mark",
  "output",
  "gradients",
  "outputStride",
  "sums",
] as const;

/** A table view's fields: pointers (bytes), counts, and byte strides. */
export type TableView = Record<(typeof FIELDS)[number], number>;

/** Bytes of a view. */
export const TABLE_VIEW_BYTES = FIELDS.length * 4;

const COUNT = FIELDS.indexOf("count");
const CHANGED = FIELDS.indexOf("changed");
const MARK = FIELDS.indexOf("mark");

/** Writes a view where kernels will read it. */
export function writeTableView(arena: Arena, pointer: number, view: TableView): void {
  const at = pointer / 4;
  for (let i = 0; i < FIELDS.length; i++) arena.int32[at + i] = view[FIELDS[i]!];
}

/** The number of distinct rows that `findDistinct` left in a view. */
export function distinctCount(arena: Arena, pointer: number): number {
  return arena.int32[pointer / 4 + COUNT]!;
}

/** Sets the number of distinct rows of a view. */
export function setDistinctCount(arena: Arena, pointer: number, count: number): void {
  arena.int32[pointer / 4 + COUNT] = count;
}

/** Tells a view where updates mark the rows that they change (0: nowhere), and with which byte. */
export function setChangeMarks(arena: Arena, pointer: number, changed: number, mark: number): void {
  arena.int32[pointer / 4 + CHANGED] = changed;
  arena.int32[pointer / 4 + MARK] = mark;
}
