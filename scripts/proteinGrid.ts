/**
 * @file A table of protein runs that `recipes/hf73.sh` made, and their figures as one file for `bench/results`.
 *
 * Run: `node scripts/proteinGrid.ts RUNS [--out FILE] [--commit ID]`, RUNS the folder that holds the runs' folders. Runs
 * that are not done are named.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeGpu } from "../bench/harness/gpu.ts";
import { benchMachine } from "../bench/harness/machine.ts";
import type { TrainBaselineResult } from "../src/protein/training/trainBaseline.ts";
import type { TrainProteinResult } from "../src/protein/training/proteinResult.ts";
import type { GridFile, GridOutcome, GridQuality } from "./proteinGridFile.ts";
import { gridTable } from "./proteinGridTable.ts";

/** Options of training that tables name, and what they are where a run says nothing. */
const EXTRAS = { decoys: 0, flanks: 0 } as const;

/** What a run came to; null while it is not done. */
async function outcomeOf(folder: string): Promise<GridOutcome | null> {
  const read = async (file: string) => JSON.parse(await readFile(join(folder, file), "utf8")) as unknown;
  const { status, seed } = (await read("run.json")) as { status: string; seed: number };
  if (status !== "done") return null;
  const result = (await read("result.json")) as TrainBaselineResult | TrainProteinResult;
  return "name" in result ? baselineOutcome(result, seed) : networkOutcome(result);
}

function qualityOf({
  rows,
  accuracy,
  macroF1,
  weightedF1,
  top3,
  calibrationError,
}: GridQuality): GridQuality {
  return { rows, accuracy, macroF1, weightedF1, top3, calibrationError };
}

function networkOutcome(result: TrainProteinResult): GridOutcome {
  const { data, settings } = result.config;
  const options = Object.entries(EXTRAS).flatMap(([name, usual]) => {
    const value = settings[name as keyof typeof EXTRAS];
    return value === usual ? [] : [`--${name}=${value}`];
  });
  return {
    model: settings.model,
    split: data.split,
    seed: settings.seed,
    status: "done",
    test: qualityOf(result.test!),
    validationMacroF1: result.validation?.macroF1 ?? null,
    sequences: result.sequences,
    families: result.families.length,
    parameters: result.parameters,
    epochs: result.epochs,
    bestEpoch: result.bestEpoch,
    trainSeconds: result.trainSeconds,
    sequencesPerSecond: result.sequencesPerSecond,
    seconds: result.trainSeconds,
    device: settings.device,
    cap: data.cap,
    options,
  };
}

function baselineOutcome(result: TrainBaselineResult, seed: number): GridOutcome {
  const { name, test, data, seconds } = result;
  // Scores that count shared k-mers are no probabilities.
  const calibrationError = name.startsWith("nearest") ? null : test.calibrationError;
  return {
    model: name,
    split: data.split,
    seed,
    status: "done",
    test: qualityOf({ ...test, calibrationError }),
    sequences: result.sequences,
    families: result.families.length,
    parameters: result.parameters,
    seconds,
    device: "cpu",
    cap: data.cap,
  };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { out: { type: "string" }, commit: { type: "string" } },
});
const [runs] = positionals;
if (runs === undefined) throw new Error("give the folder that holds the runs, got none");
const folders = (await readdir(runs, { withFileTypes: true })).filter((entry) => entry.isDirectory());
const outcomes = await Promise.all(
  folders.map(async ({ name }) => ({ name, outcome: await outcomeOf(join(runs, name)).catch(() => null) })),
);
const done = outcomes.flatMap(({ outcome }) => outcome ?? []);
const missing = outcomes.flatMap(({ name, outcome }) => (outcome ? [] : [name]));
const file: GridFile = {
  bench: "protein grid",
  machine: benchMachine(values.commit),
  gpu: done.some(({ device }) => device === "cuda") ? await describeGpu() : null,
  runs: done,
};
for (const line of gridTable([file])) console.log(line);
if (missing.length > 0) console.log(`not done: ${missing.join(", ")}`);
if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(file, null, 1)}\n`);
