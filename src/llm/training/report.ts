/** @file The report of language models' training: what the page shows of runs. */
import { z } from "zod";
import {
  formatBytes,
  formatCount,
  formatFixed,
  formatSeconds,
  formatShare,
  UNKNOWN,
} from "../../base/format.ts";
import { namedRuns } from "../../report/namedRun.ts";
import type { Page, Section } from "../../report/page.ts";
import {
  decisionsSection,
  learningSection,
  resultSection,
  settingsSection,
  timeSection,
  warningsSection,
  type Scalar,
} from "../../report/runSections.ts";
import { METRICS, METRIC_NAMES } from "../../run/metrics/metricNames.ts";
import { resultOf, type RunFiles } from "../../run/readRun.ts";
import { storedConfig } from "../../run/storedConfig.ts";
import { lmConfig, type LmConfig } from "./lmConfig.ts";
import type { TrainLmResult } from "./lmResult.ts";

type Result = TrainLmResult | null;

/** JSON has null for a figure that is not finite. */
const figure = z.number().nullable();
const count = z.number();

/** What the report reads of a result. */
const resultSchema = z.looseObject({
  validation: z
    .looseObject({
      loss: figure,
      accuracy: figure,
      groups: z.array(z.object({ name: z.string(), loss: figure, accuracy: figure, right: figure })),
    })
    .nullable(),
  // Missing in results of before it could be chosen.
  monitor: z.enum(METRIC_NAMES).default("logLoss"),
  bestStep: count.nullable(),
  parameters: count,
  vocabulary: count,
  steps: count,
  tokens: count,
  tokensPerSecond: figure,
  trainSeconds: count,
}) as unknown as z.ZodType<TrainLmResult>;

const configOf = (run: RunFiles): LmConfig => storedConfig("llm train", lmConfig, run);

/** Bytes of a saved weight. */
const WEIGHT_BYTES = 2;

/** The page of runs. */
export function lmReport(files: readonly RunFiles[]): Page {
  const runs = namedRuns(files, (run) => configOf(run).recipe.name);
  const results = files.map((run) => resultOf(resultSchema, run));
  const [first] = results;
  return {
    title: runs.map(({ name }) => name).join(", "),
    subtitle: first
      ? `a language model of ${formatCount(first.parameters)} parameters, ${formatCount(first.tokens)} tokens of training`
      : "a language model, not finished",
    sections: [
      resultSection(runs, resultRows(results)),
      warningsSection(runs),
      learningSection(runs, ["logLoss", "accuracy"]),
      groupsSection(first ?? null),
      timeSection(runs),
      decisionsSection(runs),
      settingsSection(runs, files.map(settingsOf)),
    ],
  };
}

function resultRows(results: readonly Result[]): [string, ...string[]][] {
  const row = (name: string, cell: (result: TrainLmResult) => string): [string, ...string[]] => [
    name,
    ...results.map((result) => (result ? cell(result) : "–")),
  ];
  return [
    row("Log loss a token (validation)", ({ validation }) => formatFixed(validation?.loss)),
    row("Perplexity", ({ validation }) => formatFixed(validation && Math.exp(validation.loss), 3)),
    row("Tokens right", ({ validation }) => formatShare(validation?.accuracy)),
    row("Parameters", ({ parameters }) => formatCount(parameters)),
    row("Bytes of weights", ({ parameters }) => formatBytes(WEIGHT_BYTES * parameters)),
    row("Vocabulary", ({ vocabulary }) => formatCount(vocabulary)),
    row("Steps", ({ steps }) => formatCount(steps)),
    row("Weights of step", ({ bestStep, monitor }) =>
      bestStep === null ? UNKNOWN : `${formatCount(bestStep)}, best by ${METRICS[monitor].label}`,
    ),
    row("Training", ({ trainSeconds }) => formatSeconds(trainSeconds)),
    row("Tokens a second", ({ tokensPerSecond }) => formatCount(tokensPerSecond)),
  ];
}

function groupsSection(result: Result): Section {
  const rows = (result?.validation?.groups ?? []).map(({ name, right, accuracy, loss }) => [
    name,
    formatShare(right),
    formatShare(accuracy),
    formatFixed(loss),
  ]);
  const head = ["Validation texts", "Texts all right", "Tokens right", "Log loss a token"];
  return {
    title: "Quality by kind of text",
    blocks: rows.length > 0 ? [{ kind: "table", table: { head, rows } }] : [],
  };
}

/** The recipe's numbers, and what it ran on. */
function settingsOf(run: RunFiles): Record<string, Scalar> {
  const { recipe, paths, ...others } = configOf(run);
  const { optimizer, stages, validation, dropout, seed } = recipe;
  return {
    texts: recipe.data.kind === "tasks" ? "synthetic tasks" : paths.join(", "),
    stages: stages
      .map(({ length, batchSize, steps }) => `${steps} steps of ${batchSize} × ${length} tokens`)
      .join("; "),
    ...optimizer,
    dropout,
    validation: `every ${validation.everySteps} steps, ${validation.texts} texts of ${validation.length} tokens`,
    seed,
    ...others,
  };
}
