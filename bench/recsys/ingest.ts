/**
 * @file How fast, and in how much memory, a click log in Parquet becomes encoded parts: 40 columns (label, 13 dense, 26
 * categorical with skewed ids), vocabularies and encoding all in. The limit it is related to, measured in the same run,
 * is DuckDB counting the distinct values of every column of the same file.
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "../../src/recsys/data/source/duckdb.ts";
import { prepareDataset } from "../../src/recsys/data/encode/prepareDataset.ts";
import { openSource } from "../../src/recsys/data/source/source.ts";
import type { BenchRow } from "../harness/rows.ts";

/** DuckDB takes what it is given before it spills, so a limit well below its default shows what the work needs. */
const MEMORY_LIMIT_BYTES = 768 * 2 ** 20;

/** What a run measured. */
export interface IngestResult {
  bench: "ingest";
  rows: number;
  columns: number;
  fileBytes: number;
  /** Rows a second from opening the file to complete parts. */
  rowsPerSecond: number;
  seconds: number;
  /** Processor time of all threads, which other work on the machine does not blur. */
  cpuSeconds: number;
  /** Rows a second of DuckDB's scan with a count of the distinct values of each column. */
  scanRowsPerSecond: number;
  /** `rowsPerSecond / scanRowsPerSecond`. */
  ratioToScan: number;
  /** Highest resident memory of the process during the preparation, generation of the file excluded. */
  peakRssBytes: number;
  /** Samples a second of one shuffled pass over the training part. */
  readSamplesPerSecond: number;
  values: number;
}

/** Writes a log whose ids are Zipf-like: value = floor(cardinality · u^3) of a hashed u. */
async function generate(path: string, rows: number, directory: string): Promise<void> {
  const database = await Database.open(directory);
  const dense = Array.from({ length: 13 }, (_, d) => {
    const unit = `((hash(i * 64 + ${d}) % 1000003) / 1000003.0)`;
    return `CASE WHEN ${unit} < 0.04 THEN NULL ELSE CAST(floor(exp(${unit} * 7)) - 1 AS INTEGER) END AS "I${d + 1}"`;
  });
  const sizes = [1460, 583, 1_000_000, 220_000, 305, 24, 12517, 633, 3, 93145, 5683, 835_000, 3194];
  const categorical = Array.from({ length: 26 }, (_, c) => {
    const unit = `((hash(i * 64 + ${c + 16}) % 100000007) / 100000007.0)`;
    const id = `CAST(floor(${sizes[c % sizes.length]!} * pow(${unit}, 3)) AS BIGINT)`;
    return `printf('%08x', (${id} * 2654435761 + ${c}) % 4294967296) AS "C${c + 1}"`;
  });
  const label = "CAST(hash(i * 64 + 63) % 4 = 0 AS INTEGER) AS label";
  await database.run(
    `COPY (SELECT ${[label, ...dense, ...categorical].join(", ")} FROM range(${rows}) AS t(i)) TO '${path}' (FORMAT parquet)`,
    path,
  );
  database.close();
}

/** Generates a file, prepares it and reads it once. */
export async function benchIngest(rows: number): Promise<IngestResult> {
  const directory = await mkdtemp(join(tmpdir(), "pareto-ingest-"));
  try {
    const path = join(directory, "clicks.parquet");
    await generate(path, rows, directory);
    let peakRssBytes = 0;
    const timer = setInterval(() => {
      peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss());
    }, 20);
    const bounded = { tempDirectory: directory, memoryLimitBytes: MEMORY_LIMIT_BYTES };
    const cpuStart = process.cpuUsage();
    const start = performance.now();
    const source = await openSource({ paths: [path], ...bounded });
    const prepared = await prepareDataset(source, { label: "label" }, join(directory, "prepared"));
    const seconds = (performance.now() - start) / 1000;
    const cpu = process.cpuUsage(cpuStart);
    clearInterval(timer);
    await source.dispose();
    // Counting distinct values in every column at once does not spill, so it gets the default memory.
    const reference = await openSource({ paths: [path], tempDirectory: directory });
    const scanStart = performance.now();
    const distinct = reference.columns.map((column) => `count(DISTINCT ${column.sql}) AS ${column.sql}`);
    const [found] = await reference.database.rows<Record<string, number>>(
      `SELECT ${distinct.join(", ")} FROM data`,
      path,
    );
    const scanSeconds = (performance.now() - scanStart) / 1000;
    await reference.dispose();
    const readStart = performance.now();
    let read = 0;
    for await (const batch of prepared.train.batches({
      batchSize: 2048,
      shuffle: { seed: 1, epoch: 0 },
      recycle: 4,
    })) {
      read += batch.size;
    }
    return {
      bench: "ingest",
      rows,
      columns: 40,
      fileBytes: (await stat(path)).size,
      rowsPerSecond: rows / seconds,
      seconds,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      scanRowsPerSecond: rows / scanSeconds,
      ratioToScan: scanSeconds / seconds,
      peakRssBytes,
      readSamplesPerSecond: (read * 1000) / (performance.now() - readStart),
      values: Object.values(found!).reduce((a, b) => a + b, 0),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Rows of the two logs whose memory is compared. */
export const INGEST_ROWS = [1_000_000, 10_000_000] as const;

/** What the rate should be at least, rows a second, and what the memory at the larger log may be over the smaller. */
const LEAST_RATE = 300_000;
const MOST_GROWTH = 1.25;

const count = (value: number) => Math.round(value).toLocaleString("en-US");
const mebibytes = (bytes: number) => `${count(bytes / 2 ** 20)} MiB`;

/** The lines of the table. */
export function ingestRows(few: IngestResult, many: IngestResult): BenchRow[] {
  const rates = [few, many].map((result) => ({
    case: "ingest",
    size: `${count(result.rows)} rows × ${result.columns} columns of Parquet`,
    milliseconds: 1000 * result.seconds,
    figure: `${count(result.rowsPerSecond)} rows/s`,
    limit: `${count(result.scanRowsPerSecond)} rows/s, DuckDB counting distinct values`,
    ratio: result.ratioToScan,
    target: `≥ ${count(LEAST_RATE)} rows/s`,
    met: result.rowsPerSecond >= LEAST_RATE,
  }));
  const growth = many.peakRssBytes / few.peakRssBytes;
  return [
    ...rates,
    {
      case: "ingest memory",
      size: `${count(many.rows)} rows over ${count(few.rows)}`,
      milliseconds: 1000 * many.seconds,
      figure: mebibytes(many.peakRssBytes),
      limit: `${mebibytes(few.peakRssBytes)} at ${count(few.rows)} rows`,
      ratio: growth,
      target: `≤ ${MOST_GROWTH}`,
      met: growth <= MOST_GROWTH,
    },
  ];
}
