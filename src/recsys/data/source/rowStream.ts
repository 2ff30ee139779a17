/**
 * @file Streams a query's rows as blocks of encoded rows in row order, whatever the order in which DuckDB gives them.
 *
 * DuckDB keeps the order of a scan, but not that of a join: its threads work on distant stretches of a file at once, and
 * rows with and without a match come apart. So each query carries the row number, by which rows are put into place; when
 * they are scattered too far (a join that spilled to disk), {@link RowsOutOfOrder} tells the caller to ask again with
 * ORDER BY.
 */
import type { DuckDBDataChunk } from "@duckdb/node-api";
import type { ClickBatch } from "../batches/clickBatch.ts";
import type { Database } from "./duckdb.ts";
import { invariant } from "../../../base/errors.ts";
import { RowReorder } from "../encode/rowReorder.ts";
import type { Stretch } from "../encode/rowReorder.ts";

/** DuckDB gave rows in another order than that of the source. */
export class RowsOutOfOrder extends Error {}

/** The flat values of a column of a chunk whose type is fixed-width and which holds no NULL. */
function items<T>(chunk: DuckDBDataChunk, column: number): T {
  // The typed array is the vector's storage; its public face reads value by value.
  return (chunk.getColumnVector(column) as unknown as { items: T }).items;
}

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

/** What a block is made of. */
export interface BlockShape {
  dense: number;
  tables: number;
  /** Rows of a block, a power of two; the last may be shorter. */
  blockRows: number;
  /** Rows of the source. */
  rows: number;
  /** How many bytes of rows may be open or wait in memory, and the file for waiting ones beyond. */
  reorder: { limitBytes: number; path: string };
}

/** A stretch of rows that are still coming in. */
interface OpenStretch extends Stretch {
  filled: number;
}

/** Scatters the rows of chunks into stretches of one block each. */
class Scatter {
  readonly #shape: BlockShape;
  readonly #columns: number;
  readonly #open = new Map<number, OpenStretch>();
  readonly #mostOpen: number;
  readonly #where: string;

  constructor(shape: BlockShape, where: string) {
    this.#shape = shape;
    this.#columns = 2 + shape.dense + shape.tables;
    this.#mostOpen = Math.max(
      8,
      Math.floor(shape.reorder.limitBytes / (shape.blockRows * this.#columns * 4)),
    );
    this.#where = where;
  }

  /** Takes a chunk in. @returns the stretches that it completed @throws RowsOutOfOrder when too many are open */
  take(chunk: DuckDBDataChunk): Stretch[] {
    const rows = items<Float64Array>(chunk, 0);
    const parts = items<Uint8Array>(chunk, 1);
    const values: (Float32Array | Int32Array)[] = [];
    for (let c = 1; c < this.#columns; c++) values.push(items(chunk, c + 1));
    const complete: Stretch[] = [];
    for (let from = 0, to = 0; from < rows.length; from = to) {
      const stretch = this.#stretchOf(rows[from]!);
      const { start, size, words } = stretch;
      const end = start + size;
      for (to = from + 1; to < rows.length && rows[to]! >= start && rows[to]! < end;) to++;
      for (let i = from; i < to; i++) words[rows[i]! - start] = parts[i]!;
      const floats = new Float32Array(words.buffer);
      const inRow = isRun(rows, from, to);
      for (let c = 1; c < this.#columns; c++) {
        const column = values[c - 1]!;
        const target = column instanceof Float32Array ? floats : words;
        const base = c * size - start;
        if (inRow) target.set(column.subarray(from, to), base + rows[from]!);
        else for (let i = from; i < to; i++) target[base + rows[i]!] = column[i]!;
      }
      stretch.filled += to - from;
      if (stretch.filled === size) {
        this.#open.delete(start);
        complete.push(stretch);
      }
    }
    return complete;
  }

  #stretchOf(row: number): OpenStretch {
    const start = row - (row % this.#shape.blockRows);
    let stretch = this.#open.get(start);
    if (stretch === undefined) {
      if (this.#open.size >= this.#mostOpen) throw new RowsOutOfOrder(this.#where);
      const size = Math.min(this.#shape.blockRows, this.#shape.rows - start);
      stretch = { start, size, words: new Int32Array(size * this.#columns), filled: 0 };
      this.#open.set(start, stretch);
    }
    return stretch;
  }
}

/** Whether rows [from, to) of a chunk follow each other without a gap. */
function isRun(rows: Float64Array, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) if (rows[i] !== rows[i - 1]! + 1) return false;
  return true;
}

function toBlock({ size, words }: Stretch, { dense, tables }: BlockShape): ClickBatch {
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  const matrix = new Float32Array(size * dense);
  for (let d = 0; d < dense; d++) {
    const column = (2 + d) * size;
    for (let i = 0, to = d; i < size; i++, to += dense) matrix[to] = floats[column + i]!;
  }
  const parts = new Float64Array(size);
  parts.set(words.subarray(0, size));
  return {
    size,
    dense: matrix,
    labels: floats.subarray(size, 2 * size),
    rows: parts,
    lookups: { size, tables, ids: words.subarray((2 + dense) * size), offsets: null },
  };
}

/**
 * Blocks of exactly `blockRows` rows (the last may be shorter), in row order, of a query with columns: row DOUBLE, part
 * UTINYINT, label FLOAT, then `dense` FLOATs, then `tables` INTEGERs, none of them NULL. Their `rows` hold the parts.
 * @throws RowsOutOfOrder when rows are scattered over the whole source; ParetoError as DuckDB fails
 */
export async function* streamBlocks(
  database: Database,
  sql: string,
  where: string,
  shape: BlockShape,
): AsyncGenerator<ClickBatch, void, undefined> {
  const scatter = new Scatter(shape, where);
  const waiting = new RowReorder(shape.reorder.path, shape.reorder.limitBytes);
  let done = 0;
  try {
    for await (const chunk of chunksOf(database, sql, where)) {
      for (const complete of scatter.take(chunk)) {
        if (complete.start !== done) {
          await waiting.put(complete);
          continue;
        }
        for (let next: Stretch | null = complete; next !== null; next = await waiting.take(done)) {
          yield toBlock(next, shape);
          done += next.size;
        }
      }
    }
    invariant(done === shape.rows, `every row came once: ${done} of ${shape.rows}`);
  } finally {
    await waiting.dispose();
  }
}

/**
 * Blocks of one multi-hot field, from a query with columns row DOUBLE and id INTEGER in row order: a row's ids follow
 * each other, a row without ids does not occur.
 * @param rows how many rows the source has
 * @throws ParetoError as DuckDB fails
 */
export async function* streamBags(
  database: Database,
  sql: string,
  where: string,
  rows: number,
  blockRows: number,
): AsyncGenerator<ClickBatch, void, undefined> {
  const bags = new BagFiller(rows, blockRows);
  let last = 0;
  for await (const chunk of chunksOf(database, sql, where)) {
    const rowOf = items<Float64Array>(chunk, 0);
    const idOf = items<Int32Array>(chunk, 1);
    for (let i = 0; i < chunk.rowCount; i++) {
      const row = rowOf[i]!;
      invariant(row >= last, `rows of ${where} are sorted`);
      last = row;
      while (bags.endsBefore(row)) yield bags.finish();
      bags.add(row, idOf[i]!);
    }
  }
  while (bags.endsBefore(rows)) yield bags.finish();
}

/** Gathers the bags of one block after the other. */
class BagFiller {
  readonly #rows: number;
  readonly #blockRows: number;
  #ids: Int32Array<ArrayBuffer>;
  #lengths: Int32Array;
  #count = 0;
  #first = 0;

  constructor(rows: number, blockRows: number) {
    this.#rows = rows;
    this.#blockRows = blockRows;
    this.#ids = new Int32Array(blockRows);
    this.#lengths = new Int32Array(blockRows);
  }

  /** Whether the current block has rows, all of them before `row`. */
  endsBefore(row: number): boolean {
    return this.#first < this.#rows && Math.min(this.#first + this.#blockRows, this.#rows) <= row;
  }

  add(row: number, id: number): void {
    if (this.#count === this.#ids.length) {
      const grown = new Int32Array(this.#count * 2);
      grown.set(this.#ids);
      this.#ids = grown;
    }
    this.#ids[this.#count++] = id;
    this.#lengths[row - this.#first]!++;
  }

  /** The current block; the next rows go to the block after it. */
  finish(): ClickBatch {
    const size = Math.min(this.#blockRows, this.#rows - this.#first);
    const offsets = new Int32Array(size + 1);
    for (let i = 0; i < size; i++) offsets[i + 1] = offsets[i]! + this.#lengths[i]!;
    const lookups = { size, tables: 1, ids: this.#ids.slice(0, this.#count), offsets };
    this.#lengths.fill(0);
    this.#count = 0;
    this.#first += size;
    return {
      size,
      dense: new Float32Array(0),
      labels: new Float32Array(size),
      rows: new Float64Array(size),
      lookups,
    };
  }
}
