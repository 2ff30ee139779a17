/**
 * @file The report of quality against cache budget: a curve with intervals for each policy, the full cache as a line,
 * the figures as tables. Pure but for {@link writeBudgetReport}.
 */
import { budgetPageFunctions } from "./budgetPage.ts";
import type { Scalar } from "./data.ts";
import { formatBytes, formatCount, UNKNOWN } from "../base/format.ts";
import { escapeHtml, figure, legend, section, table, type Cell } from "./html.ts";
import { writePage } from "./writePage.ts";

/** A mean with its 95 % interval. */
interface Interval {
  mean: number;
  low: number;
  high: number;
}

/** One policy at one budget. */
export interface BudgetPoint extends Interval {
  policy: string;
  /** Share of the prompt; null for the full cache. */
  budget: number | null;
  /** Share of right tokens, where answers have several. */
  tokens: number;
  /** From the full cache, text by text. */
  difference: Interval;
  seeds: number;
  byDepth: readonly (number | null)[];
  kvBytes: number;
}

/** All of the report. */
export interface BudgetReport {
  title: string;
  subtitle: string;
  /** ISO 8601. */
  createdAt: string;
  /** What `mean` is. */
  measure: "accuracy" | "nll";
  items: number;
  full: BudgetPoint;
  /** In the order of the key, budgets rising. */
  points: BudgetPoint[];
  warnings: string[];
  config: Record<string, Scalar>;
  environment: Record<string, Scalar>;
}

/** Policies in the order in which they come first. */
function policiesOf({ points }: BudgetReport): string[] {
  return [...new Set(points.map(({ policy }) => policy))];
}

const percent = (share: number): string => `${Number((100 * share).toFixed(1))} %`;

/** A mean as people read it: a share in percent, a likelihood with three decimals. */
function shown(measure: BudgetReport["measure"], value: number): string {
  return measure === "accuracy" ? (100 * value).toFixed(1) : value.toFixed(3);
}

function withInterval(measure: BudgetReport["measure"], { mean, low, high }: Interval): string {
  return `${shown(measure, mean)} (${shown(measure, low)} to ${shown(measure, high)})`;
}

function curves(report: BudgetReport): string {
  const cells = policiesOf(report).map((text, i): Cell => ({ text, swatch: `run-${i % 8}` }));
  const what =
    report.measure === "accuracy" ? "Right answers (%)" : "Negative log likelihood per token (nats)";
  const note = `Bars: 95 % intervals over ${formatCount(report.items)} texts. Dashed: the full cache.`;
  return section(
    "Against the share of the prompt that stays",
    legend(cells),
    figure("by-budget", `${what} by cache budget`, note),
  );
}

function tables(report: BudgetReport): string {
  const { measure, points, full } = report;
  const budgets = [...new Set(points.map(({ budget }) => budget!))].sort((a, b) => a - b);
  const at = (policy: string, budget: number) =>
    points.find((point) => point.policy === policy && point.budget === budget);
  const rows = policiesOf(report).map((policy, i) => [
    { text: policy, swatch: `run-${i % 8}` },
    ...budgets.map((budget) => {
      const point = at(policy, budget);
      return point === undefined ? UNKNOWN : shown(measure, point.mean);
    }),
  ]);
  const unit = measure === "accuracy" ? "Right answers, %" : "Nats a token";
  const exact = points.map((point) => [
    `${point.policy}, ${percent(point.budget!)}`,
    withInterval(measure, point),
    withInterval(measure, point.difference),
    ...(measure === "accuracy" ? [shown(measure, point.tokens)] : []),
    formatCount(point.seeds),
    formatBytes(point.kvBytes),
  ]);
  const head = [
    "Policy, budget",
    "Mean (95 %)",
    "Difference from full (95 %)",
    ...(measure === "accuracy" ? ["Right tokens, %"] : []),
    "Seeds",
    "KV bytes",
  ];
  return section(
    "Figures",
    table([unit, ...budgets.map(percent)], rows, "small"),
    `<p class="note">Full cache: ${escapeHtml(withInterval(measure, full))}, ${formatBytes(full.kvBytes)} of keys and values at a text's end.</p>`,
    "<details><summary>With intervals</summary>",
    table(head, exact, "small"),
    "</details>",
  );
}

function depths(report: BudgetReport): string {
  const all = [report.full, ...report.points];
  const count = report.full.byDepth.length;
  if (count === 0) return "";
  const head = [
    "Right answers, %",
    ...Array.from({ length: count }, (_, i) => `${percent(i / count)} to ${percent((i + 1) / count)}`),
  ];
  const rows = all.map(({ policy, budget, byDepth }) => [
    budget === null ? policy : `${policy}, ${percent(budget)}`,
    ...byDepth.map((mean) => (mean === null ? UNKNOWN : shown(report.measure, mean))),
  ]);
  return section(
    "By where the evidence lies in the prompt",
    '<p class="note">0 % is the prompt\'s first token.</p>',
    table(head, rows, "small"),
  );
}

function warnings({ warnings: texts }: BudgetReport): string {
  if (texts.length === 0) return "";
  return section("Warnings", `<ul>${texts.map((text) => `<li>${escapeHtml(text)}</li>`).join("")}</ul>`);
}

function setting({ config, environment, createdAt }: BudgetReport): string {
  const rowsOf = (facts: Record<string, Scalar>) =>
    Object.entries(facts).map(([name, value]) => [name, value === null ? UNKNOWN : String(value)]);
  const parts = [
    table(["Option", ""], rowsOf(config), "small config"),
    table(["Environment", ""], [["made at", createdAt], ...rowsOf(environment)], "small config"),
  ];
  return section(
    "Config and environment",
    `<div class="grid">${parts.map((part) => `<div>${part}</div>`).join("")}</div>`,
  );
}

/** The HTML of every section that has something to show. */
export function budgetSections(report: BudgetReport): string[] {
  return [warnings, curves, tables, depths, setting]
    .map((part) => part(report))
    .filter((html) => html !== "");
}

/** Writes the report. @throws ParetoError REPORT_PLOT_MISSING, REPORT_WRITE */
export async function writeBudgetReport(file: string, report: BudgetReport): Promise<void> {
  const { title, subtitle } = report;
  await writePage(file, {
    title,
    subtitle,
    sections: budgetSections(report),
    data: report,
    functions: budgetPageFunctions,
  });
}
