/** @file The configuration of a protein run as its folder keeps it, and what may differ when a run goes on. */
import { isDeepStrictEqual } from "node:util";
import { ParetoError } from "../../base/errors.ts";
import type { SplitName } from "../splits/split.ts";
import type { ProteinSettings } from "./settings.ts";

/** What is read and how it is divided. */
export interface ProteinData {
  /** FASTA files and folders of them. */
  paths: string[];
  familyFrom: "file" | "header";
  /** Smaller families are left out. */
  minimum: number;
  /** At most so many sequences of a family; null for all. */
  cap: number | null;
  split: SplitName;
  /** Whether validation and test keep no sequence whose protein stands in an earlier part. */
  strict: boolean;
  /** Of the draw under `cap` and of the split. */
  dataSeed: number;
}

/** All that decides a run. */
export interface ProteinConfig {
  data: ProteinData;
  settings: ProteinSettings;
}

/** Parts of a configuration that were said anew when a run was resumed. */
export interface ProteinChanges {
  data?: Partial<ProteinData>;
  settings?: Partial<ProteinSettings>;
}

/** What changes no result, or rounding and which elements are dropped. */
const MAY_CHANGE: ReadonlySet<string> = new Set<keyof ProteinSettings>(["threads", "device", "precision"]);

/**
 * The configuration that a resumed run goes on with.
 * @throws ParetoError `RESUME_CONFIG` when something was said that would make it another run
 */
export function resumedProteinConfig(stored: ProteinConfig, changes: ProteinChanges): ProteinConfig {
  for (const section of ["data", "settings"] as const) {
    for (const [name, value] of Object.entries(changes[section] ?? {})) {
      const before = (stored[section] as unknown as Record<string, unknown>)[name];
      if (isDeepStrictEqual(before, value) || MAY_CHANGE.has(name)) continue;
      throw new ParetoError({
        code: "RESUME_CONFIG",
        where: name,
        message: `a resumed run keeps its configuration: ${name} was ${JSON.stringify(before)}, got ${JSON.stringify(value)}`,
        fix: "Leave the option out, or start a new run with --out. Threads, device and precision may change.",
      });
    }
  }
  return {
    data: { ...stored.data, ...changes.data },
    settings: { ...stored.settings, ...changes.settings },
  };
}
