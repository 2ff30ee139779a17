/**
 * @file Rows of spill arenas, brought into the main one for the kernels: a batch's distinct rows are copied into
 * a cache, which then is a small table whose row ids are the positions of the distinct rows. Updates fetch rows
 * and state, run the same kernels on the copies, and store them back, so tables get the same bits wherever they lie.
 */
import {
  alignedBytes,
  type Arena,
  distinctCount,
  type KernelTask,
  type RowMove,
  setDistinctCount,
  type TableView,
  type ThreadPool,
  writeTableView,
} from "../../engine/targets/cpu/index.ts";
import type { RowFormat } from "./rowFormat.ts";
import { moveTasks } from "./rowMoves.ts";
import type { TablePart } from "./rowTransfer.ts";
import type { StagingBuffer } from "./stagingBuffer.ts";

/** A logical table whose rows are in spill arenas. */
export interface SpilledTable {
  table: number;
  parts: readonly TablePart[];
}

/** Listed rows that one task looks at. */
const MOVE_ROWS = 512;

/** Copies of spilled rows in the main arena. */
export class SpilledTables {
  readonly #pool: ThreadPool;
  readonly #mainArena: Arena;
  readonly #format: RowFormat;
  /** 0, 1, 2 …: the row ids of a cache. */
  readonly #identity: number;
  /** Copies of the optimizer state of the rows that an update touches, a pointer a state column. */
  readonly #states: number[];

  constructor(pool: ThreadPool, mainArena: Arena, format: RowFormat, maxLookups: number) {
    this.#pool = pool;
    this.#mainArena = mainArena;
    this.#format = format;
    this.#identity = mainArena.allocate(4 * maxLookups);
    const identity = mainArena.int32At(this.#identity, maxLookups);
    for (let i = 0; i < maxLookups; i++) identity[i] = i;
    const states = format.columns.slice(1);
    this.#states = states.map((column) => mainArena.allocate(4 * column.stride * maxLookups));
  }

  /** Bytes that the copies take in the main arena. */
  static bytes(format: RowFormat, maxLookups: number): number {
    let bytes = alignedBytes(4 * maxLookups);
    for (const column of format.columns.slice(1)) bytes += alignedBytes(4 * column.stride * maxLookups);
    return bytes;
  }

  /**
   * Writes the view of a spilled table's cached rows: lookups are positions of distinct rows, and rows to update are
   * 0, 1, 2 …
   */
  writeCachedView(staged: StagingBuffer, table: number, view: TableView): void {
    writeTableView(this.#mainArena, staged.view(table, true), {
      ...view,
      // `inverse` numbers this table's lookups from 0, `ids` those of the whole batch.
      ids: view.inverse - 4 * view.first,
      cardinality: Math.max(1, view.lookups),
      owners: 0,
      rows: this.#identity,
      weights: this.#copies(staged, view.first, 0),
      state0: this.#copies(staged, view.first, 1),
      state1: this.#copies(staged, view.first, 2),
    });
  }

  /** Where the copies of a column begin for a table: weights in the buffer, state in a place for one update. */
  #copies(staged: StagingBuffer, first: number, column: number): number {
    if (column > this.#states.length) return 0;
    const base = column === 0 ? staged.cache : this.#states[column - 1]!;
    return base + first * 4 * this.#format.columns[column]!.stride;
  }

  /** Copies the weights of a batch's distinct spilled rows into its buffer. */
  async fetchForGather(staged: StagingBuffer, tables: readonly SpilledTable[]): Promise<void> {
    await this.#pool.run(tables.flatMap((table) => this.#moves(staged, table, "in", 1, 0)));
  }

  /** Copies the weights and state of a batch's distinct spilled rows to where an update works on them. */
  async fetchForUpdate(staged: StagingBuffer, tables: readonly SpilledTable[]): Promise<void> {
    for (const { table } of tables) {
      setDistinctCount(
        this.#mainArena,
        staged.view(table, true),
        distinctCount(this.#mainArena, staged.view(table)),
      );
    }
    const columns = this.#format.columns.length;
    await this.#pool.run(tables.flatMap((table) => this.#moves(staged, table, "in", columns, 0)));
  }

  /** Copies updated rows back; `mark` > 0 is left in the byte maps of changed rows. */
  async storeUpdated(staged: StagingBuffer, tables: readonly SpilledTable[], mark: number): Promise<void> {
    const columns = this.#format.columns.length;
    await this.#pool.run(tables.flatMap((table) => this.#moves(staged, table, "out", columns, mark)));
  }

  #moves(
    staged: StagingBuffer,
    { table, parts }: SpilledTable,
    direction: RowMove["direction"],
    columns: number,
    mark: number,
  ): KernelTask[] {
    const { first } = staged.tables[table]!;
    const count = distinctCount(this.#mainArena, staged.view(table));
    return moveTasks(
      this.#mainArena,
      this.#format,
      [{ parts, first, count }],
      MOVE_ROWS,
      ({ part, column, at }) => ({
        direction,
        nearBase: this.#copies(staged, at, column),
        nearRows: 0,
        farRows: staged.rows + 4 * at,
        onlyMarked: 0,
        mark,
        leaveMark: mark > 0 && column === 0 ? part.changed : 0,
        copied: 0,
      }),
      columns,
    );
  }
}
