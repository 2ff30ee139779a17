/** @file The lists that belong to the window of one staging buffer, in the main arena. Numbers are byte offsets. */
import { alignedBytes, type Arena } from "../../../engine/targets/cpu/index.ts";
import type { EmbeddingTables } from "../embeddingTables.ts";

/** The limits of a window. */
export interface WindowShape {
  tables: EmbeddingTables;
  maxBatch: number;
  /** Slots of a window: each distinct row of a batch has one, at the place of a lookup. */
  maxLookups: number;
}

/** Listed rows that one task looks at. */
export const MOVE_ROWS = 512;

function regions({ tables, maxBatch, maxLookups }: WindowShape): number[] {
  const list = 4 * maxLookups;
  const most = Math.max(1, ...Array.from({ length: tables.tables }, (_, t) => tables.partsOf(t).length));
  const tasks = (Math.ceil(maxLookups / MOVE_ROWS) + tables.tables) * most * tables.format.columns.length;
  return [list, list, list, list, 4 * (maxBatch + 1), tables.tables * maxBatch, 4 * tasks];
}

/** Lists of a window; entries of a table begin at its first lookup. */
export class WindowLists {
  /** Slots of distinct rows, u32. */
  readonly slots: number;
  /** Rows that belong in the window, u32: −1 at the place of a popular row. */
  readonly listed: number;
  /** The same, split: those that are loaded ahead of an update, and those that are held back for it. */
  readonly early: number;
  readonly late: number;
  /** First input of each part of the batch, and the end, i32. */
  readonly starts: number;
  /** Whether a part looks rows of the window up, u8 `[T, maxBatch]`. */
  readonly needs: number;
  /** Rows moved, i32 a task. */
  readonly counts: number;
  /** Parts of the batch that look rows of the window up, `[parts]`. */
  isSlow: boolean[] = [];
  /** Whether `late` holds rows of this batch. */
  isSplit = false;

  constructor(arena: Arena, shape: WindowShape) {
    const pointers = regions(shape).map((bytes) => arena.allocate(bytes));
    [this.slots, this.listed, this.early, this.late] = pointers as [number, number, number, number];
    [this.starts, this.needs, this.counts] = pointers.slice(4) as [number, number, number];
  }

  /** Bytes that they take in an arena. */
  static bytes(shape: WindowShape): number {
    return regions(shape).reduce((sum, bytes) => sum + alignedBytes(bytes), 0);
  }
}
