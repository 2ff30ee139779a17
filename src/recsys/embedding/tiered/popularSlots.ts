/**
 * @file Which rows are popular, and the slot of each in the fast memory. Rows that stay popular when the set changes keep
 * their slots, so that only rows that come or go move.
 */
import { alignedBytes, type Arena } from "../../../engine/targets/cpu/index.ts";
import type { EmbeddingTables } from "../embeddingTables.ts";
import { checkRowsLength, type TablePart } from "../rowTransfer.ts";
import { ParetoError } from "../../../base/errors.ts";

/** No row has this number. */
const NO_ROW = 0xffffffff;

/** Rows and the slot of each. */
export interface SlottedRows {
  /** Global rows. */
  rows: Uint32Array;
  slots: Uint32Array;
}

/** Popular rows and their slots. */
export class PopularSlots {
  readonly #arena: Arena;
  readonly #cardinalities: readonly number[];
  /** First global row of each table, and the end, `[T + 1]`. */
  readonly #firstRows: number[];
  /** Pointer of i32 `[R]`: the slot of a global row, or −1. */
  readonly #slotOf: number;
  /** Global row in each slot, or {@link NO_ROW}. */
  readonly #rowOf: Uint32Array;
  #size = 0;

  constructor(arena: Arena, cardinalities: readonly number[], capacity: number) {
    this.#arena = arena;
    this.#cardinalities = cardinalities;
    this.#firstRows = [0];
    for (const rows of cardinalities) this.#firstRows.push(this.#firstRows.at(-1)! + rows);
    this.#slotOf = arena.allocate(PopularSlots.bytes(cardinalities));
    this.#rowOf = new Uint32Array(capacity).fill(NO_ROW);
    this.#slots.fill(-1);
  }

  /** Bytes that the slots of all rows take in an arena. */
  static bytes(cardinalities: readonly number[]): number {
    return alignedBytes(4 * cardinalities.reduce((sum, rows) => sum + rows, 0));
  }

  /** Popular rows (K). */
  get size(): number {
    return this.#size;
  }

  /** Pointer of the slots of a table's rows, i32; −1 for rows that are not popular. */
  pointer(table: number): number {
    return this.#slotOf + 4 * this.#firstRows[table]!;
  }

  /**
   * Makes other rows popular.
   * @param rows distinct global rows, at most as many as there are slots
   * @returns rows that are popular no longer, with the slots that they had, and those that have become so
   */
  replace(rows: Uint32Array): { evicted: SlottedRows; inserted: SlottedRows } {
    const slots = this.#slots;
    const stays = new Uint8Array(this.#rowOf.length);
    const inserted: SlottedRows = { rows: new Uint32Array(rows.length), slots: new Uint32Array(rows.length) };
    let count = 0;
    for (const row of rows) {
      const slot = slots[row]!;
      if (slot >= 0) stays[slot] = 1;
      else inserted.rows[count++] = row;
    }
    const evicted = this.#where((slot) => stays[slot] === 0);
    for (const [i, row] of evicted.rows.entries()) {
      slots[row] = -1;
      this.#rowOf[evicted.slots[i]!] = NO_ROW;
    }
    let slot = 0;
    for (let i = 0; i < count; i++) {
      while (this.#rowOf[slot] !== NO_ROW) slot++;
      const row = inserted.rows[i]!;
      this.#rowOf[slot] = row;
      slots[row] = slot;
      inserted.slots[i] = slot;
    }
    this.#size = rows.length;
    return {
      evicted,
      inserted: { rows: inserted.rows.subarray(0, count), slots: inserted.slots.subarray(0, count) },
    };
  }

  /** All popular rows, by slot. */
  all(): SlottedRows {
    return this.#where(() => true);
  }

  /**
   * Copies weights of rows: of popular ones from the fast memory.
   * @param fast where the slots are; null when the tables own all rows
   * @param into `[rows, D]`
   * @throws ParetoError ROWS_LENGTH, ROWS_RANGE
   */
  readWeights(tables: EmbeddingTables, fast: TablePart | null, rows: Uint32Array, into: Float32Array): void {
    const { dim, columns } = tables.format;
    const { stride } = columns[0]!;
    checkRowsLength(columns[0]!, into.length, rows.length);
    const slots = this.#slots;
    for (const [i, row] of rows.entries()) {
      const slot = fast === null ? -1 : (slots[row] ?? -1);
      const [part, at] = slot >= 0 ? [fast!, slot] : this.#partOf(tables, row);
      const from = part.columns[0]! / 4 + at * stride;
      const { float32 } = part.arena;
      for (let e = 0; e < dim; e++) into[i * dim + e] = float32[from + e]!;
    }
  }

  get #slots(): Int32Array {
    return this.#arena.int32At(this.#slotOf, this.#firstRows.at(-1)!);
  }

  #where(wanted: (slot: number) => boolean): SlottedRows {
    const [rows, slots] = [new Uint32Array(this.#size), new Uint32Array(this.#size)];
    let count = 0;
    for (const [slot, row] of this.#rowOf.entries()) {
      if (row === NO_ROW || !wanted(slot)) continue;
      rows[count] = row;
      slots[count++] = slot;
    }
    return { rows: rows.subarray(0, count), slots: slots.subarray(0, count) };
  }

  /** The part of a table that holds a global row, and the row's place there. @throws ParetoError ROWS_RANGE */
  #partOf(tables: EmbeddingTables, row: number): [TablePart, number] {
    const first = this.#firstRows;
    if (row >= first.at(-1)!) {
      throw new ParetoError({
        code: "ROWS_RANGE",
        where: "TieredEmbeddings.readWeights",
        message: `tables have ${first.at(-1)} rows in all, got row ${row}`,
        fix: "Number rows over all tables.",
      });
    }
    let [table, end] = [0, this.#cardinalities.length];
    while (end - table > 1) {
      const middle = (table + end) >>> 1;
      if (first[middle]! <= row) table = middle;
      else end = middle;
    }
    const local = row - first[table]!;
    const part = tables.partsOf(table).find(({ firstRow, rows }) => local < firstRow + rows)!;
    return [part, local - part.firstRow];
  }
}
