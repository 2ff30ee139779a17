/**
 * @file The windows of the staging buffers in the fast memory: rows copied between them and the tables, and from one to
 * another, by kernel threads. When that happens is up to `windowSchedule.ts`.
 *
 * The distinct row at position p of a table, popular rows included, has the place of the table's lookup p in the window, so
 * places of popular rows stay unused.
 */
import {
  type Arena,
  distinctCount,
  type KernelTask,
  type RowMove,
  type ThreadPool,
} from "../../../engine/targets/cpu/index.ts";
import type { EmbeddingTables } from "../embeddingTables.ts";
import { type MovePiece, moveTasks, type PieceMove } from "../rowMoves.ts";
import type { TablePart } from "../rowTransfer.ts";
import type { StagingBuffer } from "../stagingBuffer.ts";
import { MOVE_ROWS, WindowLists, type WindowShape } from "./windowLists.ts";

/** Where windows lie, and what they are windows on. */
export interface WindowsPlace {
  pool: ThreadPool;
  arena: Arena;
  /** The fast memory's rows. */
  part: TablePart;
  /** Its first slot of a window. */
  firstSlot: number;
  buffers: readonly StagingBuffer[];
  /** Tables, those with the longest tasks first. */
  order: readonly number[];
  poison: boolean;
}

/** The windows of all staging buffers. */
export class Windows {
  /** Lists of each buffer's window. */
  readonly lists: readonly WindowLists[];
  /** Bytes moved so far: of weights and optimizer state, without padding. */
  readonly moved = { toFastBytes: 0, toTablesBytes: 0, forwardedBytes: 0 };
  readonly #tables: EmbeddingTables;
  readonly #place: WindowsPlace;
  /** Slots of a window. */
  readonly #slots: number;
  /** Poison: a row of NaN, and a list of "row 0". */
  readonly #nan: number;
  readonly #zeros: number;

  constructor(shape: WindowShape, place: WindowsPlace) {
    const { arena, buffers, poison } = place;
    this.#tables = shape.tables;
    this.#place = place;
    this.#slots = shape.maxLookups;
    this.lists = buffers.map(() => new WindowLists(arena, shape));
    const [nanBytes, zerosBytes] = poisonBytes(shape, poison);
    this.#nan = arena.allocate(nanBytes);
    this.#zeros = arena.allocate(zerosBytes);
    arena.float32At(this.#nan, nanBytes / 4).fill(NaN);
  }

  /** Bytes that lists and scratch take in an arena. */
  static bytes(shape: WindowShape, buffers: number, poison: boolean): number {
    const [nanBytes, zerosBytes] = poisonBytes(shape, poison);
    return buffers * WindowLists.bytes(shape) + nanBytes + zerosBytes + 128;
  }

  /** The slot of the first place in a buffer's window. */
  firstSlot(buffer: number): number {
    return this.#place.firstSlot + buffer * this.#slots;
  }

  /**
   * Holds back the rows that a batch has in common with those of other buffers: they go to its list of late rows.
   * @param isEarly whether others go to its list of early ones; if not, all are late
   */
  async split(buffer: number, pending: readonly number[], isEarly: boolean): Promise<void> {
    const { arena, pool, order, buffers } = this.#place;
    const [staged, lists] = [buffers[buffer]!, this.lists[buffer]!];
    const [listed, early, late] = [lists.listed, lists.early, lists.late].map((list) =>
      arena.int32At(list, this.#slots),
    ) as [Int32Array, Int32Array, Int32Array];
    lists.isSplit = true;
    if (!isEarly) {
      late.set(listed);
      return;
    }
    early.set(listed);
    late.fill(-1);
    for (const number of pending) {
      const other = buffers[number]!;
      const tasks = order.map((table) => {
        const at = 4 * staged.tables[table]!.first;
        const others = this.lists[number]!.listed + 4 * other.tables[table]!.first;
        const views = [staged.view(table, true), other.view(table, true)];
        return this.#task("deferRows", [...views, others, lists.early + at, lists.late + at]);
      });
      await pool.run(tasks);
    }
  }

  /** Copies rows of a buffer's window from the tables; see `WindowMoves`. */
  async load(buffer: number, rows: "all" | "early" | "late"): Promise<void> {
    const { listed, early, late } = this.lists[buffer]!;
    const bytes = await this.#move(buffer, "in", { all: listed, early, late }[rows]);
    this.moved.toFastBytes += bytes;
  }

  /** Copies the rows of a buffer's window to the tables. */
  async writeBack(buffer: number): Promise<void> {
    const bytes = await this.#move(buffer, "out", this.lists[buffer]!.listed);
    this.moved.toTablesBytes += bytes;
  }

  /** Copies listed rows between the tables and a buffer's window. @returns bytes */
  async #move(buffer: number, direction: RowMove["direction"], list: number): Promise<number> {
    const window = this.firstSlot(buffer);
    const { counts } = this.lists[buffer]!;
    const mark = direction === "out" ? this.#tables.changeMark : 0;
    const tasks = this.#moveTasks(this.#place.buffers[buffer]!, list, ({ part, column, at }, index) => ({
      direction,
      nearBase: this.#at(column, window + at),
      nearRows: 0,
      mark,
      leaveMark: mark > 0 && column === 0 ? part.changed : 0,
      copied: counts + 4 * index,
    }));
    await this.#place.pool.run(tasks);
    let copied = 0;
    for (const count of this.#place.arena.int32At(counts, tasks.length)) copied += count;
    return (copied / this.#tables.format.columns.length) * this.#tables.format.rowBytes;
  }

  /** Tasks over the rows of a list of a staged batch. */
  #moveTasks(
    staged: StagingBuffer,
    list: number,
    move: (piece: MovePiece, index: number) => Omit<PieceMove, "farRows" | "onlyMarked">,
  ): KernelTask[] {
    const lists = this.#place.order.map((table) => ({
      parts: this.#tables.partsOf(table),
      first: staged.tables[table]!.first,
      count: distinctCount(this.#place.arena, staged.view(table, true)),
    }));
    return moveTasks(this.#place.arena, this.#tables.format, lists, MOVE_ROWS, (piece, index) => ({
      ...move(piece, index),
      farRows: list + 4 * piece.at,
      onlyMarked: 0,
    }));
  }

  /**
   * Copies the rows that a window has in common with that of an updated batch, and gathers again what the update has changed
   * in parts that need no window.
   */
  async forward(buffer: number, updated: number): Promise<void> {
    const { pool, arena, buffers } = this.#place;
    const [lists, others] = [this.lists[buffer]!, this.lists[updated]!];
    const [staged, source] = [buffers[buffer]!, buffers[updated]!];
    const tasks: KernelTask[] = [];
    let counted = 0;
    if (lists.isSlow.includes(true) && others.isSlow.includes(true)) {
      for (const table of this.#place.order) {
        const [first, from] = [staged.tables[table]!.first, source.tables[table]!.first];
        for (const [column, { stride }] of this.#tables.format.columns.entries()) {
          const places = [
            this.#at(column, this.firstSlot(buffer) + first),
            this.#at(column, this.firstSlot(updated) + from),
            4 * stride,
          ];
          const late = lists.isSplit && column === 0 ? lists.late + 4 * first : 0;
          const copied = column === 0 ? lists.counts + 4 * counted++ : 0;
          const views = [staged.view(table, true), source.view(table, true)];
          const args = [...views, others.listed + 4 * from, ...places, late, copied];
          tasks.push(this.#task("forwardRows", args));
        }
      }
    }
    const refreshes = lists.isSlow.flatMap((slow, part) =>
      slow ? [] : [this.#refreshTasks(staged, source, part)],
    );
    await pool.run([...tasks, ...(refreshes.shift() ?? [])]);
    // Further parts use the same scratch memory.
    for (const further of refreshes) await pool.run(further);
    let rows = 0;
    for (const count of arena.int32At(lists.counts, counted)) rows += count;
    this.moved.forwardedBytes += rows * this.#tables.format.rowBytes;
  }

  #refreshTasks(staged: StagingBuffer, source: StagingBuffer, part: number): KernelTask[] {
    const inputs = [staged.starts[part]!, staged.starts[part + 1]!];
    return this.#place.order.map((table) => {
      const views = [staged.view(table, true), source.view(table, true)];
      return this.#task("refreshRows", [...views, ...inputs]);
    });
  }

  /** Fills the window of a batch just taken with NaN. */
  async poisonWindow(buffer: number): Promise<void> {
    const staged = this.#place.buffers[buffer]!;
    // The lookups of a batch lie end to end.
    const first = staged.tables[0]?.first ?? 0;
    const rows = staged.tables.reduce((sum, { count }) => sum + count, 0);
    const tasks = this.#tables.format.columns.map(({ stride }, column) =>
      this.#task("fillValue", [this.#at(column, this.firstSlot(buffer) + first), rows * stride, NaN]),
    );
    await this.#place.pool.run(tasks);
  }

  /** Fills the tables' copies of the rows of a batch's window with NaN, until they are written back. */
  async poisonTables(buffer: number): Promise<void> {
    const staged = this.#place.buffers[buffer]!;
    const tasks = this.#moveTasks(staged, this.lists[buffer]!.listed, () => ({
      direction: "out",
      nearBase: this.#nan,
      nearRows: this.#zeros,
      mark: 0,
      leaveMark: 0,
      copied: 0,
    }));
    await this.#place.pool.run(tasks);
  }

  #task(kernel: KernelTask["kernel"], args: number[]): KernelTask {
    return { kernel, arena: this.#place.arena, arguments: args };
  }

  /** Where a slot lies in a column. */
  #at(column: number, slot: number): number {
    return this.#place.part.columns[column]! + 4 * this.#tables.format.columns[column]!.stride * slot;
  }
}

/** Bytes of a row of NaN, and of a list of zeros. */
function poisonBytes({ tables }: WindowShape, poison: boolean): [nan: number, zeros: number] {
  return poison ? [4 * tables.format.columns[0]!.stride, 4 * MOVE_ROWS] : [0, 0];
}
