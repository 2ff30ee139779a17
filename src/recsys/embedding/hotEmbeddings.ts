/**
 * @file FAE's hot copy: the hot rows of all tables, compact, in a memory of its own, with one fused id space of hot
 * indices. Weights and optimizer state move together between the tables and the hot copy (invariant I7).
 *
 * At any moment one of the two copies owns the rows (I1): the tables at first, the hot copy after `syncIn`, the
 * tables again after `syncOut`. A sync copies only rows changed since the last one, bit for bit what copying all
 * would give. Buffers staged before a sync are stale after it: stage them again.
 */
import { ParetoError } from "../../base/errors.ts";
import { type KernelTask, moveRowsArguments, type RowMove } from "../../engine/targets/cpu/index.ts";
import type { Lookups } from "../data/batches/clickBatch.ts";
import type { EmbeddingTables } from "./embeddingTables.ts";
import { type HotLists, hotLists } from "./hotLists.ts";
import type { HotEmbeddingStore, SyncReport } from "./hotEmbeddingStore.ts";
import { HostEmbeddings } from "./hostEmbeddings.ts";
import { checkRowsLength, copyRows, type TablePart } from "./rowTransfer.ts";

/** How to create a {@link HotEmbeddings}. */
export interface HotEmbeddingsOptions {
  tables: EmbeddingTables;
  /** Global row of each hot index, `[K]`: row r of table t is r + the rows of all tables before t. */
  rows: Uint32Array;
  stagingBuffers: number;
  maxBatch: number;
  /** Most lookups of a batch. Defaults to maxBatch × T. */
  maxLookups?: number;
  /** Debugging: fill the copy that does not own the rows with NaN, so that a wrong read shows; syncs then copy all rows. */
  poison?: boolean;
}

/** Rows that one copying task looks at. */
const SYNC_ROWS = 32_768;

/** The compact copy of hot rows; ids of its lookups are hot indices. */
export class HotEmbeddings extends HostEmbeddings implements HotEmbeddingStore {
  readonly #tables: EmbeddingTables;
  readonly #lists: HotLists;
  readonly #part: TablePart;
  readonly #poison: boolean;
  /** Pointers: u32 lists of hot indices and of their rows, in order of tables and rows; a count a task. */
  readonly #indexList: number;
  readonly #rowList: number;
  readonly #counts: number;
  /** Byte map of hot rows that the last `syncIn` wrote. */
  readonly #arrived: number;
  /** Poison: K zeros, a list of "row 0", and a row of NaN. */
  readonly #zeros: number;
  readonly #nan: number;
  #owner: "tables" | "hot" = "tables";
  #hasCopied = false;

  private constructor(options: HotEmbeddingsOptions, lists: HotLists) {
    const { tables, stagingBuffers, maxBatch, maxLookups, poison } = options;
    const { dim, optimizer } = tables;
    const count = lists.indices.length;
    const parts = lists.groups.map((g) => tasksOf(g.count) * tables.partsOf(g.table).length);
    const countCells = tables.format.columns.length * parts.reduce((sum, n) => sum + n, 0);
    const arrays = [
      4 * count,
      4 * count,
      2 * count,
      4 * countCells,
      4 * tables.format.columns[0]!.stride,
      count,
    ];
    const extraBytes = [...arrays, poison ? 4 * count : 0].reduce((sum, n) => sum + n + 64, 0);
    const stored = {
      cardinalities: [count],
      storedBy: Array.from({ length: tables.tables }, () => 0),
      weightOf: lists.rowsOfTable,
    };
    const limits = { dim, optimizer, stagingBuffers, maxBatch };
    super(
      tables.threadPool,
      false,
      stored,
      maxLookups === undefined ? limits : { ...limits, maxLookups },
      extraBytes,
    );
    this.#tables = tables;
    this.#lists = lists;
    this.#part = this.parts[0]![0]!;
    if (this.#part.arena !== this.mainArena) {
      throw new ParetoError({
        code: "HOT_EMBEDDINGS_TOO_LARGE",
        where: "HotEmbeddings",
        message: `hot rows must fit one memory of 4 GiB, got ${count} rows of ${this.format.storedBytes} bytes`,
        fix: "Use a smaller hot budget.",
      });
    }
    [this.#indexList, this.#rowList, this.rowTables, this.#counts, this.#nan, this.#arrived] = arrays.map(
      (bytes) => this.mainArena.allocate(bytes),
    ) as [number, number, number, number, number, number];
    this.mainArena.int32At(this.#indexList, count).set(lists.indices);
    this.mainArena.int32At(this.#rowList, count).set(lists.rows);
    new Uint16Array(this.mainArena.memory.buffer, this.rowTables, count).set(lists.tables);
    this.mainArena.float32At(this.#nan, this.format.columns[0]!.stride).fill(NaN);
    this.#poison = poison ?? false;
    this.#zeros = this.#poison ? this.mainArena.allocate(4 * count) : 0;
  }

  /**
   * Makes a hot copy of some rows of `tables`, sharing their threads. It holds nothing until the first `syncIn`.
   * @throws ParetoError HOT_ROWS_EMPTY, HOT_ROW_DUPLICATE, HOT_ROW_OUT_OF_RANGE, HOT_EMBEDDINGS_TOO_LARGE
   */
  static async create(options: HotEmbeddingsOptions): Promise<HotEmbeddings> {
    const hot = new HotEmbeddings(options, hotLists(options.rows, options.tables.cardinalities));
    if (hot.#poison) await hot.#poisonHot();
    return hot;
  }

  get owner(): "tables" | "hot" {
    return this.#owner;
  }

  get size(): number {
    return this.#lists.indices.length;
  }

  /**
   * Where the hot rows lie, for a copy of it in device memory.
   * @returns the columns of the format `[K, stride]`; a byte a row that the last `syncIn` wrote (not 0); and the byte
   * map in which `changeMark` says which rows the next `syncOut` is to take
   */
  mirror(): { columns: Float32Array[]; arrived: Uint8Array; changed: Uint8Array } {
    this.assertUsable();
    const bytes = (pointer: number) => this.mainArena.bytes.subarray(pointer, pointer + this.size);
    return {
      columns: this.format.columns.map(({ stride }, i) =>
        this.mainArena.float32At(this.#part.columns[i]!, this.size * stride),
      ),
      arrived: bytes(this.#arrived),
      changed: bytes(this.#part.changed),
    };
  }

  /** @throws ParetoError HOT_EMBEDDINGS_STALE when the tables own the rows */
  assertFresh(): void {
    this.#assertOwner(
      "hot",
      "HOT_EMBEDDINGS_STALE",
      "await syncIn() at the start of a hot segment, then stage",
    );
  }

  /** @throws ParetoError HOT_EMBEDDINGS_ORDER when there is nothing to sync out */
  assertSyncOut(): void {
    this.#assertOwner("hot", "HOT_EMBEDDINGS_ORDER", "await syncIn() before syncOut()");
  }

  /** Table of each hot row, `[K]`. */
  get tableOfRow(): Uint16Array {
    return this.#lists.tables;
  }

  /** @throws ParetoError HOT_EMBEDDINGS_STALE before `syncIn`, and what {@link HostEmbeddings.stage} throws */
  override async stage(buffer: number, ...parts: readonly Lookups[]): Promise<void> {
    this.assertFresh();
    await super.stage(buffer, ...parts);
  }

  /** @throws ParetoError HOT_EMBEDDINGS_STALE after `syncOut`, when the change would be lost */
  override async update(buffer: number, learningRate: number, step: number): Promise<void> {
    this.assertFresh();
    await super.update(buffer, learningRate, step);
  }

  async syncIn(copy: "changed" | "all" = "changed"): Promise<SyncReport> {
    this.#assertOwner("tables", "HOT_EMBEDDINGS_ORDER", "await syncOut() before another syncIn()");
    const report = await this.#sync(
      "in",
      this.#hasCopied && copy === "changed" ? this.#tables.changeMark : 0,
    );
    if (this.#poison) await this.#poisonTables();
    this.#owner = "hot";
    this.#hasCopied = true;
    return report;
  }

  async syncOut(copy: "changed" | "all" = "changed"): Promise<SyncReport> {
    this.assertSyncOut();
    const report = await this.#sync("out", copy === "changed" ? this.changeMark : 0);
    if (this.#poison) await this.#poisonHot();
    this.#owner = "tables";
    return report;
  }

  async readWeights(into: Float32Array): Promise<void> {
    this.assertFresh();
    const [column] = this.format.columns;
    checkRowsLength(column!, into.length, this.size);
    await this.exclusively(() => {
      const stored = this.mainArena.float32At(this.#part.columns[0]!, this.size * column!.stride);
      copyRows(into, column!.length, stored, column!.stride, column!.length, this.size);
      return Promise.resolve();
    });
  }

  /** Copies rows marked `mark` (0: all) and starts a new period of marks on both sides. */
  async #sync(direction: RowMove["direction"], mark: number): Promise<SyncReport> {
    const start = performance.now();
    let rows = 0;
    await this.#bothExclusively(async () => {
      rows = await this.#copy(direction, this.#poison ? 0 : mark);
      this.startChangePeriod();
      this.#tables.startChangePeriod();
    });
    return { rows, bytes: rows * this.format.rowBytes, seconds: (performance.now() - start) / 1000 };
  }

  async #copy(direction: RowMove["direction"], mark: number): Promise<number> {
    const tasks = this.#tasks(({ part, column, words, at, count }, index) => ({
      direction,
      nearBase: this.#part.columns[column]!,
      nearRows: this.#indexList + 4 * at,
      farBase: part.columns[column]!,
      farRows: this.#rowList + 4 * at,
      count,
      low: part.firstRow,
      high: part.firstRow + part.rows,
      words,
      onlyMarked: mark === 0 ? 0 : direction === "in" ? part.changed : this.#part.changed,
      mark,
      leaveMark: direction === "in" && mark > 0 ? this.#arrived : 0,
      copied: this.#counts + 4 * index,
    }));
    if (direction === "in")
      this.mainArena.bytes.fill(mark === 0 ? 1 : 0, this.#arrived, this.#arrived + this.size);
    await this.pool.run(tasks);
    let copied = 0;
    for (const count of this.mainArena.int32At(this.#counts, tasks.length)) copied += count;
    return copied / this.format.columns.length;
  }

  async #poisonTables(): Promise<void> {
    const tasks = this.#tasks(({ part, column, words, at, count }) => ({
      direction: "out",
      nearBase: this.#nan,
      nearRows: this.#zeros,
      farBase: part.columns[column]!,
      farRows: this.#rowList + 4 * at,
      count,
      low: part.firstRow,
      high: part.firstRow + part.rows,
      words,
      onlyMarked: 0,
      mark: 0,
      leaveMark: 0,
      copied: 0,
    }));
    await this.#tables.exclusively(() => this.pool.run(tasks));
  }

  async #poisonHot(): Promise<void> {
    const tasks = this.format.columns.map((column, index): KernelTask => {
      const args = [this.#part.columns[index]!, this.size * column.stride, NaN];
      return { kernel: "fillValue", arena: this.mainArena, arguments: args };
    });
    await this.exclusively(() => this.pool.run(tasks));
  }

  /** One task a column and piece of a group of rows that lie in one part of a table. */
  #tasks(move: (piece: Piece, index: number) => RowMove): KernelTask[] {
    const tasks: KernelTask[] = [];
    for (const { table, first, count } of this.#lists.groups) {
      for (let at = first; at < first + count; at += SYNC_ROWS) {
        for (const [column, { stride }] of this.format.columns.entries()) {
          // Pieces of a split table look at the same rows; each takes those of its part.
          for (const part of this.#tables.partsOf(table)) {
            const length = Math.min(SYNC_ROWS, first + count - at);
            const piece = { part, column, words: stride, at, count: length };
            const args = moveRowsArguments(move(piece, tasks.length));
            tasks.push({ kernel: "moveRows", arena: this.mainArena, other: part.arena, arguments: args });
          }
        }
      }
    }
    return tasks;
  }

  async #bothExclusively(change: () => Promise<void>): Promise<void> {
    await this.exclusively(() => this.#tables.exclusively(change));
  }

  #assertOwner(wanted: "tables" | "hot", code: string, fix: string): void {
    this.assertUsable();
    if (this.#owner === wanted) return;
    throw new ParetoError({
      code,
      where: "HotEmbeddings",
      message: `the hot rows that count must be those of the ${wanted}, got those of the ${this.#owner}`,
      fix,
    });
  }
}

interface Piece {
  part: TablePart;
  column: number;
  words: number;
  /** First entry of the lists, and how many. */
  at: number;
  count: number;
}

function tasksOf(count: number): number {
  return Math.ceil(count / SYNC_ROWS);
}
