/**
 * @file All embedding tables of a model, on the host: the master copy of every row. See {@link HostEmbeddings} for how
 * they are gathered and updated.
 */
import { type KernelTask, ThreadPool } from "../../engine/targets/cpu/index.ts";
import { HostEmbeddings, type HostEmbeddingsOptions } from "./hostEmbeddings.ts";
import type { EmbeddingTableStore } from "./embeddingStore.ts";
import { readParts, type TablePart, type TableRows, writeParts } from "./rowTransfer.ts";

/** How to create {@link EmbeddingTables}. */
export interface EmbeddingTablesOptions extends HostEmbeddingsOptions {
  /** Rows of each table. */
  cardinalities: readonly number[];
  /** Of the initial rows, any safe integer ≥ 0. */
  seed: number;
  /** Kernel threads to start, or a pool to share. Defaults to 1 thread. */
  threads?: number;
  pool?: ThreadPool;
  /** `uniform`: U(-√(1/n), √(1/n)) for a table of n rows (DLRM). `zeros`: for rows about to be loaded. */
  initial?: "uniform" | "zeros";
}

/** Rows that one initialising task fills. */
const FILL_ROWS = 65_536;

/** Embedding tables with their optimizer state. */
export class EmbeddingTables extends HostEmbeddings implements EmbeddingTableStore {
  private constructor(pool: ThreadPool, options: EmbeddingTablesOptions) {
    const { cardinalities } = options;
    const storedBy = [...cardinalities.keys()];
    super(pool, options.pool === undefined, { cardinalities, storedBy, weightOf: cardinalities }, options);
  }

  /**
   * Makes tables. Element e of row r of table t is a pure function of (seed, t, r, e): word e mod 4 of the
   * Philox block with counter (⌊e/4⌋, r, t, 1) and the seed as key, u = (word >>> 8)·2^-24, (2u - 1)·√(1/n).
   * @throws ParetoError ROWS_OPTIONS, THREADS_INVALID, KERNELS_MISSING, ARENA_TOO_LARGE, ARENA_OUT_OF_MEMORY
   */
  static async create(options: EmbeddingTablesOptions): Promise<EmbeddingTables> {
    const pool = options.pool ?? (await ThreadPool.create(options.threads ?? 1));
    try {
      const tables = new EmbeddingTables(pool, options);
      if (options.initial !== "zeros") await tables.#fillUniform(options.seed);
      return tables;
    } catch (error) {
      if (options.pool === undefined) await pool.dispose();
      throw error;
    }
  }

  /** The threads, to share with other stores. */
  get threadPool(): ThreadPool {
    return this.pool;
  }

  readRows(table: number, firstRow: number, count: number): TableRows {
    this.assertUsable();
    return readParts(this.parts[table] ?? [], this.format, firstRow, count);
  }

  writeRows(table: number, firstRow: number, rows: TableRows): void {
    this.assertUsable();
    writeParts(this.parts[table] ?? [], this.format, firstRow, rows, this.mark);
  }

  /** Where a table's rows lie, for stores that copy rows directly. */
  partsOf(table: number): readonly TablePart[] {
    this.assertUsable();
    return this.parts[table] ?? [];
  }

  async #fillUniform(seed: number): Promise<void> {
    const [low, high] = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
    const { length, stride } = this.format.columns[0]!;
    const tasks: KernelTask[] = [];
    for (const [table, parts] of this.parts.entries()) {
      const bound = Math.sqrt(1 / this.cardinalities[table]!);
      for (const part of parts) {
        for (let row = 0; row < part.rows; row += FILL_ROWS) {
          const rows = Math.min(FILL_ROWS, part.rows - row);
          const target = part.columns[0]! + row * stride * 4;
          const args = [target, part.firstRow + row, rows, length, stride * 4, table, low, high, bound];
          tasks.push({ kernel: "fillUniform", arena: part.arena, arguments: args });
          // State is zero already; writing it takes its page faults now, not one by one in training steps.
          for (const [index, state] of this.format.columns.entries()) {
            if (index === 0) continue;
            const pointer = part.columns[index]! + row * state.stride * 4;
            tasks.push({
              kernel: "fillValue",
              arena: part.arena,
              arguments: [pointer, rows * state.stride, 0],
            });
          }
        }
      }
    }
    await this.pool.run(tasks);
  }
}
