/** @file The report of runs, from their folders alone: which domain describes it is told by the command of `run.json`. */
import { join } from "node:path";
import { ParetoError } from "../base/errors.ts";
import type { Page } from "../report/page.ts";
import { readRun, type RunFiles } from "../run/readRun.ts";
import type { Output } from "./output.ts";

/** Reports by the command that made the runs, loaded when they are asked for. */
const reports: Readonly<Record<string, (runs: RunFiles[]) => Promise<Page>>> = {
  "recsys train": async (runs) => (await import("../recsys/report.ts")).clickReport(runs),
  "recsys compare": async (runs) =>
    (await import("../recsys/compare/comparisonReport.ts")).comparisonReport(only(runs)),
  "llm train": async (runs) => (await import("../llm/training/report.ts")).lmReport(runs),
  "llm evaluate": async (runs) => (await import("../llm/eval/report.ts")).evaluationReport(only(runs)),
  "protein train": async (runs) => (await import("../protein/report.ts")).proteinReport(runs),
};

/** The one run of a report that compares none. @throws ParetoError `CLI_OPTION` */
function only(runs: readonly RunFiles[]): RunFiles {
  if (runs.length === 1) return runs[0]!;
  const { command } = runs[0]!.record;
  throw new ParetoError({
    code: "CLI_OPTION",
    where: "run",
    message: `the report of pareto ${command} is of one run, got ${runs.length}`,
    fix: "Give one folder.",
  });
}

/**
 * The page of a run, or of several of one command side by side.
 * @param folders of the runs, at least one
 * @throws ParetoError `RUN_MISSING`, `RUN_INVALID`, `RUN_VERSION`, `FILE_REFUSED`; `CLI_OPTION` for runs of several
 *   commands and for those of a command without a report
 */
export async function pageOfRuns(folders: readonly string[]): Promise<Page> {
  const runs = await Promise.all(folders.map((folder) => readRun(folder)));
  const { command } = runs[0]!.record;
  const other = runs.find(({ record }) => record.command !== command);
  if (other) {
    throw new ParetoError({
      code: "CLI_OPTION",
      where: other.path,
      message: `one report is of runs of one command, pareto ${command}, got one of pareto ${other.record.command}`,
      fix: "Make a report of each.",
    });
  }
  if (!Object.hasOwn(reports, command)) {
    throw new ParetoError({
      code: "CLI_OPTION",
      where: runs[0]!.path,
      message: `there is a report of runs of: ${Object.keys(reports).join(", ")}; got one of pareto ${command}`,
      fix: "Give the folder of such a run.",
    });
  }
  return reports[command]!(runs);
}

/**
 * Writes `report.html` into the folder of a run that has ended. What the run made is there already: a report that cannot
 * be written is a warning.
 */
export async function reportRun(out: Output, folder: string): Promise<void> {
  const file = join(folder, "report.html");
  try {
    const { writePage } = await import("../report/writePage.ts");
    await writePage(file, await pageOfRuns([folder]));
    out.result(`report  ${file}`);
  } catch (error) {
    if (!(error instanceof ParetoError)) throw error;
    const { code, message, fix } = error;
    out.onEvent({ event: "notice", level: "warning", code, message: `${message}. ${fix}` });
  }
}
