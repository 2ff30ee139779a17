/**
 * @file The k-mer models on one split of a set, in one process: `node bench/proteinBaselines.ts SPLIT SEED CAP|all
 * MINIMUM SOURCE…`. It reads and divides as `pareto protein train` does; prints one line of JSON, a list of outcomes.
 */
import { readFamilies } from "../src/protein/families/families.ts";
import { BASELINE_NAMES, measureBaseline } from "../src/protein/kmer/baselines.ts";
import { split as divide, type SplitName } from "../src/protein/splits/split.ts";
import type { GridOutcome } from "./protein/gridPlan.ts";

const [split, seedText, capText, minimum, ...paths] = process.argv.slice(2) as [SplitName, ...string[]];
const seed = Number(seedText);
const cap = capText === "all" ? null : Number(capText);
const { set } = await readFamilies(paths, {
  familyFrom: "file",
  minimum: Number(minimum),
  ...(cap !== null && { cap }),
  seed,
});
const parts = divide(set, split, seed);
const outcomes = BASELINE_NAMES.map((model): GridOutcome => {
  const { test, parameters, seconds } = measureBaseline(model, set, parts, seed);
  const { rows, accuracy, macroF1, weightedF1, top3, calibrationError } = test;
  // Scores that count shared k-mers are no probabilities.
  const calibration = model.startsWith("nearest") ? null : calibrationError;
  return {
    model,
    split,
    seed,
    status: "done",
    test: { rows, accuracy, macroF1, weightedF1, top3, calibrationError: calibration },
    sequences: { train: parts.train.length, validation: parts.validation.length, test: rows },
    families: set.families.length,
    parameters,
    seconds,
    device: "cpu",
    cap,
  };
});
console.log(JSON.stringify(outcomes));
