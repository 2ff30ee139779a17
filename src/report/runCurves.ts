/** @file Learning curves of runs, from their events. Pure. */
import { formatCount } from "../base/format.ts";
import type { MetricsEvent, RunEvent } from "../run/events.ts";
import { METRICS, type MetricName } from "../run/metrics/metricNames.ts";
import type { Axis, LineChart, Point, Series } from "./chart.ts";
import type { Figure } from "./page.ts";
import type { NamedRun } from "./namedRun.ts";
import { seriesColor } from "./style.ts";

/** What curves are drawn against. */
type Course = "step" | "seconds";

const COURSES: Readonly<Record<Course, Axis>> = {
  step: { label: "optimizer steps", format: shortCount, exact: (value) => formatCount(value), ticks: 5 },
  seconds: {
    label: "seconds of training",
    format: shortCount,
    exact: (value) => value.toFixed(1),
    ticks: 5,
  },
};

/** A training curve of more points than this is thinned. */
const POINTS = 1000;

function shortCount(value: number): string {
  const rounded = Number(value.toPrecision(6));
  if (rounded >= 1e6) return `${rounded / 1e6} M`;
  return rounded >= 10_000 ? `${rounded / 1000} k` : rounded.toLocaleString("en-US");
}

/** Points of one part; those that are not finite are left out. */
function pointsOf(
  events: readonly RunEvent[],
  part: MetricsEvent["part"],
  y: MetricName,
  x: Course,
): Point[] {
  return events.flatMap((event) => {
    if (event.event !== "metrics" || event.part !== part) return [];
    const value = event[y];
    return value === undefined || !Number.isFinite(value) ? [] : [{ x: event[x], y: value }];
  });
}

/** The mean of the points around each point, so that a noisy training loss shows its course; then every k-th. */
function smooth(points: readonly Point[]): Point[] {
  const reach = Math.floor(points.length / 30);
  const stride = Math.ceil(points.length / POINTS);
  const kept = points.map((point, i) => {
    const near = points.slice(Math.max(0, i - reach), i + reach + 1);
    return { x: point.x, y: near.reduce((sum, { y }) => sum + y, 0) / near.length };
  });
  return kept.filter((_, i) => i % stride === 0 || i === kept.length - 1);
}

function seriesOf({ name, files }: NamedRun, index: number, y: MetricName, x: Course): Series[] {
  const color = seriesColor(index);
  const train = smooth(pointsOf(files.events, "train", y, x));
  const validation = pointsOf(files.events, "validation", y, x);
  const test = pointsOf(files.events, "test", y, x);
  const series: Series[] = [];
  if (train.length > 1)
    series.push({ name: `${name}, training`, color, points: train, line: "faint", isOutOfTable: true });
  if (validation.length > 0)
    series.push({
      name: `${name}, validation`,
      color,
      points: validation,
      mark: validation.length <= 60 ? "dots" : "none",
    });
  if (test.length > 0)
    series.push({ name: `${name}, test`, color, points: test, line: "none", mark: "diamonds" });
  return series;
}

/** A chart of one measure; null where no run has points to join. */
function curveChart(runs: readonly NamedRun[], y: MetricName, x: Course): LineChart | null {
  const series = runs.flatMap((run, index) => seriesOf(run, index, y, x));
  if (series.reduce((sum, { points }) => sum + points.length, 0) < 2) return null;
  const end = Math.max(...series.flatMap(({ points }) => points.map((point) => point.x)));
  return {
    kind: "lines",
    x: { ...COURSES[x], domain: [0, end] },
    y: { label: METRICS[y].label, exact: (value) => value.toFixed(4) },
    series,
  };
}

/** Curves of measures, each by step and, where `courses` says so, by time. */
export function curveFigures(
  runs: readonly NamedRun[],
  measures: readonly MetricName[],
  courses: readonly Course[],
): Figure[] {
  return measures.flatMap((y) =>
    courses.flatMap((x): Figure[] => {
      const chart = curveChart(runs, y, x);
      if (chart === null) return [];
      const course = x === "step" ? "step" : "time";
      const { label } = METRICS[y];
      const name = label[0]!.toUpperCase() + label.slice(1);
      return [
        {
          id: `${y}-by-${x}`,
          title: `${name} by ${course}`,
          alt: `A line for the training and the validation part of ${runs.map((run) => run.name).join(", ")}, a diamond for the test part.`,
          chart,
        },
      ];
    }),
  );
}
