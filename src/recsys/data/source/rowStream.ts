/**
 * @file Streams the columns of a query into blocks of rows in row order.
 *
 * DuckDB keeps the order of a scan. Each query carries the row number all the same, and is refused where the rows come
 * otherwise: {@link RowsOutOfOrder} tells the caller to ask again with ORDER BY.
 */
import type { DuckDBDataChunk } from "@duckdb/node-api";
import type { Database } from "./duckdb.ts";
import { invariant } from "../../../base/errors.ts";

/** DuckDB gave rows in another order than that of the source. */
export class RowsOutOfOrder extends Error {}

/** The flat values of a column of a chunk whose type is fixed-width and which holds no NULL. */
type Items = Float64Array | Float32Array | Int32Array | Uint8Array | BigUint64Array;

/** A vector as the package has it. Its typed arrays are the storage; its public face reads value by value. */
interface Vector {
  items: Items;
  /** Of a list: offset and length of each row's stretch of `childData`. */
  entryData: BigUint64Array;
  childData: Vector;
}

const vectorOf = (chunk: DuckDBDataChunk, column: number) =>
  chunk.getColumnVector(column) as unknown as Vector;

/** Chunks of a query, the next one being fetched while the current one is used. */
async function* chunksOf(
  database: Database,
  sql: string,
  where: string,
): AsyncGenerator<DuckDBDataChunk, void, undefined> {
  const { result, close } = await database.stream(sql, where);
  let next = result.fetchChunk();
  try {
    for (;;) {
      const chunk = await next;
      database.signal?.throwIfAborted();
      if (chunk === null || chunk.rowCount === 0) return;
      next = result.fetchChunk();
      next.catch(() => undefined);
      yield chunk;
    }
  } catch (error) {
    throw database.failure(error, where);
  } finally {
    await next.catch(() => undefined);
    close();
  }
}

/** A column of 32-bit or 64-bit words, and where its values go. */
export interface Target {
  words: Int32Array;
  /** The word of the block's first row. */
  at: number;
  /** Words of a value: FLOAT, INTEGER and UTINYINT have one, UBIGINT two. */
  width: 1 | 2;
}

/** A column of lists, and where they go. */
export interface ListTarget {
  /** Where the lengths go. */
  lengths: Int32Array;
  width: 1 | 2;
  /** Where further values may be put. */
  room(values: number): { words: Int32Array; at: number };
}

function wordsOf(items: Items): Int32Array {
  return items instanceof Uint8Array
    ? Int32Array.from(items)
    : new Int32Array(items.buffer, items.byteOffset, items.byteLength >> 2);
}

/** The rows of a query whose columns hold no NULL. */
export class RowStream {
  readonly #chunks: AsyncGenerator<DuckDBDataChunk, void, undefined>;
  readonly #where: string;
  #chunk: DuckDBDataChunk | null = null;
  /** Rows of the chunk that are taken. */
  #taken = 0;
  /** Rows of all chunks that are taken. */
  #done = 0;

  readonly #isNumbered: boolean;

  /** @param isNumbered whether the first column is the number of the row, a DOUBLE, by which the order is checked */
  constructor(database: Database, sql: string, where: string, isNumbered: boolean) {
    this.#chunks = chunksOf(database, sql, where);
    this.#where = where;
    this.#isNumbered = isNumbered;
  }

  /**
   * Takes the next rows.
   * @param targets of the columns, without the number of the row
   * @throws RowsOutOfOrder; ParetoError as DuckDB fails
   */
  async take(rows: number, targets: readonly (Target | ListTarget)[]): Promise<void> {
    for (let filled = 0; filled < rows;) {
      const chunk = await this.#current();
      const count = Math.min(rows - filled, chunk.rowCount - this.#taken);
      for (const [c, target] of targets.entries()) {
        const vector = vectorOf(chunk, c + Number(this.#isNumbered));
        if ("words" in target) {
          const { words, at, width } = target;
          const from = wordsOf(vector.items).subarray(this.#taken * width, (this.#taken + count) * width);
          words.set(from, at + filled * width);
        } else {
          this.#takeLists(vector, count, target, filled);
        }
      }
      this.#taken += count;
      this.#done += count;
      filled += count;
    }
  }

  /** Ends the query. */
  async close(): Promise<void> {
    await this.#chunks.return();
  }

  /** The chunk that has rows left. */
  async #current(): Promise<DuckDBDataChunk> {
    if (this.#chunk !== null && this.#taken < this.#chunk.rowCount) return this.#chunk;
    const next = await this.#chunks.next();
    invariant(!next.done, `${this.#where} has more rows than ${this.#done}`);
    if (this.#isNumbered) this.#checkOrder(vectorOf(next.value, 0).items as Float64Array);
    this.#chunk = next.value;
    this.#taken = 0;
    return next.value;
  }

  #checkOrder(rows: Float64Array): void {
    for (let i = 0; i < rows.length; i++) {
      if (rows[i] !== this.#done + i) throw new RowsOutOfOrder(this.#where);
    }
  }

  #takeLists({ entryData, childData }: Vector, count: number, target: ListTarget, filled: number): void {
    const { lengths, width } = target;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const length = Number(entryData[2 * (this.#taken + i) + 1]!);
      lengths[filled + i] = length;
      total += length;
    }
    const values = wordsOf(childData.items);
    const room = target.room(total);
    let { at } = room;
    for (let i = 0; i < count; i++) {
      const from = Number(entryData[2 * (this.#taken + i)]!) * width;
      const size = lengths[filled + i]! * width;
      room.words.set(values.subarray(from, from + size), at);
      at += size;
    }
  }
}
