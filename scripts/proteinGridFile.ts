/** @file A grid of protein runs (models × splits × seeds) as `bench/results/protein-grid-*.json` holds it. */
import type { BenchMachine } from "../bench/harness/machine.ts";
import type { BaselineName } from "../src/protein/kmer/baselines.ts";
import type { ProteinModelName } from "../src/protein/models/models.ts";
import type { SplitName } from "../src/protein/splits/split.ts";

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

/** The content of a file. */
export interface GridFile {
  bench: "protein grid";
  machine: BenchMachine;
  gpu: { name: string; driver: string } | null;
  runs: GridOutcome[];
}
