/**
 * @file The shuffle of a window: its groups are read, and their rows laid out in the order drawn, as one group.
 *
 * The order is a pure function of the seed and the window's stream. Rows are moved a column at a time, since one table's
 * ids of a window lie in a core's cache (256 KiB by default) where a whole window (10 MiB for Criteo's columns) does
 * not. Runs in the calling thread or in a window thread, with the same result; a window takes some 10 ms.
 */
import { Rng } from "../../../base/rng.ts";
import type { EncodedLayout, GroupEntry } from "../encode/encodedLayout.ts";
import { placeGroups, readGroups } from "./encodedWindow.ts";
import type { PlacedGroup, RowsFile, WindowPlaces } from "./encodedWindow.ts";

/** Which window to shuffle, and how; plain data, for crossing a thread. */
export interface ShuffleTask {
  file: RowsFile;
  layout: EncodedLayout;
  /** The groups, in the order in which they are numbered. */
  entries: GroupEntry[];
  seed: number;
  stream: number;
}

/** Where the rows of a shuffled window lie. */
export function placeShuffled(layout: EncodedLayout, entries: readonly GroupEntry[]): WindowPlaces {
  let rows = 0;
  let ids = 0;
  for (const entry of entries) {
    rows += entry.rows;
    ids += entry.ids;
  }
  return placeGroups(layout, [{ offset: 0, rows, ids }]);
}

/** Memory of one thread for its windows, kept from one to the next. */
export class WindowScratch {
  /** The groups as they are on disk. */
  buffer = new ArrayBuffer(0);
  /** One column of them, and its bags' ends. */
  column = new Int32Array(0);
  ends = new Int32Array(0);

  /** Makes room. @param words of a column */
  grow(sizeBytes: number, words: number): void {
    if (this.buffer.byteLength < sizeBytes) this.buffer = new ArrayBuffer(sizeBytes);
    if (this.column.length < words) this.column = new Int32Array(words);
  }
}

/**
 * Reads a window and lays its rows out as {@link placeShuffled} says.
 * @throws ParetoError DATA_ENCODED_DAMAGED when the file is shorter than its index says
 */
export async function shuffleWindow(
  { file, layout, entries, seed, stream }: ShuffleTask,
  into: SharedArrayBuffer,
  scratch: WindowScratch,
): Promise<void> {
  const { dense: width, tables, multiHot } = layout;
  const { groups, sizeBytes } = placeGroups(layout, entries);
  const to = placeShuffled(layout, entries).groups[0]!;
  // A number of 64 bits is two words.
  scratch.grow(sizeBytes, to.rows * Math.max(2, width));
  await readGroups(file, layout, entries, scratch.buffer);
  const words = new Int32Array(scratch.buffer);
  const target = new Int32Array(into);
  const order = drawOrder(to.rows, seed, stream);
  const column = (at: (group: PlacedGroup) => number, size: number) =>
    collect(words, groups, at, size, scratch.column);
  gatherRows(
    column((group) => 2 * group.rowsAt, 2),
    2,
    order,
    target,
    2 * to.rowsAt,
  );
  gather(
    column((group) => group.labelsAt, 1),
    order,
    target.subarray(to.labelsAt),
  );
  gatherRows(
    column((group) => group.denseAt, width),
    width,
    order,
    target,
    to.denseAt,
  );
  if (multiHot) {
    moveBags(layout, words, groups, order, target, to, scratch);
    return;
  }
  for (let t = 0; t < tables; t++) {
    gather(
      column((group) => group.idsAt + t * group.rows, 1),
      order,
      target.subarray(to.idsAt + t * to.rows),
    );
  }
}

/** Positions of a window's rows, in the order drawn; halves where they fit, as they stay in the cache then. */
type Order = Uint16Array | Uint32Array;

function drawOrder(rows: number, seed: number, stream: number): Order {
  const order = rows <= 0x10000 ? new Uint16Array(rows) : new Uint32Array(rows);
  for (let i = 0; i < rows; i++) order[i] = i;
  return new Rng(seed, stream).shuffle(order);
}

/** Lays a column's stretches in the groups end to end. @param width words of a row */
function collect(
  words: Int32Array,
  groups: readonly PlacedGroup[],
  at: (group: PlacedGroup) => number,
  width: number,
  column: Int32Array,
): Int32Array {
  for (const group of groups) {
    const start = at(group);
    column.set(words.subarray(start, start + group.rows * width), group.before * width);
  }
  return column;
}

// Columns are all moved as 32-bit words: code that meets one kind of array runs several times as fast.

function gather(column: Int32Array, order: Order, target: Int32Array): void {
  const { length } = order;
  for (let i = 0; i < length; i++) target[i] = column[order[i]!]!;
}

/** Moves rows of `width` words to `at…`. */
function gatherRows(column: Int32Array, width: number, order: Order, target: Int32Array, at: number): void {
  const { length } = order;
  for (let i = 0; i < length; i++) {
    let from = order[i]! * width;
    for (const end = from + width; from < end;) target[at++] = column[from++]!;
  }
}

/** Moves the bags of all tables, one after another. */
function moveBags(
  { tables }: EncodedLayout,
  words: Int32Array,
  groups: readonly PlacedGroup[],
  order: Order,
  target: Int32Array,
  to: PlacedGroup,
  scratch: WindowScratch,
): void {
  if (scratch.ends.length < to.rows) scratch.ends = new Int32Array(to.rows);
  const { column: starts, ends } = scratch;
  let next = 0;
  for (let t = 0; t < tables; t++) {
    for (const { rows, before, bagsAt, idsAt } of groups) {
      const bags = bagsAt + t * rows;
      for (let r = 0; r < rows; r++) {
        starts[before + r] = idsAt + words[bags + r]!;
        ends[before + r] = idsAt + words[bags + r + 1]!;
      }
    }
    for (let i = 0; i < to.rows; i++) {
      target[to.bagsAt + t * to.rows + i] = next;
      const row = order[i]!;
      const end = ends[row]!;
      for (let k = starts[row]!; k < end; k++) target[to.idsAt + next++] = words[k]!;
    }
  }
  target[to.bagsAt + tables * to.rows] = next;
}
