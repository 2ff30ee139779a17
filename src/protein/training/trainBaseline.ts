/** @file A k-mer baseline on the sequences and the split of a training run, for an honest comparison. */
import type { OnEvent } from "../../run/events.ts";
import { recordRun } from "../../run/recordRun.ts";
import { measureBaseline, type BaselineName, type BaselineResult } from "../kmer/baselines.ts";
import type { ProteinData } from "./proteinConfig.ts";
import { readProteinData } from "./readProteinData.ts";
import type { OnRead } from "./trainProtein.ts";

/** What a baseline came to. */
export interface TrainBaselineResult extends BaselineResult {
  /** The run's folder. */
  run: string;
  families: string[];
  sequences: { train: number; validation: number; test: number };
  data: ProteinData;
}

/**
 * Trains a baseline and tests it, in a run folder without a model.
 * @throws ParetoError `RUN_EXISTS`, and what reading families throws
 */
export async function trainBaseline(options: {
  directory: string;
  name: BaselineName;
  data: ProteinData;
  seed: number;
  onEvent?: OnEvent;
  onRead?: OnRead;
}): Promise<TrainBaselineResult> {
  const { directory, name, data, seed, onEvent, onRead } = options;
  return recordRun(
    {
      directory,
      async prepare(context) {
        const { set, report, parts } = await readProteinData(data, context.onEvent);
        onRead?.(report, parts);
        return { set, parts };
      },
      start: () => ({ command: "protein train", config: { baseline: name, data: { ...data } }, seed }),
      async work({ set, parts }, context, folder) {
        const measured = await context.span("train", async () => measureBaseline(name, set, parts, seed));
        const { train, validation, test } = parts;
        const sequences = { train: train.length, validation: validation.length, test: test.length };
        const { logLoss, accuracy, macroF1 } = measured.test;
        const { seconds } = measured;
        const figures = { epoch: 1, step: 0, seconds, logLoss, accuracy, macroF1 };
        context.onEvent({ event: "metrics", part: "test", ...figures });
        return { ...measured, run: folder.path, families: set.families, sequences, data };
      },
    },
    onEvent ? { onEvent } : {},
  );
}
