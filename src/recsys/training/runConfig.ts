/**
 * @file The configuration of a training run as its folder keeps it, and what may differ when a run goes on.
 */
import { isDeepStrictEqual } from "node:util";
import type { PrepareOptions } from "../data/encode/prepareDataset.ts";
import type { SourceOptions } from "../data/source/source.ts";
import { ParetoError } from "../../base/errors.ts";
import type { RequestedSettings, TrainingSettings } from "./settings.ts";

/** All that decides a run: what is read, how it is encoded, how it is trained. */
export interface RunConfig {
  source: Pick<SourceOptions, "paths" | "sql" | "format" | "onBadRow">;
  prepare: PrepareOptions;
  settings: TrainingSettings;
}

/** A configuration as it is asked for: the batch size may be left to the data. */
export type RequestedConfig = Omit<RunConfig, "settings"> & { settings: RequestedSettings };

/** Parts of a configuration that were said anew when a run was resumed. */
export interface ConfigChanges {
  source?: Partial<RunConfig["source"]>;
  prepare?: Partial<PrepareOptions>;
  settings?: Partial<RequestedSettings>;
}

/** Where rows are and how many threads work changes no result, or no more than the order of training. */
const MAY_CHANGE: ReadonlySet<string> = new Set<keyof TrainingSettings>([
  "threads",
  "device",
  "placement",
  "precision",
  "strategy",
  "hotBudgetBytes",
  "sampleRate",
  "hotPolicy",
  "scheduler",
  "shuffleRate",
]);

/**
 * The configuration that a resumed run goes on with.
 * @throws ParetoError `RESUME_CONFIG` when something was said that would make it another run
 */
export function resumedConfig(stored: RunConfig, changes: ConfigChanges): RunConfig {
  for (const section of ["source", "prepare", "settings"] as const) {
    for (const [name, value] of Object.entries(changes[section] ?? {})) {
      const before = (stored[section] as Record<string, unknown>)[name];
      if (isDeepStrictEqual(before, value) || (section === "settings" && MAY_CHANGE.has(name))) continue;
      throw new ParetoError({
        code: "RESUME_CONFIG",
        where: name,
        message: `a resumed run keeps its configuration: ${name} was ${JSON.stringify(before)}, got ${JSON.stringify(value)}`,
        fix: "Leave the option out, or start a new run with --out. Threads, device, placement, precision, strategy and the FAE options may change.",
      });
    }
  }
  return { ...stored, settings: { ...stored.settings, ...(changes.settings as Partial<TrainingSettings>) } };
}
