/** @file Figures of a comparison in words, the same on the terminal and in the report. Pure. */
import { formatFixed, UNKNOWN } from "../../base/format.ts";
import type { Contrast, Estimate } from "../../run/metrics/interval.ts";
import { COMPARED_FIGURES, FIGURE_NAMES, type FigureName } from "./comparedFigures.ts";
import type { EntryResult } from "./comparisonResult.ts";

/** The figures that any entry has, in the order of the tables. */
function presentFigures(entries: readonly EntryResult[]): FigureName[] {
  return FIGURE_NAMES.filter((name) => entries.some(({ figures }) => figures[name] !== null));
}

/** The figures that say how fast and how good an entry is; the others say how. */
const MAIN: ReadonlySet<FigureName> = new Set(["trainSeconds", "samplesPerSecond", "auc", "logLoss"]);

/** The figures that any entry has, in two tables; the second may be empty. */
export function figureTables(entries: readonly EntryResult[]): [main: FigureName[], further: FigureName[]] {
  const present = presentFigures(entries);
  return [present.filter((name) => MAIN.has(name)), present.filter((name) => !MAIN.has(name))];
}

/** The figures that entries are compared by. */
export function contrastedFigures(entries: readonly EntryResult[]): FigureName[] {
  return FIGURE_NAMES.filter((name) => entries.some(({ against }) => against[name] !== null));
}

/** A mean, and half of its interval where measurements differ: `0.7653 ± 0.0012`. */
export function estimateText(name: FigureName, estimate: Estimate | null): string {
  if (estimate === null) return UNKNOWN;
  const { format } = COMPARED_FIGURES[name];
  const { mean, high } = estimate;
  const half = high === null ? 0 : high - mean;
  return half === 0 ? format(mean) : `${format(mean)} ± ${format(half)}`;
}

const signed = (value: number) => `${value < 0 ? "−" : "+"}${formatFixed(Math.abs(value))}`;
const times = (value: number) => `${formatFixed(value, 3)} ×`;

/** A difference with its interval: `+0.0012 (−0.0003 to +0.0027)`, `1.31 × (1.24 to 1.38)`. */
export function contrastText(contrast: Contrast | null): string {
  if (contrast === null) return UNKNOWN;
  const { kind, mean, low, high } = contrast;
  const text = kind === "ratio" ? times : signed;
  const bound = kind === "ratio" ? (value: number) => formatFixed(value, 3) : signed;
  return low === null || high === null || low === high
    ? text(mean)
    : `${text(mean)} (${bound(low)} to ${bound(high)})`;
}

/** What a difference says. */
export function verdict(name: FigureName, contrast: Contrast | null): string {
  if (contrast === null) return "";
  const { kind, mean, isEqual, isSignificant } = contrast;
  if (isEqual) return "equal";
  if (isSignificant === null) return "one seed: no interval";
  if (!isSignificant) return "no significant difference";
  const isHigher = mean > (kind === "ratio" ? 1 : 0);
  return isHigher === (COMPARED_FIGURES[name].better === "higher") ? "better" : "worse";
}
