/** @file Charts as data: what is drawn, in which colours, against which axes. */

/** An axis. */
export interface Axis {
  /** What is counted, with its unit. */
  label: string;
  /** Defaults to `linear`. */
  scale?: "linear" | "log";
  /** Of a log scale. Defaults to 10. */
  base?: number;
  /** Defaults to the span of the values. */
  domain?: readonly [number, number];
  /** Values with a tick, or about how many there are to be. */
  ticks?: readonly number[] | number;
  /** How a value reads on the axis and in the table beneath. */
  format?: (value: number) => string;
  /** How a value reads in the table, where that needs more digits. Defaults to `format`. */
  exact?: (value: number) => string;
}

/** A value, perhaps with an interval around it. */
export interface Point {
  x: number;
  y: number;
  low?: number;
  high?: number;
}

/** Points of one name and colour. */
export interface Series {
  name: string;
  /** Name of a colour of {@link file://./style.ts}. */
  color: string;
  /** By rising x. */
  points: readonly Point[];
  /** How points are joined. Defaults to `solid`. */
  line?: "solid" | "dashed" | "faint" | "stepped" | "none";
  /** How points are marked. Defaults to `none`. */
  mark?: "dots" | "diamonds" | "none";
  /** Whether the area under the line is tinted. */
  isFilled?: boolean;
  /** Whether the table beneath leaves it out, as it does with curves of many points. */
  isOutOfTable?: boolean;
}

/** A dashed line across the chart. */
interface Rule {
  axis: "x" | "y";
  at: number;
  label: string;
}

/** Words beside a point. */
interface Label {
  x: number;
  y: number;
  text: string;
}

/** Lines and points against two axes. */
export interface LineChart {
  kind: "lines";
  x: Axis;
  y: Axis;
  series: readonly Series[];
  rules?: readonly Rule[];
  labels?: readonly Label[];
  /** Pixels. Defaults to 240. */
  height?: number;
}

/** A stretch of a time line. */
interface Span {
  name: string;
  color: string;
  start: number;
  end: number;
}

/** Stretches of time, a row a name. Takes the width of the page. */
export interface SpanChart {
  kind: "spans";
  x: Axis;
  rows: readonly { name: string; spans: readonly Span[] }[];
}

/** A bar, with its value in words at its end. */
interface Bar {
  name: string;
  value: number;
  text: string;
  color: string;
}

/** Bars from the left, one under the other. */
export interface BarChart {
  kind: "bars";
  x: Axis;
  bars: readonly Bar[];
}

/** Any chart. */
export type Chart = LineChart | SpanChart | BarChart;
