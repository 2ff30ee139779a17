/**
 * @file What runs inside the page of {@link file://./budgetReport.ts}: the curves, drawn with Observable Plot.
 *
 * These functions are written into the page as source text, so each may use its arguments, the others in
 * {@link budgetPageFunctions} and the browser's globals, and nothing else of this project at run time.
 */
import type { BudgetPoint, BudgetReport } from "./budgetReport.ts";
import type { Mark, PageElement, PlotApi } from "./plotApi.ts";

/** Quality against budget, a line a policy. */
function drawByBudget(Plot: PlotApi, report: BudgetReport, width: number): unknown {
  const isAccuracy = report.measure === "accuracy";
  const scale = isAccuracy ? 100 : 1;
  const policies = [...new Set(report.points.map((point) => point.policy))];
  const scaled = (point: BudgetPoint, index: number) => ({
    ...point,
    // Side by side, or the bars of policies would hide each other.
    x: 100 * point.budget! + 0.35 * (index - (policies.length - 1) / 2),
    y: scale * point.mean,
    y1: scale * point.low,
    y2: scale * point.high,
  });
  const { full } = report;
  const marks: Mark[] = [
    Plot.gridY({ strokeOpacity: 0.12 }),
    Plot.ruleY([scale * full.mean], { stroke: "currentColor", strokeDasharray: "4 3" }),
  ];
  const all: object[] = [];
  policies.forEach((policy, index) => {
    const color = `var(--run-${index % 8})`;
    const points = report.points
      .filter((point) => point.policy === policy)
      .map((point) => scaled(point, index))
      .sort((a, b) => a.budget! - b.budget!);
    marks.push(
      Plot.ruleX(points, { x: "x", y1: "y1", y2: "y2", stroke: color, strokeWidth: 1, strokeOpacity: 0.55 }),
      Plot.lineY(points, { x: "x", y: "y", stroke: color, strokeWidth: 1.8 }),
      Plot.dot(points, { x: "x", y: "y", fill: color, r: 2.6 }),
    );
    all.push(...points);
  });
  const shown = (value: number) => (isAccuracy ? `${(100 * value).toFixed(1)} %` : value.toFixed(3));
  marks.push(
    Plot.tip(
      all,
      Plot.pointer({
        x: "x",
        y: "y",
        stroke: "currentColor",
        title: (point: BudgetPoint) =>
          `${point.policy}, ${(100 * point.budget!).toFixed(0)} % of the prompt\n${shown(point.mean)} (${shown(point.low)} to ${shown(point.high)})\nfrom full ${shown(point.difference.mean)}`,
      }),
    ),
  );
  const budgets = [...new Set(report.points.map((point) => 100 * point.budget!))].sort((a, b) => a - b);
  return Plot.plot({
    width,
    height: 400,
    marginLeft: 46,
    marginTop: 14,
    x: {
      label: "% of the prompt that stays in the cache",
      domain: [0, Math.max(100, ...budgets) + 2],
      ticks: budgets,
      tickFormat: (x: number) => String(Number(x.toFixed(1))),
    },
    y: { label: null, ticks: 6, nice: true, ...(isAccuracy ? { domain: [0, 100] } : {}) },
    marks,
  });
}

/** Draws the chart, and again when the page's width changes. */
function drawBudgetReport(): void {
  const { Plot, document, addEventListener } = globalThis as unknown as {
    Plot: PlotApi;
    document: PageElement;
    addEventListener(type: string, listener: () => void): void;
  };
  const report = JSON.parse(document.querySelector("#report-data")?.textContent ?? "") as BudgetReport;
  const draw = (): void => {
    const place = document.querySelector("#by-budget .plot");
    place?.replaceChildren(drawByBudget(Plot, report, Math.max(280, place.clientWidth)));
  };
  draw();
  addEventListener("resize", draw);
}

/** The functions above; the last one is to be called. */
export const budgetPageFunctions = [drawByBudget, drawBudgetReport] as const;
