/** @file Which runs a protein grid holds, the most important first, and what is kept of each. */
import type { BaselineName } from "../../src/protein/kmer/baselines.ts";
import { PROTEIN_MODELS, type ProteinModelName } from "../../src/protein/models/models.ts";
import { SPLIT_NAMES, type SplitName } from "../../src/protein/splits/split.ts";

/** One run. */
export interface GridRun {
  model: ProteinModelName | BaselineName;
  split: SplitName;
  seed: number;
}

/** Quality on the test part. */
export interface GridQuality {
  rows: number;
  accuracy: number;
  macroF1: number;
  weightedF1: number;
  /** Null of models that give no probabilities; the calibration error too. */
  top3: number | null;
  calibrationError: number | null;
}

/** What came of a run. */
export interface GridOutcome extends GridRun {
  status: "done" | "failed";
  /** Why it failed. */
  error?: string;
  test?: GridQuality;
  /** Macro-F1 on the validation part, which the epoch was chosen by. */
  validationMacroF1?: number | null;
  sequences?: { train: number; validation: number; test: number };
  families?: number;
  parameters?: number | null;
  epochs?: number | null;
  bestEpoch?: number | null;
  /** Of training, without reading, validation and checkpoints. */
  trainSeconds?: number;
  sequencesPerSecond?: number | null;
  /** Of the whole process, with others beside it. */
  seconds: number;
  device: "cpu" | "cuda";
  /** At most so many sequences of a family; null for all. */
  cap: number | null;
  /** The command's arguments behind the sources; of a network. */
  options?: string[];
}

/** The content of `bench/results/protein-*.json`. */
export interface GridFile {
  bench: "protein grid";
  machine: {
    cpu: string;
    cores: number;
    memoryBytes: number;
    node: string;
    date: string;
    commit: string | null;
  };
  gpu: { name: string; driver: string } | null;
  /** Runs at a time. */
  jobs: number;
  /** Of all of it. */
  seconds: number;
  /** Runs that were not started in the time given. */
  notRun: GridRun[];
  runs: GridOutcome[];
}

/** Models by what their figures are needed for. */
const ORDER: readonly GridRun["model"][] = ["profamnet", "cnn", "bilstm", "larger"];

/** ProFamNet on every split and seed first, then the others, seed by seed. */
export function gridRuns(seeds: readonly number[]): GridRun[] {
  const [first, ...others] = ORDER;
  const over = (models: readonly GridRun["model"][]) =>
    seeds.flatMap((seed) => models.flatMap((model) => SPLIT_NAMES.map((split) => ({ model, split, seed }))));
  return [...over([first!]), ...over(others)];
}

/** Runs by `MODEL:SPLIT:SEED,…`; `*` stands for all. @throws Error for a name that does not exist */
export function runsNamed(list: string, seeds: readonly number[]): GridRun[] {
  return list.split(",").flatMap((text) => {
    const [model = "", split = "", seed = "", ...rest] = text.trim().split(":");
    const models: GridRun["model"][] =
      model === "*" ? [...ORDER] : PROTEIN_MODELS.filter((name) => name === model);
    const splits = SPLIT_NAMES.filter((name) => split === "*" || name === split);
    const numbers = seed === "*" ? seeds : /^\d+$/.test(seed) ? [Number(seed)] : [];
    if (models.length * splits.length * numbers.length === 0 || rest.length > 0) {
      throw new Error(
        `--only takes MODEL:SPLIT:SEED,… with models ${PROTEIN_MODELS.join(", ")} and splits ${SPLIT_NAMES.join(", ")}, got "${text}"`,
      );
    }
    return numbers.flatMap((seed) =>
      models.flatMap((model) => splits.map((split) => ({ model, split, seed }))),
    );
  });
}
