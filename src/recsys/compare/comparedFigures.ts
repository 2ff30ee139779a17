/**
 * @file The figures of a run that comparisons show, from its folder alone: its result and its time line. A figure that a
 * strategy does not have is null, never 0.
 */
import { z } from "zod";
import { formatBytes, formatCount, formatFixed, formatSeconds, formatShare } from "../../base/format.ts";
import type { Contrast } from "../../run/metrics/interval.ts";
import { resultOf, type RunFiles } from "../../run/readRun.ts";

/** How a figure is shown, and how two runs' are compared. */
interface FigureDescription {
  label: string;
  format: (value: number) => string;
  /** Which values are better; null where none are. */
  better: "higher" | "lower" | null;
  /** How entries are compared to the first; null where that says nothing. */
  contrast: Contrast["kind"] | null;
}

const share = (value: number) => formatShare(value);
const decimals = (value: number) => formatFixed(value, 4);

/** The figures, in the order of the tables. */
export const COMPARED_FIGURES = {
  trainSeconds: { label: "training", format: formatSeconds, better: "lower", contrast: "ratio" },
  samplesPerSecond: {
    label: "samples/s",
    format: (value) => formatCount(value),
    better: "higher",
    contrast: "ratio",
  },
  auc: { label: "AUC", format: decimals, better: "higher", contrast: "difference" },
  logLoss: { label: "log loss", format: decimals, better: "lower", contrast: "difference" },
  calibrationSeconds: {
    label: "choosing rows before training",
    format: formatSeconds,
    better: null,
    contrast: null,
  },
  popularInputShare: { label: "popular inputs", format: share, better: null, contrast: null },
  accessCoverage: { label: "popular accesses", format: share, better: null, contrast: null },
  bytesMoved: { label: "bytes moved", format: formatBytes, better: null, contrast: null },
} as const satisfies Record<string, FigureDescription>;

/** Names of figures. */
export type FigureName = keyof typeof COMPARED_FIGURES;

/** Names in the order of the tables. */
export const FIGURE_NAMES = Object.keys(COMPARED_FIGURES) as FigureName[];

/** Figures of a run. */
export type Figures = Record<FigureName, number | null>;

const figure = z.number().nullable();

/** What is read of a result. */
const resultSchema = z.looseObject({
  finished: z.boolean(),
  trainSeconds: figure,
  samplesPerSecond: figure,
  auc: figure,
  logLoss: figure,
  hot: z.looseObject({ inputShare: figure, accessShare: figure }).nullable(),
  sync: z.looseObject({ bytes: z.number() }),
});

/** The figures of a run that is done; null of any other. @throws ParetoError RUN_INVALID */
export function figuresOf(run: RunFiles): Figures | null {
  const result = resultOf(resultSchema, run);
  if (result === null || !result.finished) return null;
  const { trainSeconds, samplesPerSecond, auc, logLoss, hot, sync } = result;
  return {
    trainSeconds,
    samplesPerSecond,
    auc,
    logLoss,
    calibrationSeconds: secondsOf(run, "calibrate"),
    popularInputShare: hot?.inputShare ?? null,
    accessCoverage: hot?.accessShare ?? null,
    bytesMoved: hot && sync.bytes,
  };
}

/** Seconds of a run's stretches of a name; null where it has none. */
function secondsOf({ events }: RunFiles, name: string): number | null {
  const spans = events.filter((event) => event.event === "span").filter(({ span }) => span === name);
  return spans.length === 0 ? null : spans.reduce((sum, { start, end }) => sum + end - start, 0);
}
