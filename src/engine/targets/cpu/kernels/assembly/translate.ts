/**
 * @file Row ids of a table to slots of a fast memory, which holds popular rows and, for each staged batch, a window of its
 * other distinct rows; and what two batches that are staged at a time have in common in their windows.
 *
 * A batch has two views of a table: one by row (`rows` and the hash hold row ids) and one by slot (`rows` holds slots).
 * They share the lookups, which are row ids before `translateRows` and slots after it, and the positions of lookups.
 */
import { findDistinct, firstProbe } from "./distinct";
import { TableView } from "./tableView";

/** Stands in a list of rows for a row that is not to be moved. */
const NO_ROW: u32 = 0xffffffff;

/**
 * Numbers a table's distinct rows as `findDistinct` does, then turns rows and lookups into slots.
 * @param byRow lookups as row ids on entry
 * @param bySlot lookups as slots on return; its `rows` and `count` are written
 * @param slotOf i32 a row of the table: the slot of a popular row, −1 for others
 * @param window the slot of position 0 in the batch's window: position p of a row that is not popular has `window + p`
 * @param listed out: u32 a position, the row that belongs in the window there, or `NO_ROW` for a popular one
 * @param starts i32 `[parts + 1]`: the first input of each part of the batch
 * @param needs out: u8 a part, 1 where it looks a row of the window up
 * @returns as `findDistinct`; lookups are then as they were
 */
export function translateRows(
  byRow: TableView,
  bySlot: TableView,
  slotOf: usize,
  window: u32,
  listed: usize,
  starts: usize,
  parts: i32,
  needs: usize,
): i32 {
  const bad = findDistinct(byRow);
  if (bad != 0) return bad;
  const count = byRow.count;
  const rows = byRow.rows;
  const slots = bySlot.rows;
  for (let u = 0; u < count; u++) {
    const at = <usize>u << 2;
    const row = load<u32>(rows + at);
    const slot = load<i32>(slotOf + (<usize>row << 2));
    store<u32>(slots + at, slot >= 0 ? <u32>slot : window + <u32>u);
    store<u32>(listed + at, slot >= 0 ? NO_ROW : row);
  }
  bySlot.count = count;
  const first = byRow.first;
  const ids = byRow.ids + (<usize>first << 2);
  const inverse = byRow.inverse;
  const offsets = byRow.offsets;
  for (let p = 0; p < parts; p++) {
    let l = load<i32>(starts + (<usize>p << 2));
    let end = load<i32>(starts + (<usize>p << 2), 4);
    if (offsets != 0) {
      l = load<i32>(offsets + (<usize>l << 2)) - first;
      end = load<i32>(offsets + (<usize>end << 2)) - first;
    }
    let need: u32 = 0;
    for (; l < end; l++) {
      const at = <usize>load<u32>(inverse + (<usize>l << 2)) << 2;
      store<u32>(ids + (<usize>l << 2), load<u32>(slots + at));
      need |= <u32>(load<u32>(listed + at) != NO_ROW);
    }
    store<u8>(needs + <usize>p, <u8>need);
  }
  return 0;
}

/** The position of a row among a table's distinct rows, or −1. */
@inline
function positionOf(view: TableView, row: u32): i32 {
  const hash = view.hash;
  const mask = view.mask;
  const rows = view.rows;
  let probe = firstProbe(row, mask);
  let entry = load<u32>(hash + (<usize>probe << 2));
  while (entry != 0 && load<u32>(rows + (<usize>(entry - 1) << 2)) != row) {
    probe = (probe + 1) & mask;
    entry = load<u32>(hash + (<usize>probe << 2));
  }
  return <i32>entry - 1;
}

/**
 * Splits the listed rows of a window: those that another batch lists too go from `early` to `late`.
 * @param view by row, and `other` of the other batch, whose list is `listed`
 */
export function deferRows(view: TableView, other: TableView, listed: usize, early: usize, late: usize): i32 {
  if (view.count == 0) return 0;
  for (let u = 0; u < other.count; u++) {
    const row = load<u32>(listed + (<usize>u << 2));
    if (row == NO_ROW) continue;
    const position = positionOf(view, row);
    if (position < 0) continue;
    const at = <usize>position << 2;
    if (load<u32>(early + at) == NO_ROW) continue;
    store<u32>(early + at, NO_ROW);
    store<u32>(late + at, row);
  }
  return 0;
}

/**
 * Copies one column of the rows that two windows list from one to the other.
 * @param view by row, of the window that receives, whose position 0 lies at `target`
 * @param other by row, of the window that gives, whose list is `listed` and whose position 0 lies at `source`
 * @param bytes from a row to the next in the column
 * @param late list of rows that are still to be loaded: what is copied is struck out; 0: no such list
 * @param copied where the number of rows copied goes, i32; 0: nowhere
 */
export function forwardRows(
  view: TableView,
  other: TableView,
  listed: usize,
  target: usize,
  source: usize,
  bytes: i32,
  late: usize,
  copied: usize,
): i32 {
  let count = 0;
  if (view.count > 0) {
    for (let u = 0; u < other.count; u++) {
      const row = load<u32>(listed + (<usize>u << 2));
      if (row == NO_ROW) continue;
      const position = positionOf(view, row);
      if (position < 0) continue;
      memory.copy(target + <usize>position * <usize>bytes, source + <usize>u * <usize>bytes, <usize>bytes);
      if (late != 0) store<u32>(late + (<usize>position << 2), NO_ROW);
      count++;
    }
  }
  if (copied != 0) store<i32>(copied, count);
  return 0;
}
