/**
 * @file Quality of the protein networks: every model on every split and seed, each by `pareto protein train` in a
 * process of its own, several at once, into one file of JSON. A run that fails costs itself only; the file is written
 * anew after each run.
 *
 * Run: `node bench/proteinGrid.ts SOURCE… --out FILE`, SOURCE as for `pareto protein train`. Options:
 * - `--jobs N` runs at a time (1), `--threads N` of each (cores over jobs), `--device cpu|cuda`
 * - `--seeds 1,2,3`, `--only MODEL:SPLIT:SEED,…` (`*` for all) instead of all runs, in this order
 * - `--baselines`: the k-mer models instead, on the CPU; `--full`: ProFamNet on the random split, without a cap
 * - `--cap N` (1000), `--min-family N` (700): recipe HF73-1k
 * - `--epochs N`, `--batch-size N`, `--lr X`, `--patience N`, `--precision NAME`, `--decoys X`, `--flanks X`: as for the command
 * - `--budget-seconds N`: starts no run after them; `--kill-seconds N`: ends what still runs then
 * - `--models DIR` keeps the saved models; `--commit ID` where there is no checkout
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "../src/base/environment.ts";
import { SPLIT_NAMES } from "../src/protein/splits/split.ts";
import { describeGpu } from "./cuda/gpu.ts";
import { commit } from "./machine.ts";
import { gridRuns, runsNamed, type GridFile, type GridOutcome, type GridRun } from "./protein/gridPlan.ts";
import { baselineRuns, trainRun, type GridSettings } from "./protein/gridProcesses.ts";
import { gridTable } from "./protein/gridTable.ts";

const { values, positionals: sources } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: "string", default: "1" },
    threads: { type: "string" },
    device: { type: "string", default: "cpu" },
    seeds: { type: "string", default: "1,2,3" },
    only: { type: "string" },
    baselines: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    cap: { type: "string", default: "1000" },
    "min-family": { type: "string", default: "700" },
    epochs: { type: "string" },
    "batch-size": { type: "string" },
    lr: { type: "string" },
    patience: { type: "string" },
    precision: { type: "string" },
    decoys: { type: "string" },
    flanks: { type: "string" },
    "budget-seconds": { type: "string" },
    "kill-seconds": { type: "string" },
    models: { type: "string" },
    commit: { type: "string" },
    out: { type: "string" },
  },
});

/** A whole number from 1; without a value, the other. @throws Error */
function wholeOr<T>(name: string, text: string | undefined, other: T): number | T {
  if (text === undefined) return other;
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`--${name} must be a whole number from 1, got "${text}"`);
  return Number(text);
}

/** One thing to do: a network, or the k-mer models of a split. */
interface Task {
  runs: GridRun[];
  start: () => Promise<GridOutcome[]>;
}

function tasksOf(settings: GridSettings, seeds: readonly number[]): Task[] {
  if (values.baselines) {
    return seeds.flatMap((seed) =>
      SPLIT_NAMES.map((split) => ({
        runs: [{ model: "logistic", split, seed }],
        start: () => baselineRuns(split, seed, settings),
      })),
    );
  }
  const runs =
    values.only !== undefined
      ? runsNamed(values.only, seeds)
      : values.full
        ? seeds.slice(0, 1).map((seed): GridRun => ({ model: "profamnet", split: "random", seed }))
        : gridRuns(seeds);
  return runs.map((run) => ({ runs: [run], start: async () => [await trainRun(run, settings)] }));
}

async function main(): Promise<void> {
  const { device, out } = values;
  if (sources.length === 0) throw new Error("give FASTA files or a folder of them, got no source");
  if (out === undefined) throw new Error("give --out FILE for the results, got none");
  if (device !== "cpu" && device !== "cuda") throw new Error(`--device is cpu or cuda, got "${device}"`);
  const origin = performance.now();
  const passed = () => (performance.now() - origin) / 1000;
  const { cpu, cores, memoryBytes } = describeMachine();
  const jobs = wholeOr("jobs", values.jobs, 1);
  const seeds = values.seeds.split(",").map((seed) => wholeOr("seeds", seed.trim(), 1));
  const budget = wholeOr("budget-seconds", values["budget-seconds"], Infinity);
  const kill = wholeOr("kill-seconds", values["kill-seconds"], null);
  const stop = new AbortController();
  const timer = kill === null ? null : setTimeout(() => stop.abort(), 1000 * kill);
  const passedOn = (
    ["epochs", "batch-size", "lr", "patience", "precision", "decoys", "flanks"] as const
  ).flatMap((name) => (values[name] === undefined ? [] : [`--${name}`, values[name]]));
  const settings: GridSettings = {
    sources,
    cap: values.full ? null : wholeOr("cap", values.cap, null),
    minimum: wholeOr("min-family", values["min-family"], 700),
    device,
    threads: wholeOr("threads", values.threads, Math.max(1, Math.floor(cores / jobs))),
    options: passedOn,
    folder: await mkdtemp(join(tmpdir(), "pareto-protein-grid-")),
    models: values.models ?? null,
    signal: stop.signal,
  };
  const waiting = tasksOf(settings, seeds);
  const file: GridFile = {
    bench: "protein grid",
    machine: {
      cpu,
      cores,
      memoryBytes,
      node: process.version,
      date: new Date().toISOString(),
      commit: values.commit ?? commit(),
    },
    gpu: device === "cuda" ? await describeGpu() : null,
    jobs,
    seconds: 0,
    notRun: [],
    runs: [],
  };
  const save = async () => {
    file.seconds = passed();
    file.notRun = waiting.flatMap(({ runs }) => runs);
    // In one write, whatever other runs end meanwhile.
    await writeFile(out, `${JSON.stringify(file, null, 1)}\n`);
  };
  const work = async () => {
    while (waiting.length > 0 && passed() < budget && !stop.signal.aborted) {
      const outcomes = await waiting.shift()!.start();
      file.runs.push(...outcomes);
      for (const { model, split, seed, status, test, seconds, error } of outcomes) {
        const quality = test
          ? `accuracy ${test.accuracy.toFixed(4)}, macro-F1 ${test.macroF1.toFixed(4)}`
          : error;
        console.log(
          `${passed().toFixed(0)} s: ${model} ${split} ${seed} ${status}, ${seconds.toFixed(1)} s, ${quality}`,
        );
      }
      await save();
    }
  };
  try {
    await save();
    await Promise.all(Array.from({ length: jobs }, work));
    await save();
  } finally {
    if (timer) clearTimeout(timer);
    await rm(settings.folder, { recursive: true, force: true });
  }
  for (const line of gridTable([file])) console.log(line);
  if (file.notRun.length > 0)
    console.log(`not run: ${file.notRun.map((run) => Object.values(run).join(":")).join(", ")}`);
  if (file.runs.some(({ status }) => status === "failed")) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
