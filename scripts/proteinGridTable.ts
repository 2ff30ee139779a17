/** @file How the outcomes of protein grids read: a line for each model and split, seeds taken together. */
import type { GridFile, GridOutcome, GridRun } from "./proteinGridFile.ts";

const HEAD = [
  "set",
  "split",
  "model",
  "parameters",
  "macro-F1",
  "accuracy",
  "weighted F1",
  "top-3",
  "calibration error",
  "epochs",
  "seconds",
  "seeds",
];

/** The models as a reader knows them, in the order of the table. */
const NAMES: Record<GridRun["model"], string> = {
  profamnet: "ProFamNet",
  cnn: "CNN alone",
  bilstm: "BiLSTM alone",
  larger: "larger rival",
  logistic: "3-mer logistic",
  "naive-bayes": "3-mer naive Bayes",
  "naive-bayes-tuned": "3-mer naive Bayes, tuned",
  "nearest-containment": "1-NN, 4-mer containment",
  "nearest-larger": "1-NN, share of the larger",
};
const MODELS = Object.keys(NAMES);
const SPLITS = ["random", "species", "cluster"];

/** Options that a table tells elsewhere, or that change no result. */
const TOLD: ReadonlySet<string> = new Set([
  "model",
  "split",
  "seed",
  "min-family",
  "cap",
  "device",
  "threads",
]);

/** The options of training that were said beside those of the grid, as `decoys 0.125, flanks 0.5`; of plain runs none. */
function extrasOf({ options = [] }: GridOutcome): string {
  return options
    .join(" ")
    .split(/(?:^| )--/)
    .map((option) => option.trim().replace("=", " "))
    .filter((option) => option !== "" && !TOLD.has(option.split(" ")[0]!))
    .sort()
    .join(", ");
}

/** Runs that are equal but for their seed. */
const keyOf = (run: GridOutcome) => {
  const { cap, model, split, families } = run;
  return JSON.stringify([cap, split, model, families, extrasOf(run)]);
};

/** Outcomes of all files that came to their end; of runs that several files hold, the newest. */
function newest(files: readonly GridFile[]): GridOutcome[] {
  const found = new Map<string, GridOutcome>();
  const byDate = files.toSorted((a, b) => a.machine.date.localeCompare(b.machine.date));
  for (const run of byDate.flatMap(({ runs }) => runs)) {
    if (run.status === "done") found.set(`${keyOf(run)} ${run.seed}`, run);
  }
  return [...found.values()];
}

/** Lines of a Markdown table; none without a finished run. Figures are means over the seeds, with the range of F1. */
export function gridTable(files: readonly GridFile[]): string[] {
  const groups = Map.groupBy(newest(files), keyOf);
  if (groups.size === 0) return [];
  const place = ([first]: readonly GridOutcome[]) =>
    // Capped sets first, then by split, then by model, with no further options first.
    (first!.cap === null ? 1e6 : 0) +
    1000 * SPLITS.indexOf(first!.split) +
    10 * MODELS.indexOf(first!.model) +
    (extrasOf(first!) === "" ? 0 : 1);
  const rows = [...groups.values()].sort((a, b) => place(a) - place(b)).map(rowOf);
  return [HEAD, HEAD.map((_, i) => (i < 3 ? "---" : "--:")), ...rows].map(
    (cells) => `| ${cells.join(" | ")} |`,
  );
}

function rowOf(runs: readonly GridOutcome[]): string[] {
  const first = runs[0]!;
  const quality = runs.map(({ test }) => test!);
  const f1 = quality.map(({ macroF1 }) => macroF1);
  const range = runs.length === 1 ? "" : ` (${Math.min(...f1).toFixed(4)} to ${Math.max(...f1).toFixed(4)})`;
  return [
    first.cap === null ? "all" : `≤ ${first.cap.toLocaleString("en-US")} a family`,
    first.split,
    [NAMES[first.model], extrasOf(first)].filter((text) => text !== "").join(", "),
    first.parameters?.toLocaleString("en-US") ?? "–",
    `${mean(f1)}${range}`,
    mean(quality.map(({ accuracy }) => accuracy)),
    mean(quality.map(({ weightedF1 }) => weightedF1)),
    mean(quality.map(({ top3 }) => top3)),
    mean(quality.map(({ calibrationError }) => calibrationError)),
    mean(
      runs.map(({ epochs }) => epochs ?? null),
      0,
    ),
    mean(
      runs.map(({ trainSeconds, seconds }) => trainSeconds ?? seconds),
      0,
    ),
    runs
      .map(({ seed }) => seed)
      .sort((a, b) => a - b)
      .join(", "),
  ];
}

function mean(values: readonly (number | null)[], digits = 4): string {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return "–";
  return (known.reduce((a, b) => a + b, 0) / known.length).toFixed(digits);
}

/** What ProFamNet's macro-F1 should be at least, its mean over seeds, trained without further options. */
const TARGETS = [
  { cap: 1000, split: "random", least: 0.955 },
  { cap: 1000, split: "cluster", least: 0.82 },
  { cap: null, split: "random", least: 0.983 },
] as const;

/** Lines of a Markdown list: each target, and how it stands. */
export function gridTargets(files: readonly GridFile[]): string[] {
  const outcomes = newest(files);
  return TARGETS.map(({ cap, split, least }) => {
    const runs = outcomes.filter(
      (run) => run.model === "profamnet" && run.cap === cap && run.split === split && extrasOf(run) === "",
    );
    const found = mean(runs.map(({ test }) => test!.macroF1));
    const state =
      runs.length === 0 ? "not measured yet" : `${found}, ${Number(found) >= least ? "met" : "missed"}`;
    return `- ProFamNet, ${setName(cap)}, ${split} split, macro-F1 ≥ ${least}: ${state}`;
  });
}

const setName = (cap: number | null): string =>
  cap === null ? "all sequences" : `at most ${cap.toLocaleString("en-US")} of a family`;
