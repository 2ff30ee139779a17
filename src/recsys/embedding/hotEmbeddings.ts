/**
 * @file FAE's hot copy: the hot rows of all tables, compact, in a memory of its own, with one fused id space of hot
 * indices. Weights and optimizer state move together between the tables and the hot copy (invariant I7).
 *
 * At any moment one of the two copies owns the rows (I1): the tables at first, the hot copy after `syncIn`, the
 * tables again after `syncOut`. A sync copies only rows changed since the last one, bit for bit what copying all
 * would give. Buffers staged before a sync are stale after it: stage them again.
 */
import { ParetoError } from "../../base/errors.ts";
import type { Lookups } from "../data/batches/clickBatch.ts";
import type { EmbeddingTables } from "./embeddingTables.ts";
import type { HotEmbeddingStore, SyncReport } from "./hotEmbeddingStore.ts";
import { HostEmbeddings } from "./hostEmbeddings.ts";
import { RowCopies } from "./rowCopies.ts";
import { type RowLists, rowLists } from "./rowLists.ts";
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

/** The compact copy of hot rows; ids of its lookups are hot indices. */
export class HotEmbeddings extends HostEmbeddings implements HotEmbeddingStore {
  readonly #tableOfRow: Uint16Array;
  readonly #part: TablePart;
  readonly #copies: RowCopies;

  private constructor(options: HotEmbeddingsOptions, lists: RowLists) {
    const { tables, stagingBuffers, maxBatch, maxLookups, poison = false } = options;
    const { dim, optimizer } = tables;
    const count = lists.indices.length;
    const copies = { tables, capacity: count, poison };
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
      2 * count + 64 + RowCopies.bytes(copies),
    );
    this.#tableOfRow = lists.tables;
    this.#part = this.parts[0]![0]!;
    if (this.#part.arena !== this.mainArena) {
      throw new ParetoError({
        code: "HOT_EMBEDDINGS_TOO_LARGE",
        where: "HotEmbeddings",
        message: `hot rows must fit one memory of 4 GiB, got ${count} rows of ${this.format.storedBytes} bytes`,
        fix: "Use a smaller hot budget.",
      });
    }
    this.rowTables = this.mainArena.allocate(2 * count);
    new Uint16Array(this.mainArena.memory.buffer, this.rowTables, count).set(lists.tables);
    const place = { store: this, pool: this.pool, arena: this.mainArena, part: this.#part };
    this.#copies = new RowCopies(copies, place);
    this.#copies.list({ lists });
  }

  /**
   * Makes a hot copy of some rows of `tables`, sharing their threads. It holds nothing until the first `syncIn`.
   * @throws ParetoError HOT_ROWS_EMPTY, HOT_ROW_DUPLICATE, HOT_ROW_OUT_OF_RANGE, HOT_EMBEDDINGS_TOO_LARGE
   */
  static async create(options: HotEmbeddingsOptions): Promise<HotEmbeddings> {
    const where = "HotEmbeddings.create";
    const { rows, tables, poison = false } = options;
    if (rows.length === 0) {
      throw new ParetoError({
        code: "HOT_ROWS_EMPTY",
        where,
        message: "hot embeddings need rows, got 0",
        fix: "Train without hot embeddings.",
      });
    }
    const hot = new HotEmbeddings(options, rowLists(rows, tables.cardinalities, where));
    if (poison) await hot.#copies.poison();
    return hot;
  }

  get owner(): "tables" | "hot" {
    return this.#copies.owner === "tables" ? "tables" : "hot";
  }

  get size(): number {
    return this.#tableOfRow.length;
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
      arrived: bytes(this.#copies.arrived),
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
    return this.#tableOfRow;
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
    return this.#copies.syncIn(copy);
  }

  async syncOut(copy: "changed" | "all" = "changed"): Promise<SyncReport> {
    this.assertSyncOut();
    return this.#copies.syncOut(copy);
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

  #assertOwner(wanted: "tables" | "hot", code: string, fix: string): void {
    this.assertUsable();
    if (this.owner === wanted) return;
    throw new ParetoError({
      code,
      where: "HotEmbeddings",
      message: `the hot rows that count must be those of the ${wanted}, got those of the ${this.owner}`,
      fix,
    });
  }
}
