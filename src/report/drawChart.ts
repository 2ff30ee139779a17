/**
 * @file Charts as SVG text, drawn by Observable Plot into a document without a browser. Colours are the CSS variables of
 * {@link file://./style.ts}; the page, or the picture's own style, gives them values.
 */
import type { Axis, BarChart, Chart, LineChart, Series, SpanChart } from "./chart.ts";
import { visibleLines } from "../base/visibleText.ts";
import { escapeHtml } from "./html.ts";
import type { Plot, PlotLibrary } from "./plotLibrary.ts";
import { FONT } from "./style.ts";

/** Pixels of a chart in one of two columns, and of one that takes both. */
export const WIDTH = { column: 480, page: 992 } as const;

const FONT_SIZE = 12;
/** Pixels of a letter, about. */
const LETTER = 7.2;
const FAINT = { strokeWidth: 1, strokeOpacity: 0.45 };

type Mark = ReturnType<Plot["dot"]>;
type Options = NonNullable<Parameters<Plot["plot"]>[0]>;

const color = (name: string) => `var(--${name})`;

/** Plot's options of an axis. */
function scaleOf({ label, scale = "linear", base, domain, ticks, format }: Axis, arrow: "right" | "none") {
  return {
    label,
    labelArrow: arrow,
    type: scale,
    ...(base !== undefined && { base }),
    ...(domain && { domain: [...domain] }),
    ...(ticks !== undefined && { ticks: typeof ticks === "number" ? ticks : [...ticks] }),
    ...(format && { tickFormat: format }),
  };
}

/** Letters of a name on an axis; longer ones are cut, and stand whole in the table beneath. */
const NAME_LETTERS = 26;

const shortName = (name: string) =>
  name.length > NAME_LETTERS ? `${name.slice(0, NAME_LETTERS - 1)}…` : name;

/** Plot's options of a vertical axis of names, whose rows are told by their numbers: two may read the same. */
function namesAxis(names: readonly string[]) {
  return {
    label: null,
    domain: [...names.keys()],
    tickFormat: (row: number) => shortName(names[row]!),
    tickSize: 0,
  };
}

/** Room for the labels of a vertical axis. */
function marginFor(texts: readonly string[]): number {
  return 16 + LETTER * Math.max(3, ...texts.map((text) => text.length));
}

/** Room for the half of the last label of a horizontal axis that stands out. */
function marginRightFor({ format = String }: Axis, last: number): number {
  return 12 + (LETTER * format(last).length) / 2;
}

function seriesMarks(
  Plot: Plot,
  { color: name, points, line = "solid", mark = "none", isFilled }: Series,
): Mark[] {
  const stroke = color(name);
  const place = { x: "x", y: "y" } as const;
  const marks: Mark[] = [];
  const withInterval = points.filter(({ low, high }) => low !== undefined && high !== undefined);
  if (isFilled) marks.push(Plot.areaY(points, { ...place, fill: stroke, fillOpacity: 0.1 }));
  if (withInterval.length > 0)
    marks.push(Plot.ruleX(withInterval, { x: "x", y1: "low", y2: "high", stroke, strokeOpacity: 0.55 }));
  if (line !== "none") {
    const look = {
      solid: { strokeWidth: 1.8 },
      stepped: { strokeWidth: 1.6, curve: "step-after" as const },
      dashed: { strokeWidth: 1.5, strokeDasharray: "5 3" },
      faint: FAINT,
    }[line];
    marks.push(Plot.lineY(points, { ...place, stroke, ...look }));
  }
  if (mark === "dots") marks.push(Plot.dot(points, { ...place, fill: stroke, r: 2.6 }));
  if (mark === "diamonds") {
    const look = { symbol: "diamond", fill: color("paper"), stroke, strokeWidth: 1.8, r: 4.5 } as const;
    marks.push(Plot.dot(points, { ...place, ...look }));
  }
  return marks;
}

/** Text over the lines of a chart, legible on them. */
const OVER_LINES = { fill: color("ink"), stroke: color("paper"), strokeWidth: 4 } as const;

function ruleMarks(Plot: Plot, { rules = [] }: LineChart, midX: number): Mark[] {
  return rules.flatMap(({ axis, at, label }) => {
    const dash = { stroke: color("ink"), strokeDasharray: "4 3" };
    if (axis === "y") {
      const place = { frameAnchor: "right", textAnchor: "end", dy: -8, ...OVER_LINES } as const;
      return [Plot.ruleY([at], dash), Plot.text([at], { y: (y: number) => y, text: () => label, ...place })];
    }
    // On the side of the line where there is more room.
    const isRight = at > midX;
    const place = { dx: isRight ? -6 : 6, textAnchor: isRight ? "end" : "start" } as const;
    return [
      Plot.ruleX([at], dash),
      Plot.text([at], {
        x: (value: number) => value,
        frameAnchor: "top",
        text: () => label,
        ...place,
        ...OVER_LINES,
      }),
    ];
  });
}

/** The ends of the x axis. */
function endsOf({ x, series }: LineChart): readonly [number, number] {
  const values = series.flatMap(({ points }) => points.map((point) => point.x));
  return x.domain ?? [Math.min(...values), Math.max(...values)];
}

/** The middle of the x axis, as it is drawn. */
function middle(chart: LineChart): number {
  const { x } = chart;
  const [low, high] = endsOf(chart);
  return x.scale === "log" ? Math.sqrt(low * high) : (low + high) / 2;
}

function drawLines({ Plot }: PlotLibrary, chart: LineChart): Options {
  const { x, y, series, labels = [], height = 240 } = chart;
  const format = y.format ?? ((value: number) => String(Number(value.toPrecision(3))));
  const extremes = series.flatMap(({ points }) =>
    points.flatMap((point) => [point.low ?? point.y, point.high ?? point.y]),
  );
  const edges = y.domain ?? [Math.min(...extremes), Math.max(...extremes)];
  return {
    height,
    marginLeft: marginFor(edges.map(format)),
    marginTop: 26,
    marginRight: marginRightFor(x, endsOf(chart)[1]),
    marginBottom: 40,
    x: scaleOf(x, "right"),
    y: {
      ...scaleOf(y, "none"),
      ...(y.domain ? {} : { nice: true }),
      ...(y.ticks === undefined && { ticks: 5 }),
    },
    marks: [
      Plot.gridY({ strokeOpacity: 0.12, ...(typeof y.ticks === "object" && { ticks: [...y.ticks] }) }),
      ...series.flatMap((one) => seriesMarks(Plot, one)),
      ...ruleMarks(Plot, chart, middle(chart)),
      Plot.text(labels, { x: "x", y: "y", text: "text", dx: -8, dy: -8, textAnchor: "end", ...OVER_LINES }),
    ],
  };
}

function drawSpans({ Plot }: PlotLibrary, { x, rows }: SpanChart): Options {
  const spans = rows.flatMap(({ spans }, row) => spans.map((span) => ({ ...span, row })));
  const end = Math.max(...spans.map((span) => span.end));
  const names = rows.map(({ name }) => name);
  return {
    height: 50 + 46 * rows.length,
    marginLeft: marginFor(names.map(shortName)),
    marginTop: 4,
    marginRight: 18,
    marginBottom: 40,
    x: { ...scaleOf(x, "right"), domain: [0, end] },
    y: { ...namesAxis(names), padding: 0.25 },
    marks: [
      Plot.barX(spans, {
        x1: "start",
        // At least two pixels wide and short ones drawn last, so that they are seen.
        x2: (span: { start: number; end: number }) => Math.max(span.end, span.start + (2 * end) / WIDTH.page),
        y: "row",
        fill: (span: { color: string }) => color(span.color),
        sort: (span: { start: number; end: number }) => span.start - span.end,
        shapeRendering: "crispEdges",
        title: ({ name, start, end }: { name: string; start: number; end: number }) =>
          `${name}: ${start.toFixed(2)} to ${end.toFixed(2)} s`,
      }),
    ],
    color: { type: "identity" },
  };
}

function drawBars({ Plot }: PlotLibrary, { x, bars: all }: BarChart): Options {
  const bars = all.map((bar, row) => ({ ...bar, row, fill: color(bar.color) }));
  const longest = Math.max(...bars.map(({ text }) => text.length));
  const names = bars.map(({ name }) => name);
  return {
    height: 46 + 34 * bars.length,
    marginLeft: marginFor(names.map(shortName)),
    marginTop: 4,
    marginRight: 12 + LETTER * longest,
    marginBottom: 40,
    x: {
      ...scaleOf(x, "right"),
      ...(x.domain ? {} : { zero: true }),
      ticks: x.ticks === undefined ? 4 : x.ticks,
    },
    y: { ...namesAxis(names), padding: 0.3 },
    color: { type: "identity" },
    marks: [
      Plot.gridX({ strokeOpacity: 0.12 }),
      Plot.barX(bars, { x: "value", y: "row", fill: "fill" }),
      Plot.text(bars, {
        x: "value",
        y: "row",
        text: "text",
        dx: 6,
        textAnchor: "start",
        fill: color("ink"),
      }),
    ],
  } as Options;
}

/**
 * Draws a chart as an `<svg>` element.
 * @param name what the chart is called and shows, for who cannot see it
 */
export function drawChart(
  library: PlotLibrary,
  chart: Chart,
  { name, isWide }: { name: string; isWide: boolean },
): string {
  const options =
    chart.kind === "lines"
      ? drawLines(library, chart)
      : chart.kind === "spans"
        ? drawSpans(library, chart)
        : drawBars(library, chart);
  const svg = library.Plot.plot({
    document: library.document as unknown as NonNullable<Options["document"]>,
    width: isWide ? WIDTH.page : WIDTH.column,
    style: { fontFamily: FONT, fontSize: `${FONT_SIZE}px` } as never,
    ...options,
  }) as unknown as { outerHTML: string };
  // Written here and not set on the element, whose text leaves `<` in attributes, which no XML may have.
  return visibleLines(svg.outerHTML).replace("<svg ", `<svg role="img" aria-label="${escapeHtml(name)}" `);
}
