/** @file The report of quality by cache budget: a curve with intervals for each policy, and the figures as tables. */
import { z } from "zod";
import { formatBytes, formatCount, UNKNOWN } from "../../base/format.ts";
import type { Axis, Series } from "../../report/chart.ts";
import type { Block, Page, Section } from "../../report/page.ts";
import { settingsSection, timeSection, warningsSection } from "../../report/runSections.ts";
import { seriesColor } from "../../report/style.ts";
import { resultOf, type RunFiles } from "../../run/readRun.ts";
import { storedConfig } from "../../run/storedConfig.ts";
import type { Interval } from "./bootstrap.ts";
import type { EvaluationPoint, EvaluationResult } from "./evaluationResult.ts";

/** Policies in the order in which they come first. */
const policiesOf = ({ points }: EvaluationResult): string[] => [
  ...new Set(points.map(({ policy }) => policy)),
];
const budgetsOf = ({ points }: EvaluationResult): number[] =>
  [...new Set(points.map(({ budget }) => budget!))].sort((a, b) => a - b);

/** A share in percent without decimals that say nothing: `30 %`. */
export const budgetText = (share: number): string => `${Number((100 * share).toFixed(1))} %`;

/** A mean as people read it: a share in percent, a likelihood with three decimals. */
export function shownMean({ measure }: Pick<EvaluationResult, "measure">, value: number): string {
  return measure === "accuracy" ? (100 * value).toFixed(1) : value.toFixed(3);
}

/** What a mean is. */
export const meanUnit = ({ measure }: Pick<EvaluationResult, "measure">): string =>
  measure === "accuracy" ? "right answers, %" : "nats a token";

function withInterval(result: EvaluationResult, { mean, low, high }: Interval): string {
  return `${shownMean(result, mean)} (${shownMean(result, low)} to ${shownMean(result, high)})`;
}

/** What was measured, as a title and a line under it. */
export function evaluationTitle(result: EvaluationResult): Pick<Page, "title" | "subtitle"> {
  const { model, task, measure, items, tokens, decoded } = result;
  const lengths =
    measure === "accuracy"
      ? `${formatCount(tokens)} tokens each`
      : `prompts of ${formatCount(tokens - decoded)} tokens, ${formatCount(decoded)} scored after them`;
  return { title: `${model}: ${task}`, subtitle: `${formatCount(items)} texts, ${lengths}` };
}

/** JSON has null for a figure that is not finite. */
const figure = z.number().nullable();
const count = z.number();
const interval = { mean: figure, low: figure, high: figure };
const point = z.looseObject({
  policy: z.string(),
  budget: count.nullable(),
  ...interval,
  tokens: figure,
  difference: z.object(interval),
  seeds: count,
  byDepth: z.array(figure),
  kvBytes: count,
});

/** What the report reads of a result. */
const resultSchema = z.looseObject({
  model: z.string(),
  task: z.string(),
  measure: z.enum(["accuracy", "nll"]),
  items: count,
  tokens: count,
  decoded: count,
  full: point,
  points: z.array(point.extend({ budget: count })),
}) as unknown as z.ZodType<EvaluationResult>;
/** A configuration as the report shows it. */
const configSchema = z.record(
  z.string(),
  z.union([
    z.string(),
    z.number(),
    z.boolean(),
    z.null(),
    z.array(z.json()).transform((list) => list.join(", ")),
  ]),
);

/** The page of one evaluation. @throws ParetoError RUN_INVALID */
export function evaluationReport(files: RunFiles): Page {
  const result = resultOf(resultSchema, files);
  const runs = [{ name: result?.model ?? "run", files }];
  const settings = settingsSection(runs, [storedConfig("llm evaluate", configSchema, files)]);
  if (!result)
    return {
      title: "Evaluation of a language model",
      subtitle: "not finished",
      sections: [warningsSection(runs), settings],
    };
  return {
    ...evaluationTitle(result),
    sections: [
      warningsSection(runs),
      curvesSection(result),
      figuresSection(result),
      depthsSection(result),
      timeSection(runs),
      settings,
    ],
  };
}

/** Percent of the prompt between two policies' bars, which would hide each other at the same place. */
const APART = 0.35;

function curvesSection(result: EvaluationResult): Section {
  const { measure, full, points, items } = result;
  const policies = policiesOf(result);
  if (policies.length === 0) return { title: "Quality by cache budget", blocks: [] };
  const isShare = measure === "accuracy";
  const scale = isShare ? 100 : 1;
  const series = policies.map((policy, index): Series => ({
    name: policy,
    color: seriesColor(index),
    mark: "dots",
    points: points
      .filter((point) => point.policy === policy)
      .sort((a, b) => a.budget! - b.budget!)
      .map(({ budget, mean, low, high }) => ({
        x: 100 * budget! + APART * (index - (policies.length - 1) / 2),
        y: scale * mean,
        low: scale * low,
        high: scale * high,
      })),
  }));
  const budgets = budgetsOf(result).map((budget) => 100 * budget);
  const y: Axis = isShare
    ? { label: "right answers, %", domain: [0, 100], ticks: [0, 25, 50, 75, 100] }
    : { label: "−ln p, nats a token" };
  return {
    title: "Quality by cache budget",
    blocks: [
      {
        kind: "figures",
        figures: [
          {
            id: "by-budget",
            title: isShare ? "Right answers by cache budget" : "Likelihood by cache budget",
            alt: `A line for each of ${policies.join(", ")}; the tables beneath have the figures.`,
            note: `Bars: 95 % intervals over ${formatCount(items)} texts. Dashed: the full cache.`,
            isWide: true,
            chart: {
              kind: "lines",
              height: 400,
              x: {
                label: "% of the prompt that stays in the cache",
                domain: [0, Math.max(100, ...budgets) + 2],
                ticks: budgets,
                format: (percent) => String(Number(percent.toFixed(1))),
              },
              y,
              series: series.map((one) => ({ ...one, isOutOfTable: true })),
              rules: [{ axis: "y", at: scale * full.mean, label: "full cache" }],
            },
          },
        ],
      },
    ],
  };
}

function figuresSection(result: EvaluationResult): Section {
  const { points, full } = result;
  const budgets = budgetsOf(result);
  const rows = policiesOf(result).map((policy, i) => [
    { text: policy, swatch: seriesColor(i) },
    ...budgets.map((budget) => {
      const point = points.find((one) => one.policy === policy && one.budget === budget);
      return point ? shownMean(result, point.mean) : UNKNOWN;
    }),
  ]);
  const isShare = result.measure === "accuracy";
  const exact = points.map((point) => [
    `${point.policy}, ${budgetText(point.budget!)}`,
    withInterval(result, point),
    withInterval(result, point.difference),
    ...(isShare ? [shownMean(result, point.tokens)] : []),
    formatCount(point.seeds),
    formatBytes(point.kvBytes),
  ]);
  const head = [
    "Policy, budget",
    "Mean (95 %)",
    "Difference from the full cache (95 %)",
    ...(isShare ? ["Right tokens, %"] : []),
    "Seeds",
    "KV bytes",
  ];
  const tables: Block[] =
    rows.length === 0
      ? []
      : [
          { kind: "table", table: { head: [meanUnit(result), ...budgets.map(budgetText)], rows } },
          { kind: "table", table: { head, rows: exact }, fold: "With intervals" },
        ];
  const whole = `Full cache: ${withInterval(result, full)}, ${formatBytes(full.kvBytes)} of keys and values at a text's end.`;
  return { title: "Figures", blocks: [{ kind: "text", text: whole }, ...tables] };
}

function depthsSection(result: EvaluationResult): Section {
  const title = "By where the evidence lies in the prompt";
  const count = result.full.byDepth.length;
  if (count === 0) return { title, blocks: [] };
  const head = [
    meanUnit(result),
    ...Array.from({ length: count }, (_, i) => `${budgetText(i / count)} to ${budgetText((i + 1) / count)}`),
  ];
  const name = ({ policy, budget }: EvaluationPoint) =>
    budget === null ? policy : `${policy}, ${budgetText(budget)}`;
  const rows = [result.full, ...result.points].map((point) => [
    name(point),
    ...point.byDepth.map((mean) => (mean === null ? UNKNOWN : shownMean(result, mean))),
  ]);
  return {
    title,
    blocks: [
      { kind: "text", text: "0 % is the prompt's first token." },
      { kind: "table", table: { head, rows } },
    ],
  };
}
