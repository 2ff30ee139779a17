/**
 * @file A window of an encoded data set: a few row groups in memory, in the order in which their rows are to be read,
 * and the copy of any stretch of that order into a batch.
 */
import type { FileHandle } from "node:fs/promises";
import { ParetoError } from "../engine/errors.ts";
import type { ClickBatch } from "./batch.ts";
import { groupPlaces } from "./encodedLayout.ts";
import type { EncodedLayout, GroupEntry } from "./encodedLayout.ts";

/** Where a loaded group's arrays start, in elements from the start of the window's buffer. */
interface LoadedGroup {
  rows: number;
  rowsAt: number;
  labelsAt: number;
  denseAt: number;
  bagsAt: number;
  idsAt: number;
}

/** Loaded groups and the order of their rows. */
export class EncodedWindow {
  readonly #layout: EncodedLayout;
  readonly #shift: number;
  readonly #groups: LoadedGroup[];
  readonly #floats: Float32Array;
  readonly #doubles: Float64Array;
  readonly #words: Int32Array;
  /** `group << shift | row` in reading order, or null for the order on disk. */
  readonly #order: Uint32Array | null;

  private constructor(
    layout: EncodedLayout,
    shift: number,
    groups: LoadedGroup[],
    buffer: ArrayBuffer,
    order: Uint32Array | null,
  ) {
    this.#layout = layout;
    this.#shift = shift;
    this.#groups = groups;
    this.#floats = new Float32Array(buffer);
    this.#doubles = new Float64Array(buffer);
    this.#words = new Int32Array(buffer);
    this.#order = order;
  }

  /**
   * Reads groups.
   * @param shift log2 of the rows of a full group
   * @param order see the class; null reads in the order of `entries`
   * @throws ParetoError DATA_ENCODED_DAMAGED when the file is shorter than its index says
   */
  static async load(
    handle: FileHandle,
    where: string,
    layout: EncodedLayout,
    shift: number,
    entries: GroupEntry[],
    order: Uint32Array | null,
  ): Promise<EncodedWindow> {
    let sizeBytes = 0;
    const groups: LoadedGroup[] = [];
    const reads: { at: number; length: number; position: number }[] = [];
    for (const entry of entries) {
      const places = groupPlaces(layout, entry.rows, entry.ids);
      const word = sizeBytes / 4;
      groups.push({
        rows: entry.rows,
        rowsAt: sizeBytes / 8,
        labelsAt: word + places.labels,
        denseAt: word + places.dense,
        bagsAt: word + places.bags,
        idsAt: word + places.ids,
      });
      reads.push({ at: sizeBytes, length: places.sizeBytes, position: entry.offset });
      sizeBytes += places.sizeBytes;
    }
    const buffer = new ArrayBuffer(sizeBytes);
    await Promise.all(
      reads.map(async ({ at, length, position }) => {
        for (let done = 0; done < length;) {
          const view = new Uint8Array(buffer, at + done, length - done);
          const { bytesRead } = await handle.read(view, 0, length - done, position + done);
          if (bytesRead === 0) {
            throw new ParetoError({
              code: "DATA_ENCODED_DAMAGED",
              where,
              message: `An encoded data set is shorter than its index says: it ends at byte ${position + done}`,
              fix: "Delete the folder and prepare the data again.",
            });
          }
          done += bytesRead;
        }
      }),
    );
    return new EncodedWindow(layout, shift, groups, buffer, order);
  }

  /** Ids over all tables of the rows at positions [from, from + count) of the order; for multi-hot sets. */
  countIds(from: number, count: number): number {
    let total = 0;
    for (let i = from; i < from + count; i++) {
      const { group, row } = this.#locate(i);
      for (let t = 0; t < this.#layout.tables; t++) {
        const bag = group.bagsAt + t * group.rows + row;
        total += this.#words[bag + 1]! - this.#words[bag]!;
      }
    }
    return total;
  }

  /** Copies rows, labels, dense values and, unless multi-hot, ids of `count` rows to position `to` of a batch. */
  copy(from: number, count: number, batch: ClickBatch, to: number): void {
    if (this.#order === null) this.#copyRuns(from, count, batch, to);
    else this.#gather(this.#order, from, count, batch, to);
  }

  /**
   * Copies table `t`'s bags of `count` rows to bags `to…` of a batch of a multi-hot set.
   * @param next index of the next free id of the batch
   * @returns the next free id afterwards
   */
  copyBags(t: number, from: number, count: number, batch: ClickBatch, to: number, next: number): number {
    const { ids, offsets } = batch.lookups;
    const words = this.#words;
    for (let i = 0; i < count; i++) {
      const { group, row } = this.#locate(from + i);
      const bag = group.bagsAt + t * group.rows + row;
      const end = group.idsAt + words[bag + 1]!;
      offsets![t * batch.size + to + i] = next;
      for (let k = group.idsAt + words[bag]!; k < end; k++) ids[next++] = words[k]!;
    }
    return next;
  }

  #locate(position: number): { group: LoadedGroup; row: number } {
    const code = this.#order === null ? position : this.#order[position]!;
    return { group: this.#groups[code >>> this.#shift]!, row: code & ((1 << this.#shift) - 1) };
  }

  #copyRuns(from: number, count: number, batch: ClickBatch, to: number): void {
    const { dense: width, tables, multiHot } = this.#layout;
    for (let done = 0; done < count;) {
      const { group, row } = this.#locate(from + done);
      const run = Math.min(count - done, group.rows - row);
      const at = to + done;
      const denseAt = group.denseAt + row * width;
      batch.rows.set(this.#doubles.subarray(group.rowsAt + row, group.rowsAt + row + run), at);
      batch.labels.set(this.#floats.subarray(group.labelsAt + row, group.labelsAt + row + run), at);
      batch.dense.set(this.#floats.subarray(denseAt, denseAt + run * width), at * width);
      for (let t = 0; t < (multiHot ? 0 : tables); t++) {
        const start = group.idsAt + t * group.rows + row;
        batch.lookups.ids.set(this.#words.subarray(start, start + run), t * batch.size + at);
      }
      done += run;
    }
  }

  #gather(order: Uint32Array, from: number, count: number, batch: ClickBatch, to: number): void {
    const { dense: width, tables, multiHot } = this.#layout;
    const floats = this.#floats;
    const words = this.#words;
    const { dense, labels, rows, lookups } = batch;
    const mask = (1 << this.#shift) - 1;
    const starts = new Int32Array(count);
    const strides = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      const code = order[from + i]!;
      const group = this.#groups[code >>> this.#shift]!;
      const row = code & mask;
      rows[to + i] = this.#doubles[group.rowsAt + row]!;
      labels[to + i] = floats[group.labelsAt + row]!;
      let source = group.denseAt + row * width;
      const end = source + width;
      for (let target = (to + i) * width; source < end;) dense[target++] = floats[source++]!;
      starts[i] = group.idsAt + row;
      strides[i] = group.rows;
    }
    for (let t = 0; t < (multiHot ? 0 : tables); t++) {
      const base = t * batch.size + to;
      for (let i = 0; i < count; i++) lookups.ids[base + i] = words[starts[i]! + t * strides[i]!]!;
    }
  }
}
