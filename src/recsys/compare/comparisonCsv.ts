/**
 * @file A comparison as CSV: `runs.csv` with a line for each run, `comparison.csv` with a line for each entry and figure.
 * Numbers are written in full; what is not known is an empty field. Pure.
 */
import { FIGURE_NAMES } from "./comparedFigures.ts";
import type { EntryResult } from "./comparisonResult.ts";

/** A field, in quotation marks where it needs them (RFC 4180). */
function field(value: string | number | boolean | null): string {
  const text = value === null ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

type Line = readonly (string | number | boolean | null)[];

const csv = (lines: readonly Line[]): string =>
  lines.map((line) => `${line.map(field).join(",")}\n`).join("");

/** A line a run: its entry, seed, folder and figures. */
export function runsCsv(entries: readonly EntryResult[]): string {
  return csv([
    ["entry", "model", "strategy", "seed", "folder", ...FIGURE_NAMES],
    ...entries.flatMap(({ name, model, strategy, runs }) =>
      runs.map(({ seed, folder, figures }): Line => [
        name,
        model,
        strategy,
        seed,
        folder,
        ...FIGURE_NAMES.map((figure) => figures[figure]),
      ]),
    ),
  ]);
}

/** A line an entry and figure: mean and interval over the seeds, and how it differs from the first entry. */
export function comparisonCsv(entries: readonly EntryResult[]): string {
  const head = ["entry", "figure", "seeds", "mean", "low", "high"];
  const contrasts = ["contrast", "contrast_mean", "contrast_low", "contrast_high", "significant"];
  return csv([
    [...head, ...contrasts],
    ...entries.flatMap(({ name, runs, figures, against }) =>
      FIGURE_NAMES.flatMap((figure): Line[] => {
        const estimate = figures[figure];
        if (estimate === null) return [];
        const { mean, low, high } = estimate;
        const contrast = against[figure];
        const difference: Line =
          contrast === null
            ? ["", null, null, null, null]
            : [contrast.kind, contrast.mean, contrast.low, contrast.high, contrast.isSignificant];
        return [[name, figure, runs.length, mean, low, high, ...difference]];
      }),
    ),
  ]);
}
