/**
 * @file Embedding rows on the host: tables in shared memories, and the kernel jobs that gather and update them.
 * The common part of {@link EmbeddingTables} (all rows) and {@link HotEmbeddings} (FAE's compact hot rows).
 *
 * A batch's *logical* tables are mapped onto stored ones: one to one, or all onto one fused table, in which case
 * `rowTables` says which logical table may look a row up. Results are bit-identical for any number of threads and
 * any spread over memories: bags are summed in input order, gradients of a row too, and each distinct row has
 * one update. Updates and refreshes run one after the other; stages overlap them.
 */
import type { Lookups } from "../data/batches/clickBatch.ts";
import { ParetoError } from "../../base/errors.ts";
import {
  alignedBytes,
  Arena,
  ARENA_MAX_BYTES,
  KernelFailure,
  type KernelTask,
  setChangeMarks,
  type TableView,
  type ThreadPool,
  writeTableView,
} from "../../engine/targets/cpu/index.ts";
import { SpilledTables } from "./spilledTables.ts";
import { badBag, badLookup } from "./lookupErrors.ts";
import { optimizerTask } from "./optimizerTask.ts";
import { planArenaLayout } from "./arenaLayout.ts";
import { type RowFormat, rowFormat } from "./rowFormat.ts";
import type { TablePart } from "./rowTransfer.ts";
import type { EmbeddingStore } from "./embeddingStore.ts";
import type { SparseOptimizer } from "./sparseOptimizer.ts";
import {
  hashEntries,
  hashPointer,
  partOf,
  stagingBufferBytes,
  stagingBufferOf,
  stagedBufferOf,
  StagingBuffer,
} from "./stagingBuffer.ts";

/** Options of every embedding store on the host. */
export interface HostEmbeddingsOptions {
  dim: number;
  optimizer: SparseOptimizer;
  /** Staging buffers. */
  stagingBuffers: number;
  /** Most inputs of a batch. */
  maxBatch: number;
  /** Most lookups of a batch over all tables. Defaults to maxBatch × T (one id a bag). */
  maxLookups?: number;
  /** Bytes that one memory may hold before rows spread to another; about 4 GiB, smaller in tests. */
  arenaBytes?: number;
}

/** The tables behind an embedding store on the host. */
export interface StoredTables {
  /** Rows of each stored table. */
  cardinalities: readonly number[];
  /** The stored table of each logical table of a batch, `[T]`. */
  storedBy: readonly number[];
  /** Expected distinct rows of each logical table, to start the longest tasks first. */
  weightOf: readonly number[];
}

/** Inputs that one gather task handles. */
const GATHER_INPUTS = 512;
/** A `findDistinct` code at or above it names a bag, below it a lookup. */
const BAD_BAG = 0x40000000;

/** Tables of rows with staging buffers; see {@link EmbeddingStore}. */
export class HostEmbeddings implements EmbeddingStore {
  readonly memory = "host";
  readonly dim: number;
  readonly tables: number;
  readonly stagingBuffers: number;
  readonly bytes: number;
  readonly optimizer: SparseOptimizer;
  readonly format: RowFormat;
  /** Rows of each stored table. */
  readonly cardinalities: readonly number[];
  protected readonly pool: ThreadPool;
  /** The memory that holds the buffers. */
  protected readonly mainArena: Arena;
  /** Logical tables, those with the longest tasks first. */
  protected readonly order: readonly number[];
  /** Parts of each stored table. */
  protected parts: TablePart[][];
  /** u16 a row of the fused table; 0 when logical tables are stored one to one. */
  protected rowTables = 0;
  /** The byte that updates leave in `changed`, 1 to 255; 0 while nobody asks for changes. */
  protected mark = 0;
  readonly #ownsPool: boolean;
  readonly #storedBy: readonly number[];
  readonly #buffers: StagingBuffer[];
  readonly #sums: number;
  readonly #spilled: SpilledTables | undefined;
  #arenas: Arena[];
  #changes: Promise<void> = Promise.resolve();
  #isDisposed = false;

  /**
   * @param extraBytes room in the main arena for a subclass's own allocations
   * @throws ParetoError ROWS_OPTIONS, ARENA_TOO_LARGE, ARENA_OUT_OF_MEMORY
   */
  protected constructor(
    pool: ThreadPool,
    ownsPool: boolean,
    stored: StoredTables,
    options: HostEmbeddingsOptions,
    extraBytes = 0,
  ) {
    this.pool = pool;
    this.#ownsPool = ownsPool;
    this.dim = positive("dim", options.dim);
    this.stagingBuffers = positive("stagingBuffers", options.stagingBuffers);
    this.tables = stored.storedBy.length;
    this.optimizer = options.optimizer;
    this.format = rowFormat(options.dim, options.optimizer);
    this.cardinalities = stored.cardinalities.map((rows) => positive("a table's cardinality", rows));
    this.#storedBy = stored.storedBy;
    this.order = [...stored.weightOf.keys()].sort(
      (a, b) => stored.weightOf[b]! - stored.weightOf[a]! || a - b,
    );
    const maxBatch = positive("maxBatch", options.maxBatch);
    const maxLookups = positive("maxLookups", options.maxLookups ?? maxBatch * Math.max(1, this.tables));
    const capacity = Math.min(options.arenaBytes ?? ARENA_MAX_BYTES, ARENA_MAX_BYTES) - 64;
    const stride = this.format.columns[0]!.stride;

    const shape = {
      tables: this.tables,
      dim: this.dim,
      stride,
      maxBatch,
      maxLookups,
      cachesSpilledRows: false,
    };
    const sumsBytes = alignedBytes(4 * stride * maxLookups);
    const reserve = (): number => this.stagingBuffers * stagingBufferBytes(shape) + sumsBytes + extraBytes;
    let placement = planArenaLayout(this.cardinalities, this.format, reserve(), capacity);
    if (placement.arenaBytes.length > 1) {
      shape.cachesSpilledRows = true;
      const reserved = reserve() + SpilledTables.bytes(this.format, maxLookups);
      placement = planArenaLayout(this.cardinalities, this.format, reserved, capacity);
    }
    this.#arenas = placement.arenaBytes.map((bytes) => new Arena(bytes));
    this.mainArena = this.#arenas[0]!;
    this.#buffers = Array.from(
      { length: this.stagingBuffers },
      () => new StagingBuffer(this.mainArena, shape),
    );
    this.#sums = this.mainArena.allocate(sumsBytes);
    this.parts = placement.tables.map((parts) =>
      parts.map(({ firstRow, rows, arena: number }) => {
        const arena = this.#arenas[number]!;
        const columns = this.format.columns.map((column) => arena.allocate(rows * column.stride * 4));
        return { arena, firstRow, rows, columns, changed: arena.allocate(rows) };
      }),
    );
    if (shape.cachesSpilledRows) {
      this.#spilled = new SpilledTables(pool, this.mainArena, this.format, maxLookups);
    }
    this.bytes = this.cardinalities.reduce((sum, rows) => sum + rows * this.format.storedBytes, 0);
  }

  async stage(buffer: number, ...parts: readonly Lookups[]): Promise<void> {
    const staged = this.buffer(buffer);
    staged.take(parts);
    for (let table = 0; table < this.tables; table++) this.#writeView(staged, table);
    const tasks: KernelTask[] = this.order.map((table) => this.task("findDistinct", [staged.view(table)]));
    for (const table of this.order) {
      if (this.#isInMainArena(table)) tasks.push(...this.gatherTasks(staged.view(table), 0, staged.size));
    }
    try {
      await this.pool.run(tasks);
    } catch (error) {
      throw this.lookupError(error, staged);
    }
    await this.#gatherSpilled(staged);
    staged.isStaged = true;
  }

  async refresh(buffer: number, updated: number): Promise<void> {
    const staged = this.stagedBuffer(buffer);
    const source = this.stagedBuffer(updated);
    await this.exclusively(async () => {
      const inMain = this.order.filter((table) => this.#isInMainArena(table));
      const tasks = inMain.map((table) =>
        this.task("refreshRows", [staged.view(table), source.view(table), 0, staged.size]),
      );
      await this.pool.run(tasks);
      await this.#gatherSpilled(staged);
    });
  }

  async ready(buffer: number, part: number): Promise<void> {
    partOf(this.stagedBuffer(buffer).starts, part);
  }

  rows(buffer: number, part = 0): Float32Array<SharedArrayBuffer> {
    const staged = this.stagedBuffer(buffer);
    return staged.pooled(staged.output, part);
  }

  gradients(buffer: number, part = 0): Float32Array<SharedArrayBuffer> {
    const staged = this.stagedBuffer(buffer);
    return staged.pooled(staged.gradients, part);
  }

  guard(): null {
    return null;
  }

  /** The arrays that rows and gradients of buffers are views of: what a device copies from and to. */
  stagingArrays(): Float32Array[] {
    this.assertUsable();
    return this.#buffers.flatMap((buffer) => buffer.arrays());
  }

  async update(buffer: number, learningRate: number, step: number): Promise<void> {
    const staged = this.stagedBuffer(buffer);
    const { kernel, rates } = optimizerTask(this.optimizer, learningRate, step);
    await this.exclusively(async () => {
      for (let table = 0; table < this.tables; table++) {
        const part = this.#partsOf(table)[0]!;
        const changed = this.#isInMainArena(table) && this.mark > 0 ? part.changed : 0;
        setChangeMarks(this.mainArena, staged.view(table), changed, this.mark);
      }
      const spilled = this.#spilledTables();
      await this.#spilled?.fetchForUpdate(staged, spilled);
      await this.pool.run(
        this.order.map((table) =>
          this.task(kernel, [staged.view(table, !this.#isInMainArena(table)), ...rates]),
        ),
      );
      await this.#spilled?.storeUpdated(staged, spilled, this.mark);
    });
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.#changes.catch(() => undefined);
    if (this.#ownsPool) await this.pool.dispose();
    else for (const arena of this.#arenas) this.pool.release(arena);
    this.#arenas = [];
    this.parts = [];
  }

  /** @throws ParetoError STORE_DISPOSED */
  protected assertUsable(): void {
    if (!this.#isDisposed) return;
    throw new ParetoError({
      code: "STORE_DISPOSED",
      where: this.constructor.name,
      message: "the rows are gone, got a call on a store that was disposed of",
      fix: "Dispose of a store after its last use, or create it again.",
    });
  }

  /** The byte that updates leave on rows changed in the current period; 0 while nobody has asked for marks. */
  get changeMark(): number {
    return this.mark;
  }

  /** Starts a new period of change marks: no row counts as changed. */
  startChangePeriod(): void {
    this.assertUsable();
    if (this.mark === 255) {
      // The bytes of old periods would come round again.
      for (const part of this.parts.flat()) part.arena.bytes.fill(0, part.changed, part.changed + part.rows);
    }
    this.mark = (this.mark % 255) + 1;
  }

  /** Runs a change of rows after all changes asked for before. */
  async exclusively(change: () => Promise<void>): Promise<void> {
    const turn = this.#changes.catch(() => undefined).then(change);
    this.#changes = turn;
    await turn;
  }

  protected buffer(buffer: number): StagingBuffer {
    this.assertUsable();
    return stagingBufferOf(this.#buffers, buffer, this.constructor.name);
  }

  protected stagedBuffer(buffer: number): StagingBuffer {
    this.assertUsable();
    return stagedBufferOf(this.#buffers, buffer, this.constructor.name);
  }

  #partsOf(table: number): TablePart[] {
    return this.parts[this.#storedBy[table]!]!;
  }

  #isInMainArena(table: number): boolean {
    return this.#partsOf(table)[0]!.arena === this.mainArena;
  }

  #spilledTables(): { table: number; parts: TablePart[] }[] {
    const spilled = this.order.filter((table) => !this.#isInMainArena(table));
    return spilled.map((table) => ({ table, parts: this.#partsOf(table) }));
  }

  protected task(kernel: KernelTask["kernel"], args: number[]): KernelTask {
    return { kernel, arena: this.mainArena, arguments: args };
  }

  /** Gathers the bags of inputs `from` to `to` of a table's view. */
  protected gatherTasks(view: number, from: number, to: number): KernelTask[] {
    const tasks: KernelTask[] = [];
    for (let at = from; at < to; at += GATHER_INPUTS) {
      tasks.push(this.task("gatherRows", [view, at, Math.min(at + GATHER_INPUTS, to)]));
    }
    return tasks;
  }

  async #gatherSpilled(staged: StagingBuffer): Promise<void> {
    if (this.#spilled === undefined) return;
    const spilled = this.#spilledTables();
    await this.#spilled.fetchForGather(staged, spilled);
    await this.pool.run(
      spilled.flatMap(({ table }) => this.gatherTasks(staged.view(table, true), 0, staged.size)),
    );
  }

  #writeView(staged: StagingBuffer, table: number): void {
    const view = this.viewOf(staged, table);
    writeTableView(this.mainArena, staged.view(table), view);
    if (!this.#isInMainArena(table)) this.#spilled!.writeCachedView(staged, table, view);
  }

  /** What kernels need to know about a table of a batch just taken. */
  protected viewOf(staged: StagingBuffer, table: number): TableView {
    const { first, count } = staged.tables[table]!;
    const part = this.#partsOf(table)[0]!;
    const stride = this.format.columns[0]!.stride * 4;
    return {
      ids: staged.ids,
      first,
      lookups: count,
      offsets: staged.isOneHot ? 0 : staged.offsets + 4 * table * staged.size,
      size: staged.size,
      cardinality: this.rowsOf(table),
      table,
      owners: this.rowTables,
      dim: this.dim,
      stride,
      rows: staged.rows + 4 * first,
      inverse: staged.inverse + 4 * first,
      hash: hashPointer(staged, first),
      mask: hashEntries(count) - 1,
      marks: staged.marks + first,
      count: 0,
      weights: part.columns[0]!,
      state0: part.columns[1] ?? 0,
      state1: part.columns[2] ?? 0,
      changed: 0,
      mark: 0,
      output: staged.output + 4 * table * this.dim,
      gradients: staged.gradients + 4 * table * this.dim,
      outputStride: 4 * this.tables * this.dim,
      sums: this.#sums + first * stride,
    };
  }

  /** Rows that ids of a table may name. */
  protected rowsOf(table: number): number {
    return this.cardinalities[this.#storedBy[table]!]!;
  }

  /** Says which id of which table was bad, when the first tasks of a job were those of the tables in order. */
  protected lookupError(error: unknown, staged: StagingBuffer): unknown {
    if (!(error instanceof KernelFailure) || error.task >= this.tables || error.code < 0) return error;
    const table = this.order[error.task]!;
    if (error.code >= BAD_BAG) return badBag(table, error.code - BAD_BAG, error);
    const lookup = error.code - 1;
    const id = staged.idAt(table, lookup);
    return badLookup({ table, lookup, id, rows: this.rowsOf(table), owned: this.rowTables !== 0 }, error);
  }
}

/** @throws ParetoError ROWS_OPTIONS */
export function positive(name: string, value: number): number {
  if (Number.isInteger(value) && value > 0 && value < 2 ** 31) return value;
  throw new ParetoError({
    code: "ROWS_OPTIONS",
    where: "EmbeddingStore",
    message: `${name} must be a whole number from 1 to 2^31 - 1, got ${value}`,
    fix: `Give ${name} a positive whole number.`,
  });
}
