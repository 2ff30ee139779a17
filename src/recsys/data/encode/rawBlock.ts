/**
 * @file A block of rows as DuckDB gives them, column after column, and what becomes of it: dense inputs row by row and the
 * ids of all categories. Lies on shared memory, so that threads take blocks in where they are.
 */
import type { ClickBatch } from "../batches/clickBatch.ts";
import { lookUp, type KeyTable } from "./keyTable.ts";

/** Rows of a block. */
export const BLOCK_ROWS = 8192;

/** A categorical column of a block. */
export interface RawCategory {
  /** Whether a row holds a list of values. */
  isList: boolean;
  /** Whether the values are keys of two words, to be looked up; else ids. */
  isKeyed: boolean;
}

/** The columns of a block. */
export interface RawLayout {
  dense: number;
  categories: readonly RawCategory[];
}

/** The values of a list column, row after row. */
interface RawList {
  words: Int32Array<SharedArrayBuffer>;
  /** How many values there are. */
  count: number;
}

/** A block; plain data. */
export interface RawBlock {
  size: number;
  /** Of {@link BLOCK_ROWS} words each: part, label, dense columns. */
  fixed: Int32Array<SharedArrayBuffer>;
  /** By categorical column: keys or ids, {@link BLOCK_ROWS} of them; of lists the lengths. */
  categories: Int32Array<SharedArrayBuffer>[];
  /** By categorical column; null for those that are no lists. */
  lists: (RawList | null)[];
  /** Where {@link encodeBlock} writes, once it is known how long the lists are. */
  out: Float32Array<SharedArrayBuffer>;
}

const words = (count: number) => new Int32Array(new SharedArrayBuffer(4 * count));

const widthOf = ({ isKeyed }: RawCategory) => (isKeyed ? 2 : 1);

/** Bytes of a block and its results, about: lists may be longer than one value a row. */
export function blockBytes({ dense, categories }: RawLayout): number {
  const wide = categories.reduce((sum, category) => sum + widthOf(category) + 1, 0);
  return 4 * BLOCK_ROWS * (2 + 2 * dense + wide);
}

/** An empty block. */
export function createBlock({ dense, categories }: RawLayout): RawBlock {
  return {
    size: 0,
    fixed: words((2 + dense) * BLOCK_ROWS),
    categories: categories.map((category) => words((category.isList ? 1 : widthOf(category)) * BLOCK_ROWS)),
    lists: categories.map((category) =>
      category.isList ? { words: words(widthOf(category) * BLOCK_ROWS), count: 0 } : null,
    ),
    out: new Float32Array(new SharedArrayBuffer(0)),
  };
}

/** Makes room for further values of a list column, which count as there. @returns where they go */
export function roomIn(list: RawList, width: number, values: number): { words: Int32Array; at: number } {
  const at = list.count * width;
  list.count += values;
  const needed = list.count * width;
  if (needed > list.words.length) {
    const grown = words(Math.max(needed, 2 * list.words.length));
    grown.set(list.words.subarray(0, at));
    list.words = grown;
  }
  return { words: list.words, at };
}

/** Where the results of a block lie in `out`, in words. */
function placesOf({ dense, categories }: RawLayout, { size, lists }: RawBlock) {
  const bags = size * dense;
  const hasLists = categories.some(({ isList }) => isList);
  const ids = bags + (hasLists ? categories.length * size + 1 : 0);
  const count = lists.reduce((sum, list) => sum + (list === null ? size : list.count), 0);
  return { bags, hasLists, ids, end: ids + count };
}

/** Makes room for the results; called before {@link encodeBlock}, by whoever keeps the block. */
export function makeRoom(layout: RawLayout, block: RawBlock): void {
  const { end } = placesOf(layout, block);
  if (block.out.length < end) block.out = new Float32Array(new SharedArrayBuffer(4 * end));
}

/** Lays the dense inputs out row by row and looks all categories up. @param tables by categorical column; null for ids */
export function encodeBlock(layout: RawLayout, block: RawBlock, tables: readonly (KeyTable | null)[]): void {
  const { dense, categories } = layout;
  const { size, fixed } = block;
  const { bags, hasLists, ids } = placesOf(layout, block);
  const out = new Int32Array(block.out.buffer);
  for (let d = 0; d < dense; d++) {
    let from = (2 + d) * BLOCK_ROWS;
    for (let to = d; to < size * dense; to += dense) out[to] = fixed[from++]!;
  }
  let next = 0;
  for (const [t, { isList }] of categories.entries()) {
    const rows = block.categories[t]!;
    const list = block.lists[t]!;
    const count = isList ? list!.count : size;
    const values = isList ? list!.words : rows;
    const table = tables[t]!;
    if (table === null) out.set(values.subarray(0, count), ids + next);
    else lookUp(table, values, count, out, ids + next);
    if (hasLists) {
      let start = next;
      for (let i = 0; i < size; i++) {
        out[bags + t * size + i] = start;
        start += isList ? rows[i]! : 1;
      }
    }
    next += count;
  }
  if (hasLists) out[bags + categories.length * size] = next;
}

/** The encoded rows, valid while the block is not used again; `rows` hold the parts. */
export function toBatch(layout: RawLayout, block: RawBlock): ClickBatch {
  const { size, fixed, out } = block;
  const { bags, hasLists, ids, end } = placesOf(layout, block);
  const ints = new Int32Array(out.buffer);
  return {
    size,
    dense: out.subarray(0, bags),
    labels: new Float32Array(fixed.buffer, 4 * BLOCK_ROWS, size),
    rows: Float64Array.from(fixed.subarray(0, size)),
    lookups: {
      size,
      tables: layout.categories.length,
      ids: ints.subarray(ids, end),
      offsets: hasLists ? ints.subarray(bags, ids) : null,
    },
  };
}
