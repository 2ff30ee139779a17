/**
 * @file A window of an encoded data set: a few row groups in memory, one after another, and the copy of any stretch of
 * their rows into a batch. A stretch is copied whole, a column at a time, so a batch costs little more than its bytes.
 */
import { read } from "node:fs";
import { promisify } from "node:util";
import { ParetoError } from "../../../base/errors.ts";
import type { ClickBatch } from "./clickBatch.ts";
import { groupPlaces } from "../encode/encodedLayout.ts";
import type { EncodedLayout, GroupEntry } from "../encode/encodedLayout.ts";

const readAt = promisify(read);

/** Where a group's arrays start, in elements from the start of the window's buffer. */
export interface PlacedGroup {
  rows: number;
  /** Rows of the window before it. */
  before: number;
  rowsAt: number;
  labelsAt: number;
  denseAt: number;
  bagsAt: number;
  idsAt: number;
}

/** Groups as they lie in memory, one after another. */
export interface WindowPlaces {
  groups: PlacedGroup[];
  sizeBytes: number;
}

/** Places groups one after another. */
export function placeGroups(layout: EncodedLayout, entries: readonly GroupEntry[]): WindowPlaces {
  let sizeBytes = 0;
  let before = 0;
  const groups = entries.map(({ rows, ids }): PlacedGroup => {
    const places = groupPlaces(layout, rows, ids);
    const word = sizeBytes / 4;
    const group = {
      rows,
      before,
      rowsAt: sizeBytes / 8,
      labelsAt: word + places.labels,
      denseAt: word + places.dense,
      bagsAt: word + places.bags,
      idsAt: word + places.ids,
    };
    sizeBytes += places.sizeBytes;
    before += rows;
    return group;
  });
  return { groups, sizeBytes };
}

/** An open `rows.bin`. */
export interface RowsFile {
  fd: number;
  path: string;
}

/**
 * Reads groups to where {@link placeGroups} puts them, all at once.
 * @throws ParetoError DATA_ENCODED_DAMAGED when the file is shorter than its index says, or its bags are none
 */
export async function readGroups(
  { fd, path }: RowsFile,
  layout: EncodedLayout,
  entries: readonly GroupEntry[],
  into: ArrayBufferLike,
): Promise<void> {
  let at = 0;
  const readings = entries.map(async ({ rows, ids, offset }) => {
    const start = at;
    const length = groupPlaces(layout, rows, ids).sizeBytes;
    at += length;
    for (let done = 0; done < length;) {
      const view = new Uint8Array(into, start + done, length - done);
      const { bytesRead } = await readAt(fd, view, 0, length - done, offset + done);
      if (bytesRead === 0) {
        throw new ParetoError({
          code: "DATA_ENCODED_DAMAGED",
          where: path,
          message: `an encoded data set is shorter than its index says, got an end at byte ${offset + done}`,
          fix: "Delete the folder and prepare the data again.",
        });
      }
      done += bytesRead;
    }
  });
  // All have ended before the first failure is thrown: the file may be closed, and the memory used again.
  for (const result of await Promise.allSettled(readings)) {
    if (result.status === "rejected") throw result.reason;
  }
  if (layout.multiHot) requireBags(path, layout, entries, into);
}

/** Checks where bags start, which says how much memory a batch takes. @throws ParetoError DATA_ENCODED_DAMAGED */
function requireBags(
  path: string,
  layout: EncodedLayout,
  entries: readonly GroupEntry[],
  from: ArrayBufferLike,
): void {
  const { groups } = placeGroups(layout, entries);
  const words = new Int32Array(from);
  for (const [g, { bagsAt, rows }] of groups.entries()) {
    const end = bagsAt + layout.tables * rows;
    let isWhole = words[bagsAt] === 0 && words[end] === entries[g]!.ids;
    for (let bag = bagsAt; bag < end && isWhole; bag++) isWhole = words[bag]! <= words[bag + 1]!;
    if (isWhole) continue;
    throw new ParetoError({
      code: "DATA_ENCODED_DAMAGED",
      where: path,
      message: `the bags of a group must rise from 0 to the number of its ids, got others in the group at byte ${entries[g]!.offset}`,
      fix: "Delete the folder and prepare the data again.",
    });
  }
}

/** Groups in memory. */
export class EncodedWindow {
  /** Where the groups lie; of {@link WindowPlaces.sizeBytes} or more. */
  readonly buffer: SharedArrayBuffer;
  readonly #layout: EncodedLayout;
  readonly #groups: PlacedGroup[];
  readonly #floats: Float32Array;
  readonly #doubles: Float64Array;
  readonly #words: Int32Array;

  constructor(layout: EncodedLayout, { groups }: WindowPlaces, buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#layout = layout;
    this.#groups = groups;
    this.#floats = new Float32Array(buffer);
    this.#doubles = new Float64Array(buffer);
    this.#words = new Int32Array(buffer);
  }

  /** Ids over all tables of rows [from, from + count); for multi-hot sets. */
  countIds(from: number, count: number): number {
    const words = this.#words;
    let total = 0;
    this.#runs(from, count, (group, row, run) => {
      for (let t = 0; t < this.#layout.tables; t++) {
        const bag = group.bagsAt + t * group.rows + row;
        total += words[bag + run]! - words[bag]!;
      }
    });
    return total;
  }

  /** Copies rows, labels, dense values and, unless multi-hot, ids of `count` rows to position `to` of a batch. */
  copy(from: number, count: number, batch: ClickBatch, to: number): void {
    const { dense: width, tables, multiHot } = this.#layout;
    this.#runs(from, count, (group, row, run, done) => {
      const at = to + done;
      const denseAt = group.denseAt + row * width;
      batch.rows.set(this.#doubles.subarray(group.rowsAt + row, group.rowsAt + row + run), at);
      batch.labels.set(this.#floats.subarray(group.labelsAt + row, group.labelsAt + row + run), at);
      batch.dense.set(this.#floats.subarray(denseAt, denseAt + run * width), at * width);
      for (let t = 0; t < (multiHot ? 0 : tables); t++) {
        const start = group.idsAt + t * group.rows + row;
        batch.lookups.ids.set(this.#words.subarray(start, start + run), t * batch.size + at);
      }
    });
  }

  /**
   * Copies table `t`'s bags of `count` rows to bags `to…` of a batch of a multi-hot set.
   * @param next index of the next free id of the batch
   * @returns the next free id afterwards
   */
  copyBags(t: number, from: number, count: number, batch: ClickBatch, to: number, next: number): number {
    const { ids, offsets } = batch.lookups;
    const words = this.#words;
    this.#runs(from, count, (group, row, run, done) => {
      const bag = group.bagsAt + t * group.rows + row;
      const start = words[bag]!;
      const end = words[bag + run]!;
      const at = t * batch.size + to + done;
      for (let i = 0; i < run; i++) offsets![at + i] = next + words[bag + i]! - start;
      ids.set(words.subarray(group.idsAt + start, group.idsAt + end), next);
      next += end - start;
    });
    return next;
  }

  /** The stretches of rows [from, from + count) that lie in one group each. */
  #runs(
    from: number,
    count: number,
    use: (group: PlacedGroup, row: number, run: number, done: number) => void,
  ): void {
    let g = 0;
    for (let done = 0; done < count;) {
      let group = this.#groups[g]!;
      while (from + done >= group.before + group.rows) group = this.#groups[++g]!;
      const row = from + done - group.before;
      const run = Math.min(count - done, group.rows - row);
      use(group, row, run, done);
      done += run;
    }
  }
}
