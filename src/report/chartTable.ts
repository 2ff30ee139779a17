/** @file The numbers of a chart as a table, for who cannot see it or wants them exactly. Pure. */
import { formatFixed, UNKNOWN } from "../base/format.ts";
import type { Axis, BarChart, Chart, LineChart, Point, SpanChart } from "./chart.ts";
import type { Table } from "./page.ts";

/** Rows at most; of more values every k-th is shown, and the last. */
const ROWS = 40;

function shown(axis: Axis, value: number): string {
  const format = axis.exact ?? axis.format ?? ((x: number) => String(Number(x.toPrecision(6))));
  return format(value);
}

function linesTable({ x, y, series }: LineChart): Table | null {
  const told = series.filter(({ isOutOfTable, points }) => !isOutOfTable && points.length > 0);
  if (told.length === 0) return null;
  const values = [...new Set(told.flatMap(({ points }) => points.map((point) => point.x)))].sort(
    (a, b) => a - b,
  );
  const stride = Math.ceil(values.length / ROWS);
  const kept = values.filter((_, i) => i % stride === 0 || i === values.length - 1);
  const text = ({ y: value, low, high }: Point) =>
    low === undefined || high === undefined
      ? shown(y, value)
      : `${shown(y, value)} (${shown(y, low)} to ${shown(y, high)})`;
  return {
    head: [x.label, ...told.map(({ name }) => name)],
    rows: kept.map((value) => [
      shown(x, value),
      ...told.map(({ points }) => {
        const point = points.find((one) => one.x === value);
        return point === undefined ? UNKNOWN : text(point);
      }),
    ]),
  };
}

function spansTable({ rows }: SpanChart): Table {
  const names = [...new Set(rows.flatMap(({ spans }) => spans.map(({ name }) => name)))];
  return {
    head: ["Seconds in all", ...rows.map(({ name }) => name)],
    rows: names.map((name) => [
      name,
      ...rows.map(({ spans }) => {
        const own = spans.filter((span) => span.name === name);
        return own.length === 0
          ? UNKNOWN
          : formatFixed(
              own.reduce((sum, { start, end }) => sum + end - start, 0),
              2,
            );
      }),
    ]),
  };
}

function barsTable({ x, bars }: BarChart): Table {
  return { head: ["", x.label], rows: bars.map(({ name, text }) => [name, text]) };
}

/** The table; null where the chart keeps its numbers out of it. */
export function chartTable(chart: Chart): Table | null {
  if (chart.kind === "lines") return linesTable(chart);
  return chart.kind === "spans" ? spansTable(chart) : barsTable(chart);
}
