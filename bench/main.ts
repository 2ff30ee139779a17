/**
 * @file Speed and memory, each figure related to a limit measured in the same run. Prints a table and, as its last
 * line, everything as one line of JSON.
 *
 * Run: `npm run bench -- [dense|train|fae|embedding|ingest|all] [--json-only] [--threads N]`. `all`, the default,
 * takes some four minutes and 6 GB. Each case runs in a process of its own, so that neither the memory nor the threads
 * of one show in another.
 */
import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { cpus } from "node:os";
import { parseArgs, promisify } from "node:util";
import { describeMachine } from "../src/engine/environment.ts";
import { benchDense, denseRows } from "./dense.ts";
import { benchEmbedding, type EmbeddingResult } from "./embedding.ts";
import { benchFae, faeRows } from "./fae.ts";
import type { IngestResult } from "./ingest.ts";
import type { BenchRow } from "./measure.ts";
import { benchTrain, trainRows } from "./train.ts";

interface CaseOutcome {
  rows: BenchRow[];
  results: unknown[];
}

const count = (value: number) => Math.round(value).toLocaleString("en-US");

/** A machine this busy with other work blurs what is measured. */
const BUSY = 0.1;
/** Rows of the two logs whose memory is compared. */
const INGEST_ROWS = [1_000_000, 10_000_000] as const;

async function embeddingCase(threads: number): Promise<CaseOutcome> {
  const result = await benchEmbedding({ threads });
  return { rows: embeddingRows(result), results: [result] };
}

function embeddingRows(result: EmbeddingResult): BenchRow[] {
  return (["gather", "update", "refresh"] as const).map((name) => ({
    case: `embedding ${name}`,
    size: `${(result.rows / 1e6).toFixed(2)} M rows, batch ${result.batchSize} × 26, ${count(result.distinctRows)} distinct`,
    milliseconds: result[name].milliseconds,
    figure: `${result[name].gigabytesPerSecond.toFixed(2)} GB/s of rows`,
    limit: `${result.randomGigabytesPerSecond.toFixed(2)} GB/s, random 64-byte reads`,
    ratio: result[name].ratioToRandom,
    target: "",
    met: null,
  }));
}

async function ingestCase(): Promise<CaseOutcome> {
  const results: IngestResult[] = [];
  for (const rows of INGEST_ROWS) {
    results.push((await runAlone("./ingest.ts", String(rows))) as IngestResult);
  }
  const [small, large] = results as [IngestResult, IngestResult];
  const mebibytes = (bytes: number) => `${count(bytes / 2 ** 20)} MiB`;
  const rows = results.map((result) => ({
    case: "ingest",
    size: `${count(result.rows)} rows × ${result.columns} columns of Parquet`,
    milliseconds: 1000 * result.seconds,
    figure: `${count(result.rowsPerSecond)} rows/s`,
    limit: `${count(result.scanRowsPerSecond)} rows/s, DuckDB counting distinct values`,
    ratio: result.ratioToScan,
    target: "≥ 300,000 rows/s",
    met: result.rowsPerSecond >= 300_000,
  }));
  const growth = large.peakRssBytes / small.peakRssBytes;
  rows.push({
    case: "ingest memory",
    size: `${count(large.rows)} rows over ${count(small.rows)}`,
    milliseconds: 1000 * large.seconds,
    figure: mebibytes(large.peakRssBytes),
    limit: `${mebibytes(small.peakRssBytes)} at ${count(small.rows)} rows`,
    ratio: growth,
    target: "≤ 1.25",
    met: growth <= 1.25,
  });
  return { rows, results };
}

const cases: Record<string, (threads: number) => Promise<CaseOutcome>> = {
  dense: async (threads) => {
    const result = await benchDense(threads);
    return { rows: denseRows(result), results: [result] };
  },
  train: async (threads) => {
    const result = await benchTrain(threads);
    return { rows: trainRows(result), results: [result] };
  },
  fae: async (threads) => {
    const result = await benchFae(threads);
    return { rows: faeRows(result), results: [result] };
  },
  embedding: embeddingCase,
  ingest: ingestCase,
};

/** Runs a program of this folder and reads the JSON on its last line. */
async function runAlone(file: string, ...options: string[]): Promise<unknown> {
  const script = fileURLToPath(new URL(file, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...options]);
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

/**
 * The share of the machine that other programs use, watched for half a second while this one waits. Figures taken on
 * a busy machine are low; their ratios are less so.
 */
async function busyShare(): Promise<number> {
  const times = () =>
    cpus().reduce(
      (sum, { times: { idle, ...work } }) => {
        const busy = Object.values(work).reduce((a, b) => a + b, 0);
        return { busy: sum.busy + busy, all: sum.all + busy + idle };
      },
      { busy: 0, all: 0 },
    );
  const before = times();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const after = times();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}

/** The commit measured, with a mark when files differ from it; null outside a checkout. */
function commit(): string | null {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty", "--abbrev=12"], {
      cwd: import.meta.dirname,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return null;
  }
}

function printTable(rows: readonly BenchRow[]): void {
  const head = [
    "case",
    "size",
    "median ms",
    "figure",
    "limit measured in the same run",
    "ratio",
    "target",
    "",
  ];
  const lines = rows.map((row) => [
    row.case,
    row.size,
    row.milliseconds.toFixed(row.milliseconds < 100 ? 2 : 0),
    row.figure,
    row.limit,
    row.ratio === null ? "–" : row.ratio.toFixed(2),
    row.target,
    row.met === null ? "" : row.met ? "met" : "MISSED",
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i]!.length)));
  for (const line of [head, widths.map((width) => "-".repeat(width)), ...lines]) {
    console.log(
      line
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join(" | ")
        .trimEnd(),
    );
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { "json-only": { type: "boolean", default: false }, threads: { type: "string" } },
});
const asked = positionals.length === 0 || positionals.includes("all") ? Object.keys(cases) : positionals;
const unknown = asked.find((name) => !Object.hasOwn(cases, name));
const machine = describeMachine();
const threads = Number(values.threads ?? machine.cores);
if (unknown !== undefined) {
  console.error(
    `no benchmark has this name, got "${unknown}"; use one of: ${Object.keys(cases).join(", ")}, all`,
  );
  process.exitCode = 2;
} else if (!Number.isInteger(threads) || threads < 1) {
  console.error(`--threads must be a whole number from 1, got "${values.threads}"`);
  process.exitCode = 2;
} else {
  const outcomes: CaseOutcome[] = [];
  const busyBefore: Record<string, number> = {};
  for (const name of asked) {
    busyBefore[name] = await busyShare();
    const alone = () => runAlone("./main.ts", name, "--json-only", "--threads", String(threads));
    outcomes.push(asked.length === 1 ? await cases[name]!(threads) : ((await alone()) as CaseOutcome));
  }
  const rows = outcomes.flatMap((outcome) => outcome.rows);
  if (!values["json-only"]) {
    printTable(rows);
    const busiest = Math.max(...Object.values(busyBefore));
    if (busiest > BUSY) {
      console.log(
        `Other programs used ${Math.round(100 * busiest)} % of this machine before a case: measure again when it is idle.`,
      );
    }
  }
  const { cpu, cores, memoryBytes } = machine;
  const about = {
    cpu,
    cores,
    memoryBytes,
    node: process.version,
    date: new Date().toISOString(),
    commit: commit(),
  };
  console.log(
    JSON.stringify({
      machine: about,
      busyBefore,
      rows,
      results: outcomes.flatMap((outcome) => outcome.results),
    }),
  );
}
