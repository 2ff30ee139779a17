/**
 * @file How long a wide log takes from its CSV file to a trained epoch: 2,000 float columns × 3,000 rows. The limit it is
 * related to, measured in the same run, is DuckDB reading the same file into a table with types of its own.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "../../src/recsys/data/source/duckdb.ts";
import { trainClicks } from "../../src/recsys/training/trainClicks.ts";
import type { BenchRow } from "../harness/rows.ts";

/** What a run measured. */
export interface WideResult {
  bench: "wide";
  rows: number;
  columns: number;
  threads: number;
  /** From opening the file to the end of the only epoch and its test. */
  seconds: number;
  /** Of DuckDB's own reader over the same file. */
  readSeconds: number;
}

const ROWS = 3000;
const COLUMNS = 2000;

/** What the whole should take at most, on two cores. */
const MOST_SECONDS = 6;

/** Makes the file, trains on it, and reads it with DuckDB alone. */
export async function benchWide(threads: number): Promise<WideResult> {
  const directory = await mkdtemp(join(tmpdir(), "pareto-wide-"));
  try {
    const file = join(directory, "wide.csv");
    const database = await Database.open(directory, { threads });
    const floats = Array.from(
      { length: COLUMNS },
      (_, c) => `round(hash(i * ${COLUMNS} + ${c}) % 1000003 / 100000.0, 4) AS f${c}`,
    );
    await database.run(
      `COPY (SELECT CAST(hash(i) % 3 = 0 AS INTEGER) AS y, ${floats.join(", ")} FROM range(${ROWS}) t(i)) TO '${file}' (FORMAT csv, HEADER)`,
      file,
    );
    const start = performance.now();
    await trainClicks({
      directory: join(directory, "run"),
      cacheDirectory: join(directory, "cache"),
      config: {
        source: { paths: [file] },
        prepare: { label: "y", split: { kind: "random" } },
        settings: {
          model: "dlrm:dim=16,bottom=(512,256,64),top=(512,256)",
          strategy: "baseline",
          hot: "topk",
          optimizer: "sgd",
          learningRate: 0.01,
          decay: "constant",
          batchSize: 256,
          epochs: 1,
          patience: 1,
          seed: 1,
          threads,
          device: "cpu",
        },
      },
    });
    const seconds = (performance.now() - start) / 1000;
    const readStart = performance.now();
    await database.run(`CREATE TABLE alone AS SELECT * FROM read_csv('${file}')`, file);
    const readSeconds = (performance.now() - readStart) / 1000;
    database.close();
    return { bench: "wide", rows: ROWS, columns: COLUMNS, threads, seconds, readSeconds };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The line of the table. */
export function wideRows({ rows, columns, seconds, readSeconds }: WideResult): BenchRow[] {
  const count = (value: number) => value.toLocaleString("en-US");
  return [
    {
      case: "wide log",
      size: `${count(columns)} float columns × ${count(rows)} rows of CSV, an epoch included`,
      milliseconds: 1000 * seconds,
      figure: `${seconds.toFixed(1)} s`,
      limit: `${readSeconds.toFixed(1)} s, DuckDB reading the file`,
      ratio: seconds / readSeconds,
      target: `≤ ${MOST_SECONDS} s on 2 cores`,
      met: seconds <= MOST_SECONDS,
    },
  ];
}
