/** @file What a comparison comes to: figures of every run, their means over seeds, and how entries differ. Pure. */
import { z } from "zod";
import { meanInterval, pairedContrast, type Contrast, type Estimate } from "../../run/metrics/interval.ts";
import { COMPARED_FIGURES, FIGURE_NAMES, type FigureName, type Figures } from "./comparedFigures.ts";
import type { ComparedEntry, ComparedRun } from "./comparisonConfig.ts";

/** A run with its figures. */
export interface MeasuredRun extends Omit<ComparedRun, "entry"> {
  figures: Figures;
}

/** A row of a comparison. */
export interface EntryResult extends ComparedEntry {
  /** By rising seed; those that are not done are missing. */
  runs: MeasuredRun[];
  /** Over the seeds; null where the entry has no such figure. */
  figures: Record<FigureName, Estimate | null>;
  /** Against the first entry, seed by seed; null for figures that are not compared, and all of the first entry. */
  against: Record<FigureName, Contrast | null>;
}

/** What a comparison comes to. */
export interface ComparisonResult {
  /** Its folder. */
  run: string;
  /** False when it was stopped by the signal. */
  finished: boolean;
  rows: { train: number; validation: number; test: number };
  entries: EntryResult[];
}

const record = <T>(valueOf: (name: FigureName) => T): Record<FigureName, T> =>
  Object.fromEntries(FIGURE_NAMES.map((name) => [name, valueOf(name)])) as Record<FigureName, T>;

/** Summarises runs. @param runs those that are done, with the index of their entries */
export function entryResults(
  entries: readonly ComparedEntry[],
  runs: readonly (MeasuredRun & { entry: number })[],
): EntryResult[] {
  const runsOf = entries.map((_, index) =>
    runs
      .filter(({ entry }) => entry === index)
      .map(({ entry: _entry, ...run }) => run)
      .sort((a, b) => a.seed - b.seed),
  );
  return entries.map((entry, index) => {
    const own = runsOf[index]!;
    return {
      ...entry,
      runs: own,
      figures: record((name) => meanInterval(own.flatMap(({ figures }) => figures[name] ?? []))),
      against: record((name) => (index === 0 ? null : contrastOf(name, runsOf[0]!, own))),
    };
  });
}

function contrastOf(
  name: FigureName,
  reference: readonly MeasuredRun[],
  own: readonly MeasuredRun[],
): Contrast | null {
  const { contrast } = COMPARED_FIGURES[name];
  if (contrast === null) return null;
  const pairs = own.flatMap(({ seed, figures }) => {
    const before = reference.find((run) => run.seed === seed)?.figures[name] ?? null;
    const value = figures[name];
    return before === null || value === null ? [] : [[before, value] as const];
  });
  return pairedContrast(contrast, pairs);
}

const count = z.number();
const bound = count.nullable();
const estimate = z.looseObject({ mean: count, low: bound, high: bound });
const contrast = estimate.extend({
  kind: z.enum(["difference", "ratio"]),
  isEqual: z.boolean(),
  isSignificant: z.boolean().nullable(),
});
/** Figures by name; those that an older Pareto did not have are null. */
const named = <T extends z.ZodType>(value: T) =>
  z.object(Object.fromEntries(FIGURE_NAMES.map((name) => [name, value.nullable().default(null as never)])));

/** What the report reads of a comparison. */
export const comparisonSchema = z.looseObject({
  finished: z.boolean(),
  rows: z.object({ train: count, validation: count, test: count }),
  entries: z.array(
    z.looseObject({
      name: z.string(),
      model: z.string(),
      strategy: z.string(),
      runs: z.array(z.looseObject({ seed: count, folder: z.string(), figures: named(count) })),
      figures: named(estimate),
      against: named(contrast),
    }),
  ),
}) as unknown as z.ZodType<ComparisonResult>;
