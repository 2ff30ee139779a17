/** @file The report of protein classifiers' training: what the page shows of runs, networks or k-mer methods. */
import { z } from "zod";
import {
  formatBytes,
  formatCount,
  formatFixed,
  formatSeconds,
  formatShare,
  UNKNOWN,
} from "../base/format.ts";
import { namedRuns } from "../report/namedRun.ts";
import type { Page, Section } from "../report/page.ts";
import {
  decisionsSection,
  learningSection,
  resultSection,
  settingsSection,
  timeSection,
  warningsSection,
  type Scalar,
} from "../report/runSections.ts";
import { METRICS, METRIC_NAMES } from "../run/metrics/metricNames.ts";
import { resultOf, type RunFiles } from "../run/readRun.ts";
import type { TrainBaselineResult } from "./training/trainBaseline.ts";
import type { TrainProteinResult } from "./training/proteinResult.ts";

type Result = TrainProteinResult | TrainBaselineResult | null;

/** JSON has null for a figure that is not finite. */
const figure = z.number().nullable();
const count = z.number();
const data = z.looseObject({ paths: z.array(z.string()), split: z.string() });
const both = {
  families: z.array(z.string()),
  sequences: z.object({ train: count, validation: count, test: count }),
  parameters: count,
  test: z
    .looseObject({
      macroF1: figure,
      weightedF1: figure,
      accuracy: figure,
      top3: figure,
      logLoss: figure,
      calibrationError: figure,
      classes: z.array(z.object({ support: count, precision: figure, recall: figure, f1: figure })),
      confusions: z.array(z.object({ label: count, predicted: count, count, share: figure })),
    })
    .nullable(),
};

/** What the report reads of a result: of a network, or of a k-mer method. */
const resultSchema = z.union([
  z.looseObject({
    ...both,
    threshold: figure,
    weightBytes: count,
    epochs: count,
    // Missing in results of before it could be chosen.
    monitor: z.enum(METRIC_NAMES).default("macroF1"),
    bestEpoch: count.nullable(),
    trainSeconds: count,
    sequencesPerSecond: figure,
    config: z.looseObject({ data, settings: z.looseObject({ model: z.string() }) }),
  }),
  z.looseObject({ ...both, config: z.undefined().optional(), name: z.string(), seconds: count, data }),
]) as unknown as z.ZodType<NonNullable<Result>>;

const dataOf = (result: NonNullable<Result>) => ("config" in result ? result.config.data : result.data);

function nameOf(result: Result): string {
  if (!result) return "run";
  return "config" in result ? result.config.settings.model : result.name;
}

/** The page of runs. Classes are those of the first. */
export function proteinReport(files: readonly RunFiles[]): Page {
  const results = files.map((run) => resultOf(resultSchema, run));
  const runs = namedRuns(files, (_, i) => nameOf(results[i] ?? null));
  const [first] = results;
  const test = first?.test ?? null;
  return {
    title: `${runs.map(({ name }) => name).join(", ")}${first ? `, ${dataOf(first).split} split` : ""}`,
    subtitle: subtitleOf(first ?? null),
    sections: [
      resultSection(runs, resultRows(results)),
      warningsSection(runs),
      learningSection(runs, ["logLoss", "macroF1", "accuracy"]),
      ...(first && test
        ? [confusionsSection(first.families, test), classesSection(first.families, test)]
        : []),
      timeSection(runs),
      decisionsSection(runs),
      settingsSection(runs, results.map(settingsOf)),
    ],
  };
}

function subtitleOf(result: Result): string {
  if (!result) return "not finished";
  const { train, validation, test } = result.sequences;
  return `${formatCount(result.families.length)} families; ${formatCount(train)} training, ${formatCount(validation)} validation and ${formatCount(test)} test sequences`;
}

function resultRows(results: readonly Result[]): [string, ...string[]][] {
  const row = (name: string, cell: (result: NonNullable<Result>) => string): [string, ...string[]] => [
    name,
    ...results.map((result) => (result ? cell(result) : "–")),
  ];
  const network = (result: NonNullable<Result>) => ("config" in result ? result : null);
  return [
    row("Macro-F1 (test)", ({ test }) => formatFixed(test?.macroF1)),
    row("Weighted F1", ({ test }) => formatFixed(test?.weightedF1)),
    row("Accuracy", ({ test }) => formatFixed(test?.accuracy)),
    row("Among the top 3", ({ test }) => formatFixed(test?.top3)),
    row("Log loss", ({ test }) => formatFixed(test?.logLoss)),
    row("Calibration error", ({ test }) => formatFixed(test?.calibrationError)),
    row("Unknown below a probability of", (result) => formatFixed(network(result)?.threshold)),
    row("Parameters", ({ parameters }) => formatCount(parameters)),
    row("Bytes of weights", (result) => formatBytes(network(result)?.weightBytes)),
    row("Epochs", (result) => formatCount(network(result)?.epochs)),
    row("Weights of epoch", (result) => keptEpoch(network(result))),
    row("Training", (result) => formatSeconds("config" in result ? result.trainSeconds : result.seconds)),
    row("Sequences a second", (result) => formatCount(network(result)?.sequencesPerSecond)),
  ];
}

function keptEpoch(result: TrainProteinResult | null): string {
  if (!result || result.bestEpoch === null) return UNKNOWN;
  return `${formatCount(result.bestEpoch)}, best by ${METRICS[result.monitor].label}`;
}

type Test = NonNullable<NonNullable<Result>["test"]>;

const nameOfClass = (families: readonly string[], place: number): string => families[place] ?? UNKNOWN;

function classesSection(families: readonly string[], { classes }: Test): Section {
  const worstFirst = classes
    .map((quality, c) => ({ name: nameOfClass(families, c), ...quality }))
    // What is not defined is null in a file, and comes last.
    .toSorted((a, b) => (a.f1 ?? 2) - (b.f1 ?? 2));
  const rows = worstFirst.map(({ name, support, precision, recall, f1 }) => [
    name,
    formatCount(support),
    formatFixed(precision),
    formatFixed(recall),
    formatFixed(f1),
  ]);
  const head = ["Family, the worst first", "Test sequences", "Precision", "Recall", "F1"];
  return { title: "Quality by family", blocks: [{ kind: "table", table: { head, rows } }] };
}

function confusionsSection(families: readonly string[], { confusions }: Test): Section {
  const rows = confusions.map(({ label, predicted, count, share }) => [
    nameOfClass(families, label),
    nameOfClass(families, predicted),
    formatCount(count),
    formatShare(share),
  ]);
  const head = ["Family", "taken for", "Test sequences", "of the family"];
  return {
    title: "Worst confusions",
    blocks: rows.length > 0 ? [{ kind: "table", table: { head, rows } }] : [],
  };
}

function settingsOf(result: Result): Record<string, Scalar> {
  if (!result) return {};
  const { paths, ...data } = dataOf(result);
  return { ...data, paths: paths.join(", "), ...("config" in result && result.config.settings) };
}
