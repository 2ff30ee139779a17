/** @file The configuration of a protein run, as its folder keeps it. */
import { z } from "zod";
import { SPLIT_NAMES } from "../splits/split.ts";
import { proteinSettings, type ProteinSettings } from "./settings.ts";

/** What is read and how it is divided. */
export const proteinData = z.strictObject({
  /** FASTA files and folders of them. */
  paths: z.array(z.string()),
  familyFrom: z.enum(["file", "header"]),
  /** Smaller families are left out. */
  minimum: z.int().min(1),
  /** At most so many sequences of a family; null for all. */
  cap: z.int().min(1).nullable(),
  split: z.enum(SPLIT_NAMES),
  /** Whether validation and test keep no sequence whose protein stands in an earlier part. */
  strict: z.boolean(),
  /** Of the draw under `cap` and of the split. */
  dataSeed: z.int().min(0),
});

/** What is read and how it is divided. */
export type ProteinData = z.infer<typeof proteinData>;

/** All that decides a run. */
export const proteinConfig = z.strictObject({ data: proteinData, settings: proteinSettings });

/** All that decides a run. */
export type ProteinConfig = z.infer<typeof proteinConfig>;

/**
 * A configuration as it is asked for; without a batch size it gets {@link batchSizeFor} the training part, without a
 * threshold policy the default.
 */
export interface RequestedConfig {
  data: ProteinData;
  settings: Omit<ProteinSettings, "batchSize" | "threshold"> &
    Partial<Pick<ProteinSettings, "batchSize" | "threshold">>;
}
