/**
 * @file What runs inside the report's page: draws its charts with Observable Plot.
 *
 * These functions are written into the page as source text, so each may use its arguments, the others in
 * {@link pageFunctions} and the browser's globals, and nothing else of this project at run time.
 */
import type { CurvePoint, ReportData } from "./data.ts";
import type { Mark, PageElement, PlotApi } from "./plotApi.ts";

/** The colour variable of a run. */
function runColor(index: number): string {
  return `var(--run-${index % 6})`;
}

/** Bytes as short text for an axis. */
function shortBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(3))} ${units[unit]}`;
}

/** A count as short text for an axis. */
function shortCount(count: number): string {
  const value = Number(count.toPrecision(6));
  return value >= 1e6
    ? `${value / 1e6} M`
    : value >= 10_000
      ? `${value / 1000} k`
      : value.toLocaleString("en-US");
}

/** A share as short text for an axis. */
function shortPercent(share: number): string {
  return `${Number((100 * share).toPrecision(2))}%`;
}

/** The mean of the points around each point, so that a noisy training loss shows its course. */
function smooth(points: CurvePoint[], y: "logLoss" | "auc" | "accuracy" | "macroF1"): CurvePoint[] {
  const reach = Math.floor(points.length / 30);
  if (reach < 1) return points;
  return points.map((point, i) => {
    const near = points.slice(Math.max(0, i - reach), i + reach + 1);
    return { ...point, [y]: near.reduce((sum, one) => sum + one[y]!, 0) / near.length };
  });
}

/** Loss or AUC of every run, against steps or seconds. */
function drawCurve(
  Plot: PlotApi,
  data: ReportData,
  width: number,
  y: "logLoss" | "auc" | "accuracy" | "macroF1",
  x: "step" | "seconds",
): unknown {
  const marks: Mark[] = [Plot.gridY({ strokeOpacity: 0.12 })];
  const all: object[] = [];
  data.runs.forEach((run, index) => {
    const color = runColor(index);
    const train = run.curve.filter((point) => point.part === "train" && point[y] !== null);
    if (train.length > 1) {
      marks.push(Plot.lineY(smooth(train, y), { x, y, stroke: color, strokeWidth: 1, strokeOpacity: 0.45 }));
    }
    const validation = run.curve.filter((point) => point.part === "validation" && point[y] !== null);
    marks.push(Plot.lineY(validation, { x, y, stroke: color, strokeWidth: 1.8 }));
    if (validation.length <= 60) marks.push(Plot.dot(validation, { x, y, fill: color, r: 2.2 }));
    const test = run.curve.filter((point) => point.part === "test" && point[y] !== null);
    marks.push(
      Plot.dot(test, {
        x,
        y,
        symbol: "diamond",
        fill: "var(--paper)",
        stroke: color,
        strokeWidth: 1.8,
        r: 4.5,
      }),
    );
    all.push(...[...validation, ...test].map((point) => ({ ...point, run: run.name })));
  });
  const best = data.runs.map((run) => run.summary.bayesAuc).find((value) => typeof value === "number");
  if (y === "auc" && best !== undefined && best !== null) {
    marks.push(
      Plot.ruleY([best], { stroke: "currentColor", strokeDasharray: "4 3" }),
      Plot.text([{ best }], {
        y: "best",
        frameAnchor: "left",
        text: () => `best possible ${best.toFixed(4)}`,
        dy: 9,
        textAnchor: "start",
        fill: "currentColor",
      }),
    );
  }
  marks.push(
    Plot.tip(
      all,
      Plot.pointer({
        x,
        y,
        stroke: "currentColor",
        title: (point: CurvePoint & { run: string }) =>
          `${point.run}, ${point.part}\nstep ${point.step.toLocaleString("en-US")}, ${point.seconds.toFixed(1)} s\n` +
          `log loss ${point.logLoss.toFixed(4)}${point.auc === null ? "" : `\nAUC ${point.auc.toFixed(4)}`}` +
          (point.macroF1 === null ? "" : `\nmacro-F1 ${point.macroF1.toFixed(4)}`),
      }),
    ),
  );
  return Plot.plot({
    width,
    height: 220,
    marginLeft: 46,
    marginTop: 14,
    x: {
      label: x === "step" ? "optimizer steps" : "seconds of training",
      zero: true,
      ticks: 5,
      tickFormat: shortCount,
    },
    y: { label: null, ticks: 5, nice: true },
    marks,
  });
}

/** Share of accesses that the most used rows take. */
function drawSkew(Plot: PlotApi, data: ReportData, width: number): unknown {
  const points = (data.profile?.skew ?? []).filter((point) => point.rowShare > 0);
  // The curve at 1 % and 10 % of the rows, between the two points that enclose them.
  const marked = [0.01, 0.1].flatMap((share) => {
    const next = points.findIndex((point) => point.rowShare >= share);
    const after = points[next];
    const before = points[Math.max(0, next - 1)];
    if (after === undefined || before === undefined) return [];
    const span = after.rowShare - before.rowShare;
    const part = span === 0 ? 1 : (share - before.rowShare) / span;
    if (part < 0) return [];
    const accessShare = before.accessShare + part * (after.accessShare - before.accessShare);
    return [{ rowShare: share, accessShare }];
  });
  return Plot.plot({
    width,
    height: 240,
    marginLeft: 46,
    x: { type: "log", label: "most used share of rows", ticks: 4, tickFormat: shortPercent },
    y: { label: "share of accesses", domain: [0, 1], ticks: 5, tickFormat: "%" },
    marks: [
      Plot.gridY({ strokeOpacity: 0.12 }),
      Plot.areaY(points, { x: "rowShare", y: "accessShare", fill: "var(--run-0)", fillOpacity: 0.1 }),
      Plot.lineY(points, { x: "rowShare", y: "accessShare", stroke: "var(--run-0)", strokeWidth: 1.8 }),
      Plot.dot(marked, { x: "rowShare", y: "accessShare", fill: "var(--run-0)", r: 3 }),
      Plot.text(marked, {
        x: "rowShare",
        y: "accessShare",
        text: (point: { rowShare: number; accessShare: number }) =>
          `${shortPercent(point.rowShare)} of rows: ${(100 * point.accessShare).toFixed(1)}%`,
        dx: -8,
        dy: -8,
        textAnchor: "end",
        fill: "var(--ink)",
        stroke: "var(--paper)",
        strokeWidth: 4,
      }),
    ],
  });
}

/** Hot inputs and hot accesses against the memory given to hot rows. */
function drawBudget(Plot: PlotApi, data: ReportData, width: number): unknown {
  const points = (data.profile?.budgets ?? []).filter((point) => point.bytes > 0);
  const chosen = data.profile?.chosenBudgetBytes ?? null;
  const last = points.at(-1);
  const low = Math.ceil(Math.log2(points[0]?.bytes ?? 1));
  const high = Math.floor(Math.log2(last?.bytes ?? 1));
  const stride = Math.max(1, Math.ceil((high - low) / 6));
  const ticks = Array.from(
    { length: Math.floor((high - low) / stride) + 1 },
    (_, i) => 2 ** (low + i * stride),
  );
  const marks: Mark[] = [
    Plot.gridY({ strokeOpacity: 0.12 }),
    Plot.lineY(points, {
      x: "bytes",
      y: "accessShare",
      stroke: "var(--cold)",
      strokeWidth: 1.5,
      strokeDasharray: "5 3",
    }),
    Plot.areaY(points, { x: "bytes", y: "inputShare", fill: "var(--hot)", fillOpacity: 0.1 }),
    Plot.lineY(points, { x: "bytes", y: "inputShare", stroke: "var(--hot)", strokeWidth: 1.8 }),
    Plot.tip(
      points,
      Plot.pointerX({
        x: "bytes",
        y: "inputShare",
        stroke: "currentColor",
        title: (point: { bytes: number; inputShare: number; accessShare: number }) =>
          `${shortBytes(point.bytes)}\nhot inputs ${(100 * point.inputShare).toFixed(1)}%\nhot accesses ${(100 * point.accessShare).toFixed(1)}%`,
      }),
    ),
  ];
  if (chosen !== null && last !== undefined && points[0] !== undefined) {
    const right = chosen > Math.sqrt(points[0].bytes * last.bytes);
    marks.push(
      Plot.ruleX([chosen], { stroke: "var(--ink)", strokeDasharray: "3 3" }),
      Plot.text([{ chosen }], {
        x: "chosen",
        frameAnchor: "top",
        text: () => `budget ${shortBytes(chosen)}`,
        dx: right ? -6 : 6,
        dy: -4,
        textAnchor: right ? "end" : "start",
        fill: "var(--ink)",
        stroke: "var(--paper)",
        strokeWidth: 4,
      }),
    );
  }
  return Plot.plot({
    width,
    height: 240,
    marginLeft: 46,
    marginRight: 16,
    x: { type: "log", base: 2, label: "memory for hot rows", ticks, tickFormat: shortBytes },
    y: { label: null, domain: [0, 1], ticks: 5, tickFormat: "%" },
    marks,
  });
}

/** The phases of every run as coloured stretches. */
function drawTimeline(Plot: PlotApi, data: ReportData, width: number): unknown {
  const named = new Set(["cold", "hot", "sync", "evaluate", "checkpoint", "prepare", "calibrate"]);
  const runs = data.runs.filter((run) => run.phases.length > 0);
  const spans = runs.flatMap((run) => run.phases.map((span) => ({ ...span, run: run.name })));
  const end = Math.max(...spans.map((span) => span.end));
  return Plot.plot({
    width,
    height: 46 + 54 * runs.length,
    // Room for the longest name at about six pixels a letter.
    marginLeft: Math.min(width / 3, 24 + 6.5 * Math.max(...runs.map((run) => run.name.length))),
    marginTop: 4,
    x: { label: "seconds since the start of the run", domain: [0, end], ticks: 8 },
    fy: { label: null, domain: runs.map((run) => run.name), padding: 0.25, tickSize: 0, axis: "left" },
    y: { axis: null, domain: [0, 1] },
    marks: [
      Plot.rect(spans, {
        x1: "start",
        // At least two pixels wide and drawn last, so that short synchronisations are seen.
        x2: (span: { start: number; end: number }) => Math.max(span.end, span.start + (2 * end) / width),
        y1: 0,
        y2: 1,
        fy: "run",
        fill: (span: { phase: string }) => `var(--${named.has(span.phase) ? span.phase : "other"})`,
        sort: (span: { phase: string }) => (span.phase === "sync" ? 1 : 0),
        shapeRendering: "crispEdges",
      }),
      Plot.tip(
        spans,
        Plot.pointerX({
          x1: "start",
          x2: "end",
          y1: 0,
          y2: 1,
          fy: "run",
          stroke: "currentColor",
          title: (span: { phase: string; start: number; end: number }) =>
            `${span.phase}\n${span.start.toFixed(2)} to ${span.end.toFixed(2)} s (${(span.end - span.start).toFixed(2)} s)`,
        }),
      ),
    ],
  });
}

/** The scheduler's rate after each round, and the loss that moved it. */
function drawRates(Plot: PlotApi, data: ReportData, width: number, y: "rate" | "loss"): unknown {
  const rates = [1, 3, 10, 25, 50, 100];
  const marks: Mark[] = [Plot.gridY({ strokeOpacity: 0.12, ...(y === "rate" ? { ticks: rates } : {}) })];
  data.runs.forEach((run, index) => {
    const points = run.rates.filter((point) => point[y] !== null);
    const color = runColor(index);
    marks.push(
      Plot.lineY(points, {
        x: "step",
        y,
        stroke: color,
        strokeWidth: 1.6,
        ...(y === "rate" ? { curve: "step-after" } : {}),
      }),
      Plot.dot(points, { x: "step", y, fill: color, r: 2.5 }),
    );
  });
  return Plot.plot({
    width,
    height: 190,
    marginLeft: 46,
    x: { label: "optimizer steps", zero: true, ticks: 5, tickFormat: shortCount },
    y:
      y === "rate"
        ? { type: "log", domain: [1, 100], label: null, ticks: rates, tickFormat: "~g" }
        : { label: null, ticks: 5, nice: true },
    marks,
  });
}

/** Draws every chart that has a place on the page, and again when the page's width changes. */
function drawReport(): void {
  const { Plot, document, addEventListener } = globalThis as unknown as {
    Plot: PlotApi;
    document: PageElement;
    addEventListener(type: string, listener: () => void): void;
  };
  const data = JSON.parse(document.querySelector("#report-data")?.textContent ?? "") as ReportData;
  const charts: Record<string, (width: number) => unknown> = {
    "loss-by-step": (width) => drawCurve(Plot, data, width, "logLoss", "step"),
    "loss-by-seconds": (width) => drawCurve(Plot, data, width, "logLoss", "seconds"),
    "auc-by-step": (width) => drawCurve(Plot, data, width, "auc", "step"),
    "auc-by-seconds": (width) => drawCurve(Plot, data, width, "auc", "seconds"),
    "f1-by-step": (width) => drawCurve(Plot, data, width, "macroF1", "step"),
    "accuracy-by-step": (width) => drawCurve(Plot, data, width, "accuracy", "step"),
    skew: (width) => drawSkew(Plot, data, width),
    budget: (width) => drawBudget(Plot, data, width),
    timeline: (width) => drawTimeline(Plot, data, width),
    rate: (width) => drawRates(Plot, data, width, "rate"),
    "rate-loss": (width) => drawRates(Plot, data, width, "loss"),
  };
  const draw = (): void => {
    for (const [id, chart] of Object.entries(charts)) {
      const place = document.querySelector(`#${id} .plot`);
      place?.replaceChildren(chart(Math.max(280, place.clientWidth)));
    }
  };
  draw();
  addEventListener("resize", draw);
}

/** The functions above, in an order in which their text may be written; the last one is to be called. */
export const pageFunctions = [
  runColor,
  shortBytes,
  shortPercent,
  shortCount,
  smooth,
  drawCurve,
  drawSkew,
  drawBudget,
  drawTimeline,
  drawRates,
  drawReport,
] as const;
