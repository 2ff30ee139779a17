/** @file The processes of a protein grid: `pareto protein train` as users run it, and the k-mer models. */
import { spawn } from "node:child_process";
import { cp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TrainProteinResult } from "../../src/protein/training/trainProtein.ts";
import type { SplitName } from "../../src/protein/splits/split.ts";
import type { GridOutcome, GridRun } from "./gridPlan.ts";

/** What all runs of a grid have in common. */
export interface GridSettings {
  sources: readonly string[];
  cap: number | null;
  minimum: number;
  device: "cpu" | "cuda";
  /** Threads of each run. */
  threads: number;
  /** Further options of `pareto protein train`. */
  options: readonly string[];
  /** A folder of its own, for the runs. */
  folder: string;
  /** Keeps each run's saved model in a folder here, called MODEL-SPLIT-SEED; null keeps none. */
  models: string | null;
  /** Ends what still runs. */
  signal: AbortSignal;
}

interface Ended {
  /** Null when the process was ended by a signal. */
  status: number | null;
  stdout: string;
  stderr: string;
  seconds: number;
}

const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const KMERS = fileURLToPath(new URL("../proteinBaselines.ts", import.meta.url));

/** Trains and tests a network. Never throws: what fails is told in the outcome. */
export async function trainRun(run: GridRun, settings: GridSettings): Promise<GridOutcome> {
  const { model, split, seed } = run;
  const { sources, cap, minimum, device, threads, folder, models, signal } = settings;
  const name = `${model}-${split}-${seed}`;
  const out = join(folder, name);
  const options = [
    `--model=${model}`,
    `--split=${split}`,
    `--seed=${seed}`,
    `--min-family=${minimum}`,
    ...(cap === null ? [] : [`--cap=${cap}`]),
    `--device=${device}`,
    `--threads=${threads}`,
    ...settings.options,
  ];
  const command = [CLI, "protein", "train", ...sources, ...options, "--out", out, "--quiet"];
  const ended = await endOf(command, signal);
  const base = { ...run, seconds: ended.seconds, device, cap, options };
  try {
    const text = await readFile(join(out, "result.json"), "utf8");
    const { test, validation, ...result } = JSON.parse(text) as TrainProteinResult;
    if (!test) return { ...base, status: "failed", error: reasonOf(ended) };
    if (models !== null) await cp(result.model!, join(models, name), { recursive: true });
    const { rows, accuracy, macroF1, weightedF1, top3, calibrationError } = test;
    return {
      ...base,
      status: "done",
      test: { rows, accuracy, macroF1, weightedF1, top3, calibrationError },
      validationMacroF1: validation?.macroF1 ?? null,
      sequences: result.sequences,
      families: result.families.length,
      parameters: result.parameters,
      epochs: result.epochs,
      bestEpoch: result.bestEpoch,
      trainSeconds: result.trainSeconds,
      sequencesPerSecond: result.sequencesPerSecond,
    };
  } catch (error) {
    return { ...base, status: "failed", error: ended.status === 0 ? String(error) : reasonOf(ended) };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** Trains and tests the k-mer models on a split. Never throws. */
export async function baselineRuns(
  split: SplitName,
  seed: number,
  { sources, cap, minimum, signal }: GridSettings,
): Promise<GridOutcome[]> {
  const options = [split, String(seed), String(cap ?? "all"), String(minimum)];
  const ended = await endOf([KMERS, ...options, ...sources], signal);
  try {
    if (ended.status !== 0) throw new Error(reasonOf(ended));
    return JSON.parse(ended.stdout.trim().split("\n").at(-1)!) as GridOutcome[];
  } catch (error) {
    const base = { split, seed, seconds: ended.seconds, device: "cpu", cap } as const;
    return [{ ...base, model: "logistic", status: "failed", error: (error as Error).message }];
  }
}

/** Runs a program to its end. */
async function endOf(command: readonly string[], signal: AbortSignal): Promise<Ended> {
  const start = performance.now();
  const child = spawn(process.execPath, command, {
    stdio: ["ignore", "pipe", "pipe"],
    signal,
    killSignal: "SIGKILL",
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const status = await new Promise<number | null>((resolve) => {
    child.on("close", resolve);
    child.on("error", (error) => {
      stderr += `${error.message}\n`;
    });
  });
  return { status, stdout, stderr, seconds: (performance.now() - start) / 1000 };
}

/** What a failed process said last. */
function reasonOf({ status, stderr }: Ended): string {
  const lines = stderr.trim().split("\n").slice(-4).join(" ").slice(-600);
  return `${status === null ? "ended by a signal" : `exit status ${status}`}: ${lines}`;
}
