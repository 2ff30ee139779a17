/** @file A k-mer baseline on the sequences and the split of a training run, for an honest comparison. */
import type { OnEvent } from "../../run/events.ts";
import { createRunFolder, requireNewFolder } from "../../run/runFolder.ts";
import type { FamilyReport } from "../families/families.ts";
import { measureBaseline, type BaselineName, type BaselineResult } from "../kmer/baselines.ts";
import type { SequenceSplit } from "../splits/split.ts";
import type { ProteinData } from "./proteinConfig.ts";
import { readProteinData } from "./readProteinData.ts";

/** What a baseline came to. */
export interface TrainBaselineResult extends BaselineResult {
  /** The run's folder. */
  run: string;
  families: string[];
  sequences: { train: number; validation: number; test: number };
  data: ProteinData;
}

/**
 * Trains a baseline and tests it; the folder holds `run.json` and `result.json`.
 * @throws ParetoError `RUN_EXISTS`, and what reading families throws
 */
export async function trainBaseline(options: {
  directory: string;
  name: BaselineName;
  data: ProteinData;
  seed: number;
  onEvent: OnEvent;
  onRead: (report: FamilyReport, split: SequenceSplit) => void;
}): Promise<TrainBaselineResult> {
  const { directory, name, data, seed, onEvent, onRead } = options;
  await requireNewFolder(directory);
  const { set, report, parts } = await readProteinData(data, onEvent);
  onRead(report, parts);
  const folder = await createRunFolder(directory, {
    command: "protein train",
    config: { baseline: name, data: { ...data } },
    seed,
  });
  try {
    const measured = measureBaseline(name, set, parts, seed);
    const { train, validation, test } = parts;
    const sequences = { train: train.length, validation: validation.length, test: test.length };
    const result = { ...measured, run: folder.path, families: set.families, sequences, data };
    await folder.writeResult(result);
    await folder.setStatus("done");
    return result;
  } catch (error) {
    await folder.setStatus("failed").catch(() => undefined);
    throw error;
  }
}
