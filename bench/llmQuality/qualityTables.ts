/** @file What was measured of quality, as tables in Markdown, and what it says of the paper's findings. */
import type { Interval } from "../../src/llm/eval/bootstrap.ts";
import type { QualityFile, QualityPoint, QualityResult, StoryResult } from "./qualityFile.ts";
import { DEFAULT_VARIANT } from "./variants.ts";

const percent = (share: number) => `${Number((100 * share).toFixed(1))} %`;
const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [row(head), row(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(row)];
}

const isText = ({ task }: QualityResult) => task === "text";

/** Budgets that were measured, rising. */
function budgetsOf({ arms }: QualityResult): number[] {
  const budgets = arms.flatMap(({ budget }) => (budget === null ? [] : [budget]));
  return [...new Set(budgets)].sort((a, b) => a - b);
}

function policiesOf({ arms }: QualityResult): string[] {
  return [...new Set(arms.filter(({ budget }) => budget !== null).map(({ policy }) => policy))];
}

const pointOf = ({ arms }: QualityResult, policy: string, budget: number) =>
  arms.find((arm) => arm.policy === policy && arm.budget === budget)!;

/** A share in percent, or nats, with its interval. */
function share({ mean, low, high }: Interval): string {
  return `${(100 * mean).toFixed(1)} (${(100 * low).toFixed(0)}–${(100 * high).toFixed(0)})`;
}

function signed(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  return Number(text) > 0 ? `+${text}` : text.replace("-", "−");
}

/** A difference with its interval: in percentage points, or in nats. */
function difference(result: QualityResult, { mean, low, high }: Interval): string {
  const [scale, decimals] = isText(result) ? [1, 3] : [100, 1];
  return `${signed(scale * mean, decimals)} (${signed(scale * low, decimals)} to ${signed(scale * high, decimals)})`;
}

/** What was measured, in words. */
function titleOf(result: QualityResult): string {
  const full = result.arms[0]!;
  const what = isText(result)
    ? `the likelihood of text it was not trained on: prompts of ${result.tokens / 2} tokens, ${result.tokens / 2} scored after them`
    : `${result.task}, asked ${result.protocol === "after" ? "after the prompt" : "in the prompt"}, texts of ${result.tokens} tokens`;
  const whole = isText(result) ? `${full.mean.toFixed(3)} nats a token` : `${share(full)} % right`;
  return `**${result.model}**, ${what}. ${result.items} texts; full cache ${whole}.`;
}

/** Policies by budget. */
export function curveTable(result: QualityResult): string[] {
  const budgets = budgetsOf(result);
  const shown = (point: QualityPoint) =>
    isText(result) ? difference(result, point.difference) : share(point);
  const unit = isText(result) ? "nats above the full cache" : "% right";
  const rows = policiesOf(result).map((policy) => [
    policy,
    ...budgets.map((budget) => shown(pointOf(result, policy, budget))),
  ]);
  return [titleOf(result), "", ...markdown([unit, ...budgets.map(percent)], rows)];
}

/** Variants of Keyformer: each one's figure, and the difference from the paper's. */
export function ablationTable(result: QualityResult): string[] {
  const budgets = budgetsOf(result);
  const head = ["Keyformer", ...budgets.flatMap((budget) => [percent(budget), "difference"])];
  const rows = policiesOf(result).map((policy) => [
    policy,
    ...budgets.flatMap((budget) => {
      const point = pointOf(result, policy, budget);
      const own = isText(result) ? difference(result, point.difference) : share(point);
      return [own, policy === DEFAULT_VARIANT ? "" : difference(result, point.fromDefault!)];
    }),
  ]);
  const unit = isText(result)
    ? "Figures are nats above the full cache."
    : "Figures are right answers in %; differences are points.";
  return [`${titleOf(result)} ${unit}`, "", ...markdown(head, rows)];
}

/** Stories by policy, the mean over seeds. */
export function storyTable({
  promptTokens,
  newTokens,
  budget,
  results,
}: NonNullable<QualityFile["stories"]>): string[] {
  const rows = [...new Set(results.map(({ policy }) => policy))].map((policy) => {
    const own = results.filter((result) => result.policy === policy);
    const mean = (of: (result: StoryResult) => number) =>
      own.reduce((sum, one) => sum + of(one), 0) / own.length;
    const differs = own.map(({ firstDifference }) =>
      firstDifference === null ? "never" : String(firstDifference),
    );
    return [
      policy,
      differs.join(", "),
      mean(({ negativeLogLikelihood }) => negativeLogLikelihood).toFixed(3),
      percent(mean((result) => result.repetition)),
    ];
  });
  const head = [
    "policy",
    "first other token",
    "nats a token of the full cache's text",
    "runs of 4 said before",
  ];
  return [
    `**stories260K**, ${newTokens} tokens chosen greedily after a prompt of ${promptTokens}, ${percent(budget)} of it kept.`,
    "",
    ...markdown(head, rows),
  ];
}

/** Whether a difference from the paper's variant is one: losses count upwards for text. */
function verdict(result: QualityResult, { low, high }: Interval): "better" | "worse" | "no difference seen" {
  const sign = isText(result) ? -1 : 1;
  if (low > 0) return sign > 0 ? "better" : "worse";
  if (high < 0) return sign > 0 ? "worse" : "better";
  return "no difference seen";
}

/** What the paper says of a variant, against the variant that it recommends. */
const FINDINGS: readonly [variant: string, finding: string][] = [
  ["noise none", "without noise it is worse"],
  ["noise gaussian", "with Gaussian noise it is much worse"],
  ["noise constant", "with a constant shift it is much worse (a softmax cannot tell it from none)"],
  ["τ 1→1", "with a temperature that stays it is worse"],
  ["recent 10 %", "20 to 30 % recent tokens are best: with 10 % it is worse"],
  ["recent 50 %", "20 to 30 % recent tokens are best: with 50 % it is worse"],
  ["scores shared by layers", "with scores shared by layers it is worse"],
  ["new positions", "with new positions it is worse"],
];

/** The paper's findings and what was seen here, for each ablation and budget. */
export function findingsTable(ablations: readonly QualityResult[]): string[] {
  const columns = ablations.flatMap((result) => budgetsOf(result).map((budget) => ({ result, budget })));
  const head = [
    "the paper says",
    ...columns.map(({ result, budget }) => `${isText(result) ? "text" : result.task}, ${percent(budget)}`),
  ];
  const rows = FINDINGS.map(([variant, finding]) => [
    finding,
    ...columns.map(({ result, budget }) => {
      const point = pointOf(result, variant, budget);
      return `${verdict(result, point.fromDefault!)}: ${difference(result, point.fromDefault!)}`;
    }),
  ]);
  return markdown(head, rows);
}

/** Everything, for a terminal. */
export function qualityTables({
  curves,
  ablations,
  stories,
}: Pick<QualityFile, "curves" | "ablations" | "stories">): string[] {
  const tables = [...curves.map(curveTable), ...ablations.map(ablationTable)];
  if (ablations.length > 0) tables.push(findingsTable(ablations));
  if (stories !== null) tables.push(storyTable(stories));
  return tables.flatMap((table) => [...table, ""]);
}
