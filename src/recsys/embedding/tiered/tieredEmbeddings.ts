/**
 * @file Embedding rows in two tiers: the tables on the host, which hold all rows, and a fast memory, which holds the popular
 * ones and, for each staging buffer, a *window*: the other distinct rows of the batch that is staged there. It is the
 * memory that Hotline (arXiv 2204.05436) computes on: popular inputs read popular rows only, and compute while the rows of
 * the others are gathered. Lookups are rows of the tables, and become slots of the fast memory.
 *
 * Each row is in one place: popular rows in the fast memory alone, from the first stage to `flush`; the others in the
 * tables, and in a window from the update of a batch until they are written back. Results are those of
 * {@link EmbeddingTables} with the same parts, bit for bit, whatever is popular, for any number of threads and however long
 * moves between the tiers take (H2 to H4).
 *
 * On the CPU the fast memory is a memory of its own, 4 GiB at most with the windows and 4 bytes for each row of the tables.
 */
import { ParetoError } from "../../../base/errors.ts";
import { type KernelTask, writeTableView } from "../../../engine/targets/cpu/index.ts";
import type { Lookups } from "../../data/batches/clickBatch.ts";
import type { EmbeddingTables } from "../embeddingTables.ts";
import { HostEmbeddings } from "../hostEmbeddings.ts";
import { optimizerTask } from "../optimizerTask.ts";
import { RowCopies } from "../rowCopies.ts";
import { rowLists } from "../rowLists.ts";
import type { TablePart } from "../rowTransfer.ts";
import type { StagingBuffer } from "../stagingBuffer.ts";
import { PopularSlots } from "./popularSlots.ts";
import type { WindowLists, WindowShape } from "./windowLists.ts";
import { Windows } from "./windows.ts";
import { WindowSchedule } from "./windowSchedule.ts";

/** How to create {@link TieredEmbeddings}. */
export interface TieredEmbeddingsOptions {
  tables: EmbeddingTables;
  /** Bytes of fast memory for popular rows with their optimizer state; windows come on top. */
  budgetBytes: number;
  stagingBuffers: number;
  maxBatch: number;
  /** Most lookups of a batch. Defaults to maxBatch × T. */
  maxLookups?: number;
  /**
   * Whether rows that the batch under way does not update are loaded while it computes. If not, which is the default,
   * loads begin after its update.
   */
  earlyGather?: boolean;
  /** Debugging: fill every copy of a row that does not own it with NaN, so that a wrong read shows. */
  poison?: boolean;
}

/** What moved between the tiers so far. Bytes are of weights and optimizer state, without padding. */
export interface TierTraffic {
  toFastBytes: number;
  toTablesBytes: number;
  /** From window to window inside the fast memory, instead of through the tables. */
  forwardedBytes: number;
  /** Seconds in which rows were loaded and gathered beside the computation. */
  gatherSeconds: number;
  /** Seconds that callers of `ready` waited: exposed, if they call it when the part could start. */
  exposedSeconds: number;
}

/** What a change of the popular rows moved. */
export interface PopularChange {
  evicted: number;
  inserted: number;
  toFastBytes: number;
  toTablesBytes: number;
  seconds: number;
}

/** Rows in two tiers; ids of lookups are rows of the tables. */
export class TieredEmbeddings extends HostEmbeddings {
  /** Most popular rows. */
  readonly capacity: number;
  readonly #tables: EmbeddingTables;
  readonly #part: TablePart;
  readonly #slots: PopularSlots;
  readonly #copies: RowCopies;
  readonly #windows: Windows;
  readonly #schedule: WindowSchedule;
  readonly #maxBatch: number;
  readonly #poison: boolean;
  /** Stages, one after the other. */
  #staging: Promise<void> = Promise.resolve();

  private constructor(options: TieredEmbeddingsOptions, capacity: number) {
    const { tables, stagingBuffers, maxBatch, poison = false, earlyGather = false } = options;
    const { dim, optimizer, cardinalities, format } = tables;
    const maxLookups = options.maxLookups ?? maxBatch * Math.max(1, tables.tables);
    const copies = { tables, capacity, poison };
    const shape: WindowShape = { tables, maxBatch, maxLookups };
    super(
      tables.threadPool,
      false,
      {
        cardinalities: [capacity + stagingBuffers * maxLookups],
        storedBy: cardinalities.map(() => 0),
        weightOf: cardinalities,
      },
      { dim, optimizer, stagingBuffers, maxBatch, maxLookups },
      PopularSlots.bytes(cardinalities) +
        RowCopies.bytes(copies) +
        Windows.bytes(shape, stagingBuffers, poison),
    );
    this.capacity = capacity;
    this.#tables = tables;
    this.#part = this.parts[0]![0]!;
    if (this.#part.arena !== this.mainArena) {
      throw new ParetoError({
        code: "TIERED_TOO_LARGE",
        where: "TieredEmbeddings.create",
        message: `popular rows and windows must fit one memory of 4 GiB, got ${this.cardinalities[0]} rows of ${format.storedBytes} bytes`,
        fix: "Use a smaller budget, or smaller batches.",
      });
    }
    const { pool, mainArena: arena, order } = this;
    this.#maxBatch = maxBatch;
    this.#poison = poison;
    this.#slots = new PopularSlots(arena, cardinalities, capacity);
    this.#copies = new RowCopies(copies, { store: this, pool, arena, part: this.#part });
    const buffers = Array.from({ length: stagingBuffers }, (_, buffer) => this.buffer(buffer));
    this.#windows = new Windows(shape, {
      pool,
      arena,
      part: this.#part,
      firstSlot: capacity,
      buffers,
      order,
      poison,
    });
    const moves = {
      load: (buffer: number, rows: "all" | "early" | "late") => this.#windows.load(buffer, rows),
      gather: (buffer: number) => this.#gather(buffer),
      writeBack: (buffer: number) => this.#windows.writeBack(buffer),
    };
    this.#schedule = new WindowSchedule(moves, stagingBuffers, earlyGather);
  }

  /**
   * Makes the fast memory beside `tables`, sharing their threads. No row is popular at first.
   * @throws ParetoError TIERED_BUDGET when the budget does not hold a row; TIERED_TOO_LARGE, ARENA_TOO_LARGE,
   * ARENA_OUT_OF_MEMORY, ROWS_OPTIONS
   */
  static async create(options: TieredEmbeddingsOptions): Promise<TieredEmbeddings> {
    const { tables, budgetBytes, poison } = options;
    const { rowBytes } = tables.format;
    const rows = tables.cardinalities.reduce((sum, count) => sum + count, 0);
    if (!(budgetBytes >= rowBytes)) {
      throw new ParetoError({
        code: "TIERED_BUDGET",
        where: "TieredEmbeddings.create",
        message: `the budget must hold a row with its optimizer state, ${rowBytes} bytes, got ${budgetBytes}`,
        fix: "Give a budget such as 256MiB, or train without fast memory.",
      });
    }
    const capacity = Math.min(rows, Math.floor(budgetBytes / rowBytes));
    const tiered = new TieredEmbeddings(options, Math.max(1, capacity));
    if (poison) await tiered.#copies.poison();
    return tiered;
  }

  /** Popular rows (K). */
  get size(): number {
    return this.#slots.size;
  }

  /** What moved so far. */
  get traffic(): TierTraffic {
    const { gatherSeconds, exposedSeconds } = this.#schedule;
    return { ...this.#windows.moved, gatherSeconds, exposedSeconds };
  }

  /**
   * Says which rows are popular, at a barrier: no batch may be under way, and those that are staged must be staged again.
   * Rows that are no longer popular go back to the tables if they have changed; those that have become popular come from
   * there.
   * @param rows global rows, row r of table t being r + the rows of all tables before t; none, or as many as fit the budget
   * @throws ParetoError TIERED_BUDGET, HOT_ROW_DUPLICATE, HOT_ROW_OUT_OF_RANGE; nothing has changed then
   */
  async setPopular(rows: Uint32Array): Promise<PopularChange> {
    this.assertUsable();
    if (rows.length > this.capacity) {
      throw new ParetoError({
        code: "TIERED_BUDGET",
        where: "TieredEmbeddings.setPopular",
        message: `the budget holds ${this.capacity} popular rows, got ${rows.length}`,
        fix: "Choose fewer rows, or create the store with a larger budget.",
      });
    }
    const { cardinalities } = this.#tables;
    const list = (listed: Uint32Array) => rowLists(listed, cardinalities, "TieredEmbeddings.setPopular");
    list(rows);
    await this.#barrier();
    const start = performance.now();
    const { evicted, inserted } = this.#slots.replace(rows);
    const moved = { toFastBytes: 0, toTablesBytes: 0 };
    if (this.#copies.owner === "copies") {
      const report = await this.#copies.exchange(
        { lists: list(evicted.rows), places: evicted.slots },
        { lists: list(inserted.rows), places: inserted.slots },
      );
      [moved.toFastBytes, moved.toTablesBytes] = [report.in.bytes, report.out.bytes];
    }
    const all = this.#slots.all();
    this.#copies.list({ lists: list(all.rows), places: all.slots });
    this.#windows.moved.toFastBytes += moved.toFastBytes;
    this.#windows.moved.toTablesBytes += moved.toTablesBytes;
    const seconds = (performance.now() - start) / 1000;
    return { evicted: evicted.rows.length, inserted: inserted.rows.length, ...moved, seconds };
  }

  /**
   * Makes the tables hold every row's newest value, at a barrier as {@link setPopular}. They own the rows until the next
   * stage, and may be changed until then.
   */
  async flush(): Promise<void> {
    this.assertUsable();
    await this.#barrier();
    if (this.#copies.owner === "tables") return;
    const { bytes } = await this.#copies.syncOut();
    this.#windows.moved.toTablesBytes += bytes;
  }

  /**
   * Copies the newest weights of rows, wherever they are.
   * @param rows global rows
   * @param into `[rows, D]`
   * @throws ParetoError ROWS_RANGE, ROWS_LENGTH
   */
  async readWeights(rows: Uint32Array, into: Float32Array): Promise<void> {
    this.assertUsable();
    await this.#schedule.writtenBack();
    await this.exclusively(() => {
      const fast = this.#copies.owner === "copies" ? this.#part : null;
      this.#slots.readWeights(this.#tables, fast, rows, into);
      return Promise.resolve();
    });
  }

  override async stage(buffer: number, ...parts: readonly Lookups[]): Promise<void> {
    const turn = this.#staging.catch(() => undefined).then(() => this.#stage(buffer, parts));
    this.#staging = turn;
    await turn;
  }

  async #stage(buffer: number, parts: readonly Lookups[]): Promise<void> {
    const staged = this.buffer(buffer);
    await this.#schedule.free(buffer);
    staged.isStaged = false;
    staged.take(parts);
    if (this.#copies.owner === "tables") {
      const { bytes } = await this.#copies.syncIn();
      this.#windows.moved.toFastBytes += bytes;
    }
    if (this.#poison) await this.#windows.poisonWindow(buffer);
    const lists = this.#windows.lists[buffer]!;
    await this.#translate(buffer, staged, lists);
    const pending = this.#schedule.pending(buffer);
    const hasRows = lists.isSlow.includes(true);
    lists.isSplit = false;
    if (hasRows && pending.length > 0) {
      await this.#windows.split(buffer, pending, this.#schedule.earlyGather);
    }
    await this.pool.run(this.#gatherParts(staged, lists, false));
    staged.isStaged = true;
    this.#schedule.staged(buffer, hasRows, pending);
  }

  override async refresh(buffer: number, updated: number): Promise<void> {
    this.stagedBuffer(buffer);
    this.stagedBuffer(updated);
    await this.#schedule.refreshed(buffer, updated, () =>
      this.exclusively(() => this.#windows.forward(buffer, updated)),
    );
  }

  override async ready(buffer: number, part: number): Promise<void> {
    await super.ready(buffer, part);
    if (this.#windows.lists[buffer]!.isSlow[part]) await this.#schedule.ready(buffer);
  }

  /** @throws ParetoError TIERED_UPDATED_TWICE, and as {@link HostEmbeddings.update} */
  override async update(buffer: number, learningRate: number, step: number): Promise<void> {
    this.stagedBuffer(buffer);
    this.#schedule.assertUpdatable(buffer);
    optimizerTask(this.optimizer, learningRate, step);
    await this.#schedule.ready(buffer);
    if (this.#poison) await this.exclusively(() => this.#windows.poisonTables(buffer));
    await super.update(buffer, learningRate, step);
    this.#schedule.updated(buffer);
  }

  /** Frees the memory. Rows whose newest values are in it are lost: {@link flush} first. */
  override async dispose(): Promise<void> {
    await this.#staging.catch(() => undefined);
    await this.#schedule.freeAll().catch(() => undefined);
    await super.dispose();
  }

  /** Ids are rows of the tables until they are translated. */
  protected override rowsOf(table: number): number {
    return this.#tables.cardinalities[table]!;
  }

  /** Waits for all moves of windows and forgets what is staged. */
  async #barrier(): Promise<void> {
    await this.#staging.catch(() => undefined);
    await this.#schedule.freeAll();
    for (let buffer = 0; buffer < this.stagingBuffers; buffer++) this.buffer(buffer).isStaged = false;
  }

  /** Turns a batch's rows into slots. @throws ParetoError LOOKUP_OUT_OF_RANGE, LOOKUPS_OFFSETS */
  async #translate(buffer: number, staged: StagingBuffer, lists: WindowLists): Promise<void> {
    const parts = staged.starts.length - 1;
    this.mainArena.int32At(lists.starts, parts + 1).set(staged.starts);
    for (let table = 0; table < this.tables; table++) {
      const byRow = this.viewOf(staged, table);
      const { first } = staged.tables[table]!;
      writeTableView(this.mainArena, staged.view(table, true), byRow);
      const bySlot = { ...byRow, cardinality: this.cardinalities[0]!, rows: lists.slots + 4 * first };
      writeTableView(this.mainArena, staged.view(table), bySlot);
    }
    const tasks = this.order.map((table) => {
      const { first } = staged.tables[table]!;
      const views = [staged.view(table, true), staged.view(table)];
      const window = [this.#windows.firstSlot(buffer) + first, lists.listed + 4 * first];
      const needs = [lists.starts, parts, lists.needs + table * this.#maxBatch];
      return this.task("translateRows", [...views, this.#slots.pointer(table), ...window, ...needs].flat());
    });
    try {
      await this.pool.run(tasks);
    } catch (error) {
      throw this.lookupError(error, staged);
    }
    const { bytes } = this.mainArena;
    lists.isSlow = Array.from({ length: parts }, (_, part) => {
      for (let table = 0; table < this.tables; table++) {
        if (bytes[lists.needs + table * this.#maxBatch + part] === 1) return true;
      }
      return false;
    });
  }

  /** The gathers of the parts of a batch that look rows of the window up, or of the others. */
  #gatherParts(staged: StagingBuffer, { isSlow }: WindowLists, ofWindow: boolean): KernelTask[] {
    const tasks: KernelTask[] = [];
    for (const table of this.order) {
      for (const [part, slow] of isSlow.entries()) {
        const [from, to] = [staged.starts[part]!, staged.starts[part + 1]!];
        if (slow === ofWindow) tasks.push(...this.gatherTasks(staged.view(table), from, to));
      }
    }
    return tasks;
  }

  async #gather(buffer: number): Promise<void> {
    await this.pool.run(this.#gatherParts(this.buffer(buffer), this.#windows.lists[buffer]!, true));
  }
}
