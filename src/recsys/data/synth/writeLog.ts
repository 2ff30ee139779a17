/**
 * @file Writes the blocks of a generator to a Parquet file: a timestamp, the label, count columns and
 * categorical columns of 8-digit hex strings, as Criteo's logs have them.
 *
 * Blocks go through a DuckDB table on disk, because the metadata of a Parquet file must be known
 * when its writing starts, and the quality of the truth is known only after the last row. Raw integers are
 * appended; DuckDB makes the strings on its threads. Resident memory does not grow with the number
 * of rows: 1.2 GB at three and at six million.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Database } from "../source/duckdb.ts";
import { quoteName, quoteText } from "../source/sqlText.ts";
import {
  BLOCK_ROWS,
  type ClickBlock,
  type ClickGenerator,
  MISSING_COUNT,
  MISSING_VALUE,
} from "./generator.ts";
import type { SynthPreset } from "./presets.ts";

/** Rows of a Parquet row group. */
const GROUP_ROWS = 122_880;
/** Rows of DuckDB's vectors. */
const CHUNK_ROWS = 2048;
/** What DuckDB may hold in its buffers; its Parquet writer needs about as much again. */
const MEMORY_BYTES = 512 * 2 ** 20;
/** 2024-01-01T00:00:00Z in microseconds: when every log starts. */
const START_MICROS = 1_704_067_200_000_000n;

/** What to write, and where. */
export interface WriteLogOptions {
  generator: ClickGenerator;
  preset: SynthPreset;
  /** A folder for the table; the caller removes it. */
  scratch: string;
  /** The Parquet file. */
  file: string;
  /** Threads of DuckDB, or null for one a core, at most four. */
  threads: number | null;
  signal?: AbortSignal;
  /** Receives each block before its memory is reused, with the rows so far. */
  onBlock(block: ClickBlock, done: number): void;
  /** Asked once, after the last block. */
  metadata(): Record<string, string>;
}

/** The query that turns the raw table into the columns of the log. */
function selectColumns(preset: SynthPreset): string {
  const columns = [
    `y AS ${quoteName(preset.label)}`,
    `make_timestamp(${START_MICROS} + ms::BIGINT * 1000) AS ${quoteName(preset.time)}`,
    ...preset.dense.map((name, c) => `nullif(d${c}, ${MISSING_COUNT}) AS ${quoteName(name)}`),
    ...preset.categorical.map(
      (name, t) =>
        `CASE WHEN c${t} <> ${MISSING_VALUE} THEN lpad(lower(hex(c${t})), 8, '0') END AS ${quoteName(name)}`,
    ),
  ];
  return `SELECT ${columns.join(", ")} FROM log.raw`;
}

/** Draws every block of the generator and writes them in order. Errors of DuckDB pass through. */
export async function writeLog(options: WriteLogOptions): Promise<void> {
  const { generator, preset } = options;
  const database = await Database.open(options.scratch, {
    memoryLimitBytes: MEMORY_BYTES,
    // Each thread holds a row group of all columns while it writes.
    ...(options.signal && { signal: options.signal }),
    threads: options.threads ?? Math.min(4, availableParallelism()),
  });
  const { DuckDBDataChunk, INTEGER, UINTEGER, UTINYINT } = await import("@duckdb/node-api");
  try {
    const connection = await database.connect();
    await connection.run(`ATTACH ${quoteText(join(options.scratch, "log.duckdb"))} AS log`);
    const fields = [
      { name: "y", type: UTINYINT },
      { name: "ms", type: INTEGER },
      ...preset.dense.map((_, c) => ({ name: `d${c}`, type: INTEGER })),
      ...preset.categorical.map((_, t) => ({ name: `c${t}`, type: UINTEGER })),
    ];
    await connection.run(
      `CREATE TABLE log.raw (${fields.map(({ name, type }) => `${name} ${type}`).join(", ")})`,
    );
    const appender = await connection.createAppender("raw", "main", "log");
    const chunk = DuckDBDataChunk.create(fields.map(({ type }) => type));
    for (let index = 0; index < generator.blocks; index++) {
      const block = generator.draw(index);
      const columns = [block.labels, block.milliseconds, ...block.dense, ...block.values];
      for (let from = 0; from < block.size; from += CHUNK_ROWS) {
        const size = Math.min(CHUNK_ROWS, block.size - from);
        chunk.reset();
        chunk.rowCount = size;
        for (const [c, column] of columns.entries()) {
          const vector = chunk.getColumnVector(c);
          for (let i = 0; i < size; i++) vector.setItem(i, column[from + i]!);
          vector.flush();
        }
        appender.appendDataChunk(chunk);
      }
      options.signal?.throwIfAborted();
      options.onBlock(block, index * BLOCK_ROWS + block.size);
      // Lets timers and signals of the caller through.
      if (index % 16 === 15) await new Promise((resume) => setImmediate(resume));
    }
    appender.closeSync();
    const metadata = Object.entries(options.metadata())
      .map(([key, value]) => `${quoteText(key)}: ${quoteText(value)}`)
      .join(", ");
    await connection.run(
      `COPY (${selectColumns(preset)}) TO ${quoteText(options.file)} (FORMAT parquet, COMPRESSION zstd, ` +
        `ROW_GROUP_SIZE ${GROUP_ROWS}, KV_METADATA {${metadata}})`,
    );
    database.disconnect(connection);
  } finally {
    database.close();
  }
}
