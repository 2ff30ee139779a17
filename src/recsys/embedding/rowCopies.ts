/**
 * @file Copies of listed rows of the tables in another memory of the host: FAE's hot rows, Hotline's popular rows. Weights
 * and optimizer state move together (invariant I7), and at any moment one side owns the rows (I1): the tables at first, the
 * copies after `syncIn`, the tables again after `syncOut`.
 *
 * A sync moves only rows that their owner has changed since the last one, bit for bit what moving all would give.
 */
import type { Arena, KernelTask, RowMove, ThreadPool } from "../../engine/targets/cpu/index.ts";
import type { EmbeddingTables } from "./embeddingTables.ts";
import type { HostEmbeddings } from "./hostEmbeddings.ts";
import type { SyncReport } from "./hotEmbeddingStore.ts";
import type { RowLists } from "./rowLists.ts";
import { type MovePiece, moveTasks, type PieceMove } from "./rowMoves.ts";
import type { TablePart } from "./rowTransfer.ts";

/** Which rows may be copied, and how. */
export interface RowCopiesOptions {
  tables: EmbeddingTables;
  /** Most rows. */
  capacity: number;
  /** Debugging: fill the side that does not own the rows with NaN, so that a wrong read shows; syncs then move all rows. */
  poison: boolean;
}

/** Where the copies lie. */
interface CopiesPlace {
  /** Updates them. */
  store: HostEmbeddings;
  pool: ThreadPool;
  arena: Arena;
  part: TablePart;
}

/** Rows, and the places of their copies in the part: the index of each by default. */
export interface ListedCopies {
  lists: RowLists;
  places?: Uint32Array;
}

/** Rows that one task looks at. */
const PIECE_ROWS = 32_768;

/** Bytes of: the list of places, that of rows, counts of tasks, a row of NaN, the map of arrived rows, zeros. */
function regions({ tables, capacity, poison }: RowCopiesOptions): number[] {
  const { columns } = tables.format;
  const pieces = Math.ceil(capacity / PIECE_ROWS) + tables.tables;
  const most = Math.max(1, ...Array.from({ length: tables.tables }, (_, t) => tables.partsOf(t).length));
  const list = 4 * capacity;
  return [
    list,
    list,
    4 * columns.length * pieces * most,
    4 * columns[0]!.stride,
    capacity,
    poison ? list : 0,
  ];
}

/** Copies of rows of the tables. */
export class RowCopies {
  readonly #options: RowCopiesOptions;
  readonly #place: CopiesPlace;
  /** Pointers: u32 lists of places of copies and of their rows, in order of tables and rows; a count a task. */
  readonly #placeList: number;
  readonly #rowList: number;
  readonly #counts: number;
  readonly #arrived: number;
  /** Poison: a row of NaN, and a list of "row 0". */
  readonly #nan: number;
  readonly #zeros: number;
  #groups: RowLists["groups"] = [];
  #owner: "tables" | "copies" = "tables";
  /** Whether copies of rows that the tables have not changed since are those of the tables. */
  #hasCopied = false;

  constructor(options: RowCopiesOptions, place: CopiesPlace) {
    this.#options = options;
    this.#place = place;
    const { arena } = place;
    const pointers = regions(options).map((bytes) => arena.allocate(bytes));
    [this.#placeList, this.#rowList, this.#counts, this.#nan, this.#arrived, this.#zeros] = pointers as [
      ...[number, number, number, number, number, number],
    ];
    arena.float32At(this.#nan, options.tables.format.columns[0]!.stride).fill(NaN);
  }

  /** Bytes that lists and scratch take in an arena. */
  static bytes(options: RowCopiesOptions): number {
    return regions(options).reduce((sum, bytes) => sum + bytes + 64, 0);
  }

  /** Which side owns the rows. */
  get owner(): "tables" | "copies" {
    return this.#owner;
  }

  /** Pointer of a byte map of copies that the last `syncIn` wrote (not 0). */
  get arrived(): number {
    return this.#arrived;
  }

  /** Says which rows are copied, and where. While the tables own them, the next `syncIn` copies all. */
  list({ lists, places }: ListedCopies): void {
    const { arena } = this.#place;
    const { indices, rows, groups } = lists;
    const listed = arena.int32At(this.#placeList, indices.length);
    if (places === undefined) listed.set(indices);
    else for (const [i, index] of indices.entries()) listed[i] = places[index]!;
    arena.int32At(this.#rowList, rows.length).set(rows);
    this.#groups = groups;
    if (this.#owner === "tables") this.#hasCopied = false;
  }

  /**
   * Copies rows and state from the tables, which own them; then the copies do.
   * @param copy `changed`: only rows that the tables changed since the last sync; the first copies all
   */
  async syncIn(copy: "changed" | "all" = "changed"): Promise<SyncReport> {
    const { tables, poison } = this.#options;
    const report = await this.#sync("in", this.#hasCopied && copy === "changed" ? tables.changeMark : 0);
    if (poison) await this.#poisonTables();
    this.#owner = "copies";
    this.#hasCopied = true;
    return report;
  }

  /**
   * Copies rows and state back to the tables; then they own them.
   * @param copy `changed`: only rows that were changed since the last sync
   */
  async syncOut(copy: "changed" | "all" = "changed"): Promise<SyncReport> {
    const report = await this.#sync("out", copy === "changed" ? this.#place.store.changeMark : 0);
    if (this.#options.poison) await this.poison();
    this.#owner = "tables";
    return report;
  }

  /**
   * Gives rows back to the tables, those that have changed, and takes others in, while the copies own the rows. What is
   * copied afterwards is to be listed again.
   */
  async exchange(
    evicted: ListedCopies,
    inserted: ListedCopies,
  ): Promise<{ out: SyncReport; in: SyncReport }> {
    const { poison } = this.#options;
    const { store, arena, part } = this.#place;
    this.list(evicted);
    const out = await this.#timed(() => this.#copy("out", poison ? 0 : store.changeMark));
    for (const place of evicted.places ?? []) {
      arena.bytes[part.changed + place] = 0;
      if (poison) this.#poisonCopy(place);
    }
    this.list(inserted);
    const moved = await this.#timed(() => this.#copy("in", 0));
    if (poison) await this.#poisonTables();
    return { out, in: moved };
  }

  /** Fills all copies with NaN. */
  async poison(): Promise<void> {
    const { tables, capacity } = this.#options;
    const { arena, part, store, pool } = this.#place;
    const tasks = tables.format.columns.map(({ stride }, column): KernelTask => {
      const args = [part.columns[column]!, capacity * stride, NaN];
      return { kernel: "fillValue", arena, arguments: args };
    });
    await store.exclusively(() => pool.run(tasks));
  }

  /** Copies rows marked `mark` (0: all) and starts a new period of marks on both sides. */
  #sync(direction: RowMove["direction"], mark: number): Promise<SyncReport> {
    return this.#timed(async () => {
      const rows = await this.#copy(direction, this.#options.poison ? 0 : mark);
      this.#place.store.startChangePeriod();
      this.#options.tables.startChangePeriod();
      return rows;
    });
  }

  async #timed(move: () => Promise<number>): Promise<SyncReport> {
    const { tables } = this.#options;
    const start = performance.now();
    let rows = 0;
    const change = async (): Promise<void> => void (rows = await move());
    await this.#place.store.exclusively(() => tables.exclusively(change));
    const seconds = (performance.now() - start) / 1000;
    return { rows, bytes: rows * tables.format.rowBytes, seconds };
  }

  /** @returns rows copied */
  async #copy(direction: RowMove["direction"], mark: number): Promise<number> {
    const { arena, part: copies, pool } = this.#place;
    const { columns } = this.#options.tables.format;
    const isIn = direction === "in";
    const tasks = this.#tasks(({ part, column, at }, index) => ({
      direction,
      nearBase: copies.columns[column]!,
      nearRows: this.#placeList + 4 * at,
      farRows: this.#rowList + 4 * at,
      onlyMarked: mark === 0 ? 0 : isIn ? part.changed : copies.changed,
      mark,
      leaveMark: isIn && mark > 0 ? this.#arrived : 0,
      copied: this.#counts + 4 * index,
    }));
    const { capacity } = this.#options;
    if (isIn) arena.bytes.fill(mark === 0 ? 1 : 0, this.#arrived, this.#arrived + capacity);
    await pool.run(tasks);
    let copied = 0;
    for (const count of arena.int32At(this.#counts, tasks.length)) copied += count;
    return copied / columns.length;
  }

  async #poisonTables(): Promise<void> {
    const tasks = this.#tasks(({ at }) => ({
      direction: "out",
      nearBase: this.#nan,
      nearRows: this.#zeros,
      farRows: this.#rowList + 4 * at,
      onlyMarked: 0,
      mark: 0,
      leaveMark: 0,
      copied: 0,
    }));
    await this.#options.tables.exclusively(() => this.#place.pool.run(tasks));
  }

  #poisonCopy(place: number): void {
    const { arena, part } = this.#place;
    for (const [column, { stride }] of this.#options.tables.format.columns.entries()) {
      arena.float32At(part.columns[column]! + 4 * place * stride, stride).fill(NaN);
    }
  }

  #tasks(move: (piece: MovePiece, index: number) => PieceMove): KernelTask[] {
    const { tables } = this.#options;
    const lists = this.#groups.map(({ table, first, count }) => ({
      parts: tables.partsOf(table),
      first,
      count,
    }));
    return moveTasks(this.#place.arena, tables.format, lists, PIECE_ROWS, move);
  }
}
