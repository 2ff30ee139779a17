/** @file The options of every command that trains: the run's folder, or one to continue, and a limit of time. */
import { ParetoError } from "../../base/errors.ts";
import { decimal } from "../../base/optionSchemas.ts";
import { option, text, type Values } from "./spec.ts";

/**
 * The options.
 * @param folder how a folder without a name is called @param mayChange what may differ when a run is continued
 */
export function trainingRunOptions(folder: string, mayChange: string) {
  return {
    out: option("dir", text, {
      meaning: "Folder of the run, new or empty",
      defaultText: folder,
      writes: "folder",
    }),
    resume: option("dir", text, {
      meaning: `Continue the run in this folder; ${mayChange} may change`,
      defaultText: "a new run",
    }),
    maxMinutes: option("n", decimal({ above: 0 }), {
      meaning:
        "Most time for training; what depends on its length, such as the fall of the learning rate, is shortened",
      unit: "minutes",
      defaultText: "no limit",
    }),
  };
}

/** Values of {@link trainingRunOptions}. */
type TrainingRunValues = Values<ReturnType<typeof trainingRunOptions>>;

/** The limit of time, as training takes it. */
export function timeLimit({ maxMinutes }: Pick<TrainingRunValues, "maxMinutes">): { maxMinutes?: number } {
  return maxMinutes === undefined ? {} : { maxMinutes };
}

/** @throws ParetoError `CLI_OPTION` for a folder of its own beside that of the run to continue */
export function requireOneFolder({ out, resume }: Pick<TrainingRunValues, "out" | "resume">): void {
  if (out === undefined || resume === undefined) return;
  throw new ParetoError({
    code: "CLI_OPTION",
    where: "--out",
    message: `a resumed run stays in its folder, got --out ${out}`,
    fix: "Leave --out out.",
  });
}
