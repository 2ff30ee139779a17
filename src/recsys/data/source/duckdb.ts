/**
 * @file Opens DuckDB: lazily loaded, with bounded memory, a folder to spill into, and errors in the library's terms.
 *
 * DuckDB's planner may swap the sides of a join, which would lose the order of rows; {@link openDatabase} turns that off,
 * and readers that need the order check it all the same.
 */
import { totalmem } from "node:os";
import type * as DuckdbModule from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBInstance, DuckDBResult } from "@duckdb/node-api";
import { missingPackage } from "../../../base/missingPackage.ts";
import { wrapDuckdbError } from "./duckdbErrors.ts";
import { quoteText } from "./sqlText.ts";

/** How DuckDB may use the machine. */
export interface DatabaseOptions {
  /** Threads of queries (default: DuckDB's, one a core). */
  threads?: number;
  /** Bytes that DuckDB may hold in memory before it spills to disk (default a quarter of the machine, at most 4 GiB). */
  memoryLimitBytes?: number;
  /** Interrupts whatever DuckDB does; the call under way, and all later ones, then throw the signal's reason. */
  signal?: AbortSignal;
}

/** Between two interrupts: one that comes before a statement has begun is lost. */
const INTERRUPT_MS = 20;

/** A value of a small result. */
export type SqlValue = string | number | bigint | boolean | null;

/** Pieces of work that {@link Database.ofAll} does beside each other. */
const QUERIES_AT_ONCE = 3;

function defaultMemoryLimit(): number {
  return Math.min(4 * 2 ** 30, Math.floor(totalmem() / 4));
}

async function loadDuckdb(): Promise<typeof DuckdbModule> {
  try {
    return await import("@duckdb/node-api");
  } catch (cause) {
    throw missingPackage("DUCKDB_MISSING", "@duckdb/node-api", "reading data", cause);
  }
}

/** A DuckDB in memory that spills into a folder. */
export class Database {
  readonly memoryLimitBytes: number;
  readonly #instance: DuckDBInstance;
  readonly #main: DuckDBConnection;
  readonly signal: AbortSignal | undefined;
  readonly #connections = new Set<DuckDBConnection>();
  #interrupts: NodeJS.Timeout | undefined;

  private constructor(
    instance: DuckDBInstance,
    main: DuckDBConnection,
    memoryLimitBytes: number,
    signal: AbortSignal | undefined,
  ) {
    this.#instance = instance;
    this.#main = main;
    this.memoryLimitBytes = memoryLimitBytes;
    this.signal = signal;
    this.#connections.add(main);
    signal?.addEventListener("abort", this.#interrupt, { once: true });
  }

  readonly #interrupt = (): void => {
    const interrupt = () => this.#connections.forEach((connection) => connection.interrupt());
    interrupt();
    this.#interrupts = setInterval(interrupt, INTERRUPT_MS).unref();
  };

  /** What a failure of DuckDB is to the caller: the signal's reason when it was aborted. */
  failure(error: unknown, where: string): unknown {
    return this.signal?.aborted ? this.signal.reason : wrapDuckdbError(error, where);
  }

  /**
   * Starts a database.
   * @param tempDirectory an existing folder for what does not fit in memory
   * @throws ParetoError DUCKDB_MISSING, DATA_READ
   */
  static async open(tempDirectory: string, options: DatabaseOptions = {}): Promise<Database> {
    const { DuckDBInstance } = await loadDuckdb();
    const memoryLimitBytes = options.memoryLimitBytes ?? defaultMemoryLimit();
    try {
      const instance = await DuckDBInstance.create(":memory:", {
        // Nothing is fetched: what is not installed is an error that says how to install it.
        autoinstall_known_extensions: "false",
        memory_limit: `${Math.ceil(memoryLimitBytes / 1024)}KiB`,
        ...(options.threads === undefined ? {} : { threads: String(options.threads) }),
      });
      const main = await instance.connect();
      await main.run(`SET temp_directory = ${quoteText(tempDirectory)}`);
      // DuckDB would keep the bytes of files it has read, up to its memory limit; the system's page cache does that.
      await main.run("SET enable_external_file_cache = false");
      // By default one chunk of a wide query fills it, and all threads but one wait.
      await main.run("SET streaming_buffer_size = '16MiB'");
      await main.run("SET disabled_optimizers = 'join_order,build_side_probe_side'");
      return new Database(instance, main, memoryLimitBytes, options.signal);
    } catch (error) {
      throw wrapDuckdbError(error, "DuckDB");
    }
  }

  /**
   * Runs a statement.
   * @param where named by an error
   * @param connection one of {@link connect}, for work beside other work (default the database's own)
   * @throws ParetoError DATA_READ, FILE_DISK_FULL, DATA_MEMORY
   */
  async run(sql: string, where: string, connection = this.#main): Promise<void> {
    this.signal?.throwIfAborted();
    try {
      await connection.run(sql);
    } catch (error) {
      throw this.failure(error, where);
    }
  }

  /** The rows of a small result as objects by column name, whole numbers within 2^53 as numbers. @throws as `run` */
  async rows<Row extends Record<string, SqlValue>>(
    sql: string,
    where: string,
    connection = this.#main,
  ): Promise<Row[]> {
    this.signal?.throwIfAborted();
    try {
      const reader = await connection.runAndReadAll(sql);
      return reader.getRowObjects().map((object) => {
        const row: Record<string, SqlValue> = {};
        for (const [name, value] of Object.entries(object)) row[name] = plain(value);
        return row as Row;
      });
    } catch (error) {
      throw this.failure(error, where);
    }
  }

  /** The rows of several queries, in their order; some run beside each other, as a query over few rows uses one thread. @throws as `run` */
  async rowsOfAll<Row extends Record<string, SqlValue>>(
    queries: readonly string[],
    where: string,
  ): Promise<Row[][]> {
    if (queries.length <= 1) return Promise.all(queries.map((sql) => this.rows<Row>(sql, where)));
    return this.ofAll(queries, (sql, connection) => this.rows<Row>(sql, where, connection));
  }

  /** Does some work for each of the items, some of it beside other; each has a connection for itself meanwhile. */
  async ofAll<Item, Result>(
    items: readonly Item[],
    work: (item: Item, connection: DuckDBConnection, index: number) => Promise<Result>,
  ): Promise<Result[]> {
    const results: Result[] = [];
    let next = 0;
    const worker = async () => {
      const connection = await this.connect();
      try {
        while (next < items.length) {
          const i = next++;
          results[i] = await work(items[i]!, connection, i);
        }
      } catch (error) {
        next = items.length;
        throw error;
      } finally {
        this.disconnect(connection);
      }
    };
    const ended = await Promise.allSettled(
      Array.from({ length: Math.min(QUERIES_AT_ONCE, items.length) }, worker),
    );
    for (const end of ended) if (end.status === "rejected") throw end.reason;
    return results;
  }

  /** The names of a query's columns, duplicates kept. @throws as `run` */
  async columnNames(sql: string, where: string): Promise<string[]> {
    try {
      const statement = await this.#main.prepare(sql);
      const names = Array.from({ length: statement.columnCount }, (_, i) => statement.columnName(i));
      statement.destroySync();
      return names;
    } catch (error) {
      throw this.failure(error, where);
    }
  }

  /** Starts a query on a connection of its own, whose chunks are fetched one by one; call `close` at the end. */
  async stream(sql: string, where: string): Promise<{ result: DuckDBResult; close: () => void }> {
    this.signal?.throwIfAborted();
    const connection = await this.connect();
    const close = () => this.disconnect(connection);
    try {
      return { result: await connection.stream(sql), close };
    } catch (error) {
      close();
      throw this.failure(error, where);
    }
  }

  /** A connection of its own; {@link disconnect} it. */
  async connect(): Promise<DuckDBConnection> {
    const connection = await this.#instance.connect();
    this.#connections.add(connection);
    return connection;
  }

  /** Closes what {@link connect} opened. */
  disconnect(connection: DuckDBConnection): void {
    this.#connections.delete(connection);
    connection.closeSync();
  }

  /** Appends numbers to a table of one FLOAT column. @returns how many @throws as `run` */
  async appendFloats(table: string, pieces: AsyncIterable<Float32Array>, where: string): Promise<number> {
    const { DuckDBDataChunk, FLOAT } = await loadDuckdb();
    const connection = await this.connect();
    let count = 0;
    try {
      const appender = await connection.createAppender(table);
      for await (const piece of pieces) {
        for (let from = 0; from < piece.length; from += 2048) {
          const chunk = DuckDBDataChunk.create([FLOAT]);
          chunk.setColumns([[...piece.subarray(from, from + 2048)]]);
          appender.appendDataChunk(chunk);
        }
        count += piece.length;
      }
      appender.closeSync();
      return count;
    } catch (error) {
      throw this.failure(error, where);
    } finally {
      this.disconnect(connection);
    }
  }

  /** Frees the memory; streams must be closed before. */
  close(): void {
    this.signal?.removeEventListener("abort", this.#interrupt);
    clearInterval(this.#interrupts);
    this.#main.closeSync();
    this.#instance.closeSync();
  }
}

function plain(value: unknown): SqlValue {
  if (typeof value === "bigint") {
    return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : value;
  }
  if (
    value === null ||
    typeof value === "string" ||
    typeof value === "number" ||
    typeof value === "boolean"
  ) {
    return value;
  }
  return String(value);
}
