/**
 * @file What a comparison trains: strategies and models on one log, each with every seed; and in which order. Pure.
 */
import { z } from "zod";
import { readPolicyText } from "../../run/policies/policyText.ts";
import { mayChange } from "../../run/resumedConfig.ts";
import { clickConfig } from "../training/clickConfig.ts";
import { trainingSettings, type TrainingSettings } from "../training/settings.ts";

/** What is compared, as it was asked for and with every option. */
const choice = z.strictObject({ label: z.string(), text: z.string() });

/** All that decides a comparison, as its folder keeps it. */
export const comparisonConfig = z.strictObject({
  source: clickConfig.shape.source,
  prepare: clickConfig.shape.prepare,
  /** Of every run, save what is compared; its seed is the first. */
  settings: trainingSettings.omit({ model: true, strategy: true }),
  models: z.array(choice).min(1).readonly(),
  strategies: z.array(choice).min(1).readonly(),
  /** Seeds, each one more than that before. A comparison that goes on may have more. */
  seeds: mayChange(z.int().min(1)),
});

/** All that decides a comparison. */
export type ComparisonConfig = z.infer<typeof comparisonConfig>;

/** A comparison as it is asked for: the batch size may be left to the data. */
export type RequestedComparison = Omit<ComparisonConfig, "settings"> & {
  settings: Omit<ComparisonConfig["settings"], "batchSize"> & { batchSize: number | null };
};

/** A row of a comparison: a model under a strategy. */
export interface ComparedEntry {
  /** That of the strategy; with the model's where several are compared. */
  name: string;
  /** With every option. */
  model: string;
  strategy: string;
}

/** A run of a comparison. */
export interface ComparedRun {
  /** Index of its entry. */
  entry: number;
  seed: number;
  /** Relative to the comparison's folder. */
  folder: string;
}

/** The rows, in the order of the tables; the others are compared to the first. */
export function comparedEntries({
  models,
  strategies,
}: Pick<ComparisonConfig, "models" | "strategies">): ComparedEntry[] {
  const [modelNames, strategyNames] = [shortNames(models), shortNames(strategies)];
  return models.flatMap((model, m) =>
    strategies.map((strategy, s) => {
      const names = [
        ...(models.length > 1 ? [modelNames[m]!] : []),
        ...(strategies.length > 1 || models.length === 1 ? [strategyNames[s]!] : []),
      ];
      return { name: names.join(", "), model: model.text, strategy: strategy.text };
    }),
  );
}

/** Names without options; where two have the same, as they were asked for. */
function shortNames(choices: ComparisonConfig["models"]): string[] {
  const names = choices.map(({ text }) => readPolicyText(text, "comparison").name);
  return names.map((name, i) => (names.indexOf(name) === names.lastIndexOf(name) ? name : choices[i]!.label));
}

/**
 * The runs in the order in which they are trained: seed by seed, each seed beginning one entry later than that before, so
 * that a time at which the machine is slow, or cold, meets every entry.
 */
export function comparedRuns({
  settings,
  seeds,
  ...config
}: Pick<ComparisonConfig, "models" | "strategies" | "seeds"> & {
  settings: Pick<TrainingSettings, "seed">;
}): ComparedRun[] {
  const entries = comparedEntries(config);
  return Array.from({ length: seeds }, (_, turn) =>
    entries.map((__, at) => {
      const entry = (at + turn) % entries.length;
      const seed = settings.seed + turn;
      return { entry, seed, folder: `runs/${folderName(entries, entry)}-seed${seed}` };
    }),
  ).flat();
}

/** E.g. `2-dlrm-fae`: short whatever options an entry has. */
function folderName(entries: readonly ComparedEntry[], entry: number): string {
  const { model, strategy } = entries[entry]!;
  const names = [model, strategy].map((text) => readPolicyText(text, "comparison").name);
  return [entry + 1, ...names].join("-");
}
