/** @file Which checkpoint of a run holds the model that it made, also while the run goes on. */
import { join } from "node:path";
import { ParetoError } from "../base/errors.ts";
import { fileExists } from "../base/files.ts";
import { CHECKPOINT_FILE } from "./checkpoint.ts";
import { workUnderWayIn, type RunFolder } from "./runFolder.ts";
import { BEST, LAST } from "./trainer.ts";

/**
 * The folder of a run's best checkpoint, or of its last where none is best yet, as in runs of one epoch.
 * @throws ParetoError CHECKPOINT_MISSING
 */
export async function keptCheckpoint(folder: RunFolder): Promise<string> {
  for (const name of [BEST, LAST]) {
    const checkpoint = join(folder.file("checkpoints"), name);
    // A folder whose first checkpoint is still being written lacks the file that is written last.
    if (await fileExists(join(checkpoint, CHECKPOINT_FILE))) return checkpoint;
  }
  const work = workUnderWayIn(folder.path);
  throw new ParetoError({
    code: "CHECKPOINT_MISSING",
    where: folder.path,
    message: `${work ? `${work} and` : "the run"} has saved no checkpoint yet, got ${folder.path}`,
    fix: work
      ? "Wait until its first epoch has ended."
      : `Go on with it: pareto ${folder.record.command} --resume ${folder.path}`,
  });
}
