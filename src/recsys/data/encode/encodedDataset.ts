/**
 * @file Reads an encoded data set as mini-batches, in file order or shuffled.
 *
 * Memory is a few windows of a few row groups, whatever the number of rows: while one is handed out, the next are read
 * and, in a long pass, shuffled by window threads, so that a batch costs its reader no more than a copy. A shuffle
 * permutes the groups over the whole set, and the rows within each window of the permuted groups (by default 8 groups of
 * 8192 rows): near to a full shuffle where neighbouring groups are alike, and a pure function of (seed, epoch), so a run
 * resumed at any batch sees the batches that an uninterrupted one would have seen.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { ParetoError, invariant } from "../../../base/errors.ts";
import { Rng } from "../../../base/rng.ts";
import type { ClickBatch } from "../batches/clickBatch.ts";
import { BatchBuffers } from "../batches/batchBuffers.ts";
import type { EncodedWindow } from "../batches/encodedWindow.ts";
import { fileError } from "../../../base/fileErrors.ts";
import { readEncodedIndex } from "./encodedLayout.ts";
import type { EncodedIndex, EncodedLayout } from "./encodedLayout.ts";
import { type PlannedWindow, WindowPrefetch } from "../batches/prefetch.ts";

/** How {@link EncodedDataset.batches} goes through the rows. */
export interface BatchOptions {
  /** Rows of a batch; the last batch of the set may be shorter, and is kept. */
  batchSize: number;
  /** Shuffles, as a function of seed and epoch; without it the order is that of the file. */
  shuffle?: { seed: number; epoch: number };
  /** Index of the first batch to hand out (default 0); the batches before it are skipped without being read. */
  start?: number;
  /**
   * How many batches stay valid at once: batch i's arrays are overwritten by batch i + recycle. The default 0 gives every
   * batch memory of its own, which costs speed; a loop that drops its batches should set 4 or so.
   */
  recycle?: number;
  /** Groups of a window: read at once, and shuffled together (default 8). Another value is another shuffle. */
  groupsPerWindow?: number;
}

/** Random streams of shuffles: one for the groups of an epoch and one for each window. */
const SHUFFLE_STREAM = 0x5f000000;

/** A stretch of a window's rows. */
interface Piece {
  window: EncodedWindow;
  from: number;
  count: number;
}

/** An encoded data set on disk. */
export class EncodedDataset {
  readonly directory: string;
  readonly #index: EncodedIndex;

  private constructor(directory: string, index: EncodedIndex) {
    this.directory = directory;
    this.#index = index;
  }

  /**
   * Opens a complete data set.
   * @throws ParetoError DATA_ENCODED_MISSING, DATA_ENCODED_DAMAGED, DATA_ENCODED_VERSION
   */
  static async open(directory: string): Promise<EncodedDataset> {
    const index = await readEncodedIndex(directory);
    if (index === null) {
      throw new ParetoError({
        code: "DATA_ENCODED_MISSING",
        where: directory,
        message: `there is no complete encoded data set here, got ${directory}`,
        fix: "Prepare the data first; a preparation that was interrupted must be run again.",
      });
    }
    return new EncodedDataset(directory, index);
  }

  get rows(): number {
    return this.#index.rows;
  }

  get layout(): EncodedLayout {
    return this.#index.layout;
  }

  /** Labels that are 0 and labels that are 1. */
  get labelCounts(): [number, number] {
    return this.#index.labelCounts;
  }

  /** Most ids over all tables of one row: bounds the lookups of a batch. */
  get maxIdsPerRow(): number {
    return this.#index.maxIdsPerRow;
  }

  /** Batches of one pass. */
  batchCount(batchSize: number): number {
    return Math.ceil(this.rows / batchSize);
  }

  /**
   * One pass over the rows.
   * @throws ParetoError DATA_ENCODED_DAMAGED when the file is shorter than its index says
   */
  async *batches(options: BatchOptions): AsyncGenerator<ClickBatch, void, undefined> {
    const { batchSize, start = 0, recycle = 0 } = options;
    invariant(Number.isInteger(batchSize) && batchSize > 0, `batchSize ${batchSize} is a positive integer`);
    const plan = this.#plan(options);
    const buffers = new BatchBuffers(this.layout, recycle);
    const first = start * batchSize;
    let next = plan.findIndex((window) => window.before + window.rows > first);
    if (next < 0) return;
    const path = join(this.directory, "rows.bin");
    const handle = await open(path, "r").catch((error: unknown) => {
      throw fileError(error, path);
    });
    const feed = new WindowPrefetch(
      { fd: handle.fd, path },
      this.#index,
      plan,
      options.shuffle?.seed ?? null,
      next,
    );
    try {
      let window: EncodedWindow | null = null;
      let left = 0;
      let position = first - plan[next]!.before;
      for (let row = first; row < this.rows; row += batchSize) {
        const size = Math.min(batchSize, this.rows - row);
        const pieces: Piece[] = [];
        for (let filled = 0; filled < size;) {
          if (window === null || left === 0) {
            window = await feed.next();
            left = plan[next++]!.rows - position;
          }
          const count = Math.min(left, size - filled);
          pieces.push({ window, from: position, count });
          filled += count;
          left -= count;
          position = left === 0 ? 0 : position + count;
        }
        const batch = this.#assemble(buffers, size, pieces);
        for (const piece of pieces) if (piece.window !== window || left === 0) feed.release(piece.window);
        yield batch;
      }
    } finally {
      await feed.close();
      await handle.close();
    }
  }

  #assemble(buffers: BatchBuffers, size: number, pieces: Piece[]): ClickBatch {
    const { tables, multiHot } = this.layout;
    let ids = size * tables;
    if (multiHot) {
      ids = 0;
      for (const { window, from, count } of pieces) ids += window.countIds(from, count);
    }
    const batch = buffers.take(size, ids);
    let to = 0;
    for (const { window, from, count } of pieces) {
      window.copy(from, count, batch, to);
      to += count;
    }
    if (multiHot) {
      let next = 0;
      for (let t = 0; t < tables; t++) {
        to = 0;
        for (const { window, from, count } of pieces) {
          next = window.copyBags(t, from, count, batch, to, next);
          to += count;
        }
      }
      batch.lookups.offsets![tables * size] = next;
    }
    return batch;
  }

  /** Which groups each window holds, in order. */
  #plan({ shuffle, groupsPerWindow = 8 }: BatchOptions): PlannedWindow[] {
    const entries = this.#index.groups;
    const epochStream = SHUFFLE_STREAM + (shuffle?.epoch ?? 0) * 0x10000;
    const order = Uint32Array.from(entries.keys());
    if (shuffle) new Rng(shuffle.seed, epochStream).shuffle(order);
    const plan: PlannedWindow[] = [];
    let before = 0;
    for (let g = 0; g < order.length; g += groupsPerWindow) {
      const groups = [...order.subarray(g, g + groupsPerWindow)];
      let rows = 0;
      for (const group of groups) rows += entries[group]!.rows;
      plan.push({ groups, rows, before, stream: epochStream + 1 + plan.length });
      before += rows;
    }
    return plan;
  }
}
