/** @file The sections of the report, from its data. A section without data is left out. Pure. */
import type { ReportData, ReportRun, RunSummary, Scalar } from "./data.ts";
import {
  formatBytes,
  formatCount,
  formatFixed,
  formatSeconds,
  formatShare,
  UNKNOWN,
} from "../base/format.ts";
import { type Cell, escapeHtml, figure, legend, section, table } from "./html.ts";

const runCells = (runs: readonly ReportRun[]): Cell[] =>
  runs.map((run, index) => ({ text: run.name, swatch: `run-${index % 6}` }));

/** Rows of the headline table: name, value, and whether a run has it. */
const HEADLINE: readonly [string, (summary: RunSummary) => string][] = [
  ["AUC (test)", (s) => formatFixed(s.auc)],
  ["Bayes AUC (best possible)", (s) => formatFixed(s.bayesAuc)],
  ["Macro-F1 (test)", (s) => formatFixed(s.macroF1)],
  ["Weighted F1", (s) => formatFixed(s.weightedF1)],
  ["Log loss", (s) => formatFixed(s.logLoss)],
  ["Accuracy", (s) => formatFixed(s.accuracy)],
  ["Among the top 3", (s) => formatFixed(s.top3)],
  ["Calibration error", (s) => formatFixed(s.calibrationError)],
  ["Parameters", (s) => formatCount(s.parameters)],
  ["Bytes of weights", (s) => formatBytes(s.weightBytes)],
  ["Training", (s) => formatSeconds(s.trainSeconds)],
  ["Samples a second", (s) => formatCount(s.samplesPerSecond)],
  ["Hot inputs", (s) => formatShare(s.hot?.inputShare)],
  ["Hot accesses", (s) => formatShare(s.hot?.accessShare)],
  ["Hot rows", (s) => formatCount(s.hot?.rows)],
  ["Hot bytes", (s) => formatBytes(s.hot?.bytes)],
  ["Synchronisations", (s) => formatCount(s.sync?.count)],
  ["Bytes synchronised", (s) => formatBytes(s.sync?.bytes)],
  ["Time synchronising", (s) => formatSeconds(s.sync?.seconds)],
  ["Peak resident memory", (s) => formatBytes(s.peakRssBytes)],
];

function headline({ runs }: ReportData): string {
  const rows = HEADLINE.map(([name, show]) => [name, ...runs.map((run) => show(run.summary))]).filter((row) =>
    row.slice(1).some((value) => value !== UNKNOWN),
  );
  return section("Result", table(["", ...runCells(runs)], rows, "headline"));
}

function curves({ runs }: ReportData): string {
  const points = runs.flatMap((run) => run.curve);
  if (points.length < 2) return "";
  const figures = [figure("loss-by-step", "Log loss by step"), figure("loss-by-seconds", "Log loss by time")];
  if (points.some((point) => point.auc !== null)) {
    figures.push(figure("auc-by-step", "AUC by step"), figure("auc-by-seconds", "AUC by time"));
  }
  if (points.some((point) => point.macroF1 !== null)) {
    figures.push(figure("f1-by-step", "Macro-F1 by step"), figure("accuracy-by-step", "Accuracy by step"));
  }
  const note = "Bold: validation. Thin: training, smoothed. Diamond: test.";
  return section(
    "Learning",
    legend(runCells(runs)),
    `<div class="grid">${figures.join("")}</div><p class="note">${note}</p>`,
  );
}

function access({ profile }: ReportData): string {
  if (profile === undefined) return "";
  const figures: string[] = [];
  if (profile.skew.length > 1) {
    figures.push(
      figure("skew", "Access skew", "Few rows take most of the accesses; a log scale shows how few."),
    );
  }
  if (profile.budgets.length > 1) {
    figures.push(
      figure(
        "budget",
        "Hot-input share against memory",
        "Solid: inputs that touch hot rows only. Dashed: accesses that go to hot rows.",
      ),
    );
  }
  const parts = figures.length === 0 ? [] : [`<div class="grid">${figures.join("")}</div>`];
  if (profile.budgets.length > 0) {
    parts.push(
      "<details><summary>The numbers by budget</summary>",
      table(
        ["Memory for hot rows", "Hot inputs", "Hot accesses"],
        profile.budgets.map(({ bytes, inputShare, accessShare }) => [
          formatBytes(bytes),
          formatShare(inputShare),
          formatShare(accessShare),
        ]),
        "small",
      ),
      "</details>",
    );
  }
  return parts.length === 0 ? "" : section("What is accessed", ...parts);
}

/** Phases in the order of the key; others follow in the order in which they came. */
const PHASES = ["prepare", "calibrate", "cold", "hot", "sync", "evaluate", "checkpoint"];

/** Seconds of a run in a phase; unknown where it has none. */
function phaseTotal(run: ReportRun, phase: string): string {
  const spans = run.phases.filter((span) => span.phase === phase);
  return spans.length === 0
    ? UNKNOWN
    : formatSeconds(spans.reduce((sum, { start, end }) => sum + end - start, 0));
}

function timeline({ runs }: ReportData): string {
  const timed = runs.filter((run) => run.phases.length > 0);
  if (timed.length === 0) return "";
  const seen = new Set(timed.flatMap((run) => run.phases.map(({ phase }) => phase)));
  const phases = [
    ...PHASES.filter((phase) => seen.has(phase)),
    ...[...seen].filter((p) => !PHASES.includes(p)),
  ];
  const key = phases.map((phase) => ({ text: phase, swatch: PHASES.includes(phase) ? phase : "other" }));
  return section(
    "Where the time went",
    legend(key),
    figure("timeline", "Phases of each run"),
    table(
      ["Seconds in all", ...timed.map((run) => run.name)],
      phases.map((phase) => [phase, ...timed.map((run) => phaseTotal(run, phase))]),
      "small",
    ),
  );
}

function scheduler({ runs }: ReportData): string {
  const points = runs.flatMap((run) => run.rates);
  if (points.length === 0) return "";
  const figures = [figure("rate", "Rate after each round (% of the batches of a class)")];
  if (points.some((point) => point.loss !== null)) {
    figures.push(figure("rate-loss", "Validation log loss it was told"));
  }
  const note = "A falling loss lets the rate grow, so that the runs switch less often; a rise halves it.";
  const body = `<div class="grid">${figures.join("")}</div><p class="note">${note}</p>`;
  const scheduled = runCells(runs).filter((_, index) => runs[index]!.rates.length > 0);
  return section("Shuffle scheduler", legend(scheduled), body);
}

function fields({ profile }: ReportData): string {
  if (profile === undefined || profile.fields.length === 0) return "";
  const rows = profile.fields.map((field) => [
    field.name,
    formatCount(field.rows),
    formatShare(field.missingShare),
    formatShare(field.top1Share),
    formatShare(field.top10Share),
  ]);
  const head = ["Field", "Rows", "Missing", "Top 1 % takes", "Top 10 % takes"];
  return section("Categorical fields", table(head, rows, "small"));
}

function classes({ classes: found = [] }: ReportData): string {
  if (found.length === 0) return "";
  const rows = found
    .toSorted((a, b) => (Number.isNaN(a.f1) ? 2 : a.f1) - (Number.isNaN(b.f1) ? 2 : b.f1))
    .map(({ name, support, precision, recall, f1 }) => [
      name,
      formatCount(support),
      formatFixed(precision),
      formatFixed(recall),
      formatFixed(f1),
    ]);
  const head = ["Class, the worst first", "Test rows", "Precision", "Recall", "F1"];
  return section("Quality by class", table(head, rows, "small"));
}

function confusions({ confusions: found = [] }: ReportData): string {
  if (found.length === 0) return "";
  const rows = found.map(({ label, predicted, count, share }) => [
    label,
    predicted,
    formatCount(count),
    formatShare(share),
  ]);
  const head = ["Class", "taken for", "Test rows", "of the class"];
  return section("Worst confusions", table(head, rows, "small"));
}

const show = (value: Scalar | undefined): string => {
  if (value === undefined || value === null) return UNKNOWN;
  return typeof value === "number" && Math.abs(value) >= 10_000 ? formatCount(value) : String(value);
};

function setting({ runs, environment, createdAt }: ReportData): string {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.config)))];
  const parts: string[] = [];
  if (names.length > 0) {
    const rows = names.map((name) => [name, ...runs.map((run) => show(run.config[name]))]);
    parts.push(table(["Option", ...runs.map((run) => run.name)], rows, "small config"));
  }
  const facts = [
    ["made at", createdAt],
    ...Object.entries(environment).map(([name, value]) => [name, show(value)]),
  ];
  parts.push(table(["Environment", ""], facts, "small config"));
  return section(
    "Config and environment",
    `<div class="grid">${parts.map((part) => `<div>${part}</div>`).join("")}</div>`,
  );
}

function warnings({ runs }: ReportData): string {
  const items = runs.flatMap((run) =>
    run.warnings.map((text) => `<li>${escapeHtml(`${run.name}: ${text}`)}</li>`),
  );
  return items.length === 0 ? "" : section("Warnings", `<ul>${items.join("")}</ul>`);
}

/** The HTML of every section that has data, in order. */
export function reportSections(data: ReportData): string[] {
  return [headline, warnings, curves, access, confusions, classes, timeline, scheduler, fields, setting]
    .map((part) => part(data))
    .filter((html) => html !== "");
}
