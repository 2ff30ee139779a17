/**
 * @file Speed and memory, each figure related to a limit measured in the same run. Prints a table and, as its last
 * line, everything as one line of JSON.
 *
 * Run: `npm run bench -- [dense|train|fae|embedding|ingest|protein|llm|cuda|all] [--json-only] [--threads N] [--out FILE]`.
 * `all`, the default, takes some eight minutes and 6 GB; where there is no NVIDIA GPU it leaves `cuda` out and says so.
 * Each case runs in a process of its own, so that neither the memory nor the threads of one show in another.
 *
 * `cuda`, `protein` and `llm` take `--only NAME,…`, some of their groups of rows, and `--small`, sizes that only show that it
 * all runs.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { describeMachine } from "../src/base/environment.ts";
import { cudaBench, groupsNamed, missingGpu } from "./cuda/cudaBench.ts";
import { benchDense, denseRows } from "./dense.ts";
import { benchEmbedding, type EmbeddingResult } from "./embedding.ts";
import { benchFae, faeRows } from "./fae.ts";
import type { IngestResult } from "./ingest.ts";
import type { BenchRow } from "./measure.ts";
import { benchLlm, llmGroups } from "./llm.ts";
import { benchProtein, proteinGroups } from "./protein.ts";
import { busyShare, commit, runAlone } from "./machine.ts";
import { benchTable } from "./table.ts";
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
    results.push((await runAlone("./ingest.ts", [String(rows)])) as IngestResult);
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
  protein: (threads) =>
    benchProtein(threads, { only: proteinGroups(isAll ? undefined : values.only), small: values.small }),
  llm: (threads) =>
    benchLlm({
      threads,
      only: llmGroups(isAll ? undefined : values.only),
      small: values.small,
      log: (line) => {
        if (!values["json-only"]) console.error(line);
      },
    }),
  cuda: () => cudaBench({ only: groupsNamed(values.only), small: values.small }),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "json-only": { type: "boolean", default: false },
    threads: { type: "string" },
    out: { type: "string" },
    only: { type: "string" },
    small: { type: "boolean", default: false },
    commit: { type: "string" },
  },
});
const isAll = positionals.length === 0 || positionals.includes("all");
const asked = isAll ? Object.keys(cases) : positionals;
const machine = describeMachine();
const threads = Number(values.threads ?? machine.cores);

/** What is wrong with what was asked for; null when it can be done. */
async function refusal(): Promise<string | null> {
  const unknown = asked.find((name) => !Object.hasOwn(cases, name));
  if (unknown !== undefined) {
    return `no benchmark has this name, got "${unknown}"; use one of: ${Object.keys(cases).join(", ")}, all`;
  }
  if (!Number.isInteger(threads) || threads < 1) {
    return `--threads must be a whole number from 1, got "${values.threads}"`;
  }
  try {
    if (asked.includes("cuda")) groupsNamed(values.only);
    else if (asked.includes("protein")) proteinGroups(values.only);
    else if (asked.includes("llm")) llmGroups(values.only);
  } catch (error) {
    return (error as Error).message;
  }
  if (!asked.includes("cuda")) return null;
  const missing = await missingGpu();
  if (!missing) return null;
  if (!isAll) return `cuda cannot be measured here: ${missing.message}. ${missing.fix}`;
  asked.splice(asked.indexOf("cuda"), 1);
  if (!values["json-only"]) console.log(`cuda is left out: ${missing.message}.`);
  return null;
}

const refused = await refusal();
if (refused !== null) {
  console.error(refused);
  process.exitCode = 2;
} else {
  const outcomes: CaseOutcome[] = [];
  const busyBefore: Record<string, number> = {};
  for (const name of asked) {
    busyBefore[name] = values["json-only"] ? 0 : await busyShare();
    const options = ["--threads", String(threads), ...(values.small ? ["--small"] : [])];
    const alone = () => runAlone("./main.ts", [name, "--json-only", ...options]);
    outcomes.push(asked.length === 1 ? await cases[name]!(threads) : ((await alone()) as CaseOutcome));
  }
  const rows = outcomes.flatMap((outcome) => outcome.rows);
  if (!values["json-only"]) {
    for (const line of benchTable(rows)) console.log(line);
    if (values.small) console.log("Small sizes: these figures show only that everything runs.");
    const busiest = Math.max(...Object.values(busyBefore));
    if (busiest > BUSY) {
      console.log(
        `Other programs used ${Math.round(100 * busiest)} % of this machine before a case: measure again when it is idle.`,
      );
    }
  }
  const { cpu, cores, memoryBytes } = machine;
  const json = JSON.stringify({
    machine: {
      cpu,
      cores,
      memoryBytes,
      node: process.version,
      date: new Date().toISOString(),
      commit: values.commit ?? commit(),
    },
    busyBefore,
    rows,
    results: outcomes.flatMap((outcome) => outcome.results),
  });
  if (values.out !== undefined) await writeFile(values.out, `${json}\n`);
  console.log(json);
}
