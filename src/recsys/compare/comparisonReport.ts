/** @file The report of a comparison: speed and quality side by side, and how each entry differs from the first. */
import { z } from "zod";
import { formatCount, formatFixed, UNKNOWN } from "../../base/format.ts";
import type { Series } from "../../report/chart.ts";
import type { Block, Figure, Page, Section } from "../../report/page.ts";
import { settingsSection, warningsSection, type Scalar } from "../../report/runSections.ts";
import { seriesColor } from "../../report/style.ts";
import type { Contrast, Estimate } from "../../run/metrics/interval.ts";
import { resultOf, type RunFiles } from "../../run/readRun.ts";
import { storedConfig } from "../../run/storedConfig.ts";
import { COMPARED_FIGURES, type FigureName } from "./comparedFigures.ts";
import { comparedEntries, comparisonConfig, type ComparisonConfig } from "./comparisonConfig.ts";
import { comparisonSchema, type ComparisonResult, type EntryResult } from "./comparisonResult.ts";
import { contrastedFigures, contrastText, estimateText, figureTables, verdict } from "./comparisonText.ts";

/** The page of a comparison. @throws ParetoError RUN_INVALID */
export function comparisonReport(files: RunFiles): Page {
  const result = resultOf(comparisonSchema, files);
  const config = storedConfig("recsys compare", comparisonConfig, files);
  const runs = [{ name: "comparison", files }];
  const settings = settingsSection(runs, [settingsOf(config)]);
  const names = comparedEntries(config).map(({ name }) => name);
  const title = `${names.slice(0, -1).join(", ")}${names.length > 1 ? " and " : ""}${names.at(-1)!} compared`;
  if (!result || result.entries.every(({ runs }) => runs.length === 0))
    return { title, subtitle: "not finished", sections: [warningsSection(runs), settings] };
  return {
    title,
    subtitle: subtitleOf(result),
    sections: [
      resultSection(result),
      warningsSection(runs),
      contrastSection(result),
      picturesSection(result),
      runsSection(result),
      settings,
    ],
  };
}

function subtitleOf({ rows, entries, finished }: ComparisonResult): string {
  const seeds = Math.max(...entries.map(({ runs }) => runs.length));
  const data = `${formatCount(rows.train)} training, ${formatCount(rows.validation)} validation and ${formatCount(rows.test)} test rows`;
  return `${data}; ${seeds === 1 ? "one seed" : `means over ${seeds} seeds`}${finished ? "" : "; not finished"}`;
}

const named = (entries: readonly EntryResult[]) =>
  entries.map(({ name }, i) => ({ text: name, swatch: seriesColor(i) }));

function resultSection({ entries }: ComparisonResult): Section {
  const tables = figureTables(entries).filter((names) => names.length > 0);
  return {
    title: "Result",
    blocks: [
      ...tables.map((names): Block => ({
        kind: "table",
        table: {
          head: ["", ...names.map((name) => COMPARED_FIGURES[name].label)],
          rows: entries.map(({ figures }, i) => [
            named(entries)[i]!,
            ...names.map((name) => estimateText(name, figures[name])),
          ]),
        },
      })),
      { kind: "text", text: "± is half of the 95 % interval of Student's t over the seeds." },
    ],
  };
}

function contrastSection({ entries }: ComparisonResult): Section {
  const [reference, ...others] = entries;
  const names = contrastedFigures(entries);
  if (names.length === 0) return { title: "Differences", blocks: [] };
  const cell = (name: FigureName, contrast: Contrast | null) =>
    contrast === null ? UNKNOWN : `${contrastText(contrast)}: ${verdict(name, contrast)}`;
  return {
    title: `Against ${reference!.name}`,
    blocks: [
      {
        kind: "table",
        table: {
          head: ["", ...names.map((name) => COMPARED_FIGURES[name].label)],
          rows: others.map(({ name, against }, i) => [
            { text: name, swatch: seriesColor(i + 1) },
            ...names.map((figure) => cell(figure, against[figure])),
          ]),
          look: "prose",
        },
      },
      {
        kind: "text",
        text: "Paired by seed: runs of a seed start from the same weights and see the same rows. Times and rates are compared by their ratio. Each 95 % interval stands for itself: of twenty, one is expected to miss.",
      },
    ],
  };
}

const withInterval = (x: number, { mean, low, high }: Estimate) => ({
  x,
  y: mean,
  ...(low !== null && high !== null && { low, high }),
});

function picturesSection({ entries }: ComparisonResult): Section {
  const figures = [speedFigure(entries), differenceFigure(entries)].filter((one) => one !== null);
  return {
    title: "Speed and quality",
    blocks: figures.length > 0 ? [{ kind: "figures", figures, key: named(entries) }] : [],
  };
}

function speedFigure(entries: readonly EntryResult[]): Figure | null {
  const bars = entries.flatMap(({ name, figures: { trainSeconds } }, i) =>
    trainSeconds === null
      ? []
      : [
          {
            name,
            value: trainSeconds.mean,
            text: estimateText("trainSeconds", trainSeconds),
            color: seriesColor(i),
          },
        ],
  );
  if (bars.length === 0) return null;
  return {
    id: "training-time",
    title: "Time of training",
    alt: "A bar for each entry; shorter is faster.",
    chart: { kind: "bars", x: { label: "seconds" }, bars },
  };
}

/** What is gained in time against what it costs in quality. */
function differenceFigure(entries: readonly EntryResult[]): Figure | null {
  const series = entries.flatMap(({ name, against: { auc, trainSeconds } }, i): Series[] =>
    auc === null || trainSeconds === null
      ? []
      : [
          {
            name,
            color: seriesColor(i),
            points: [withInterval(1 / trainSeconds.mean, auc)],
            line: "none",
            mark: "diamonds",
          },
        ],
  );
  if (series.length === 0) return null;
  const speeds = series.flatMap(({ points }) => points.map(({ x }) => x));
  const reference = entries[0]!.name;
  return {
    id: "speed-and-auc",
    title: `Speed-up and AUC against ${reference}`,
    alt: "A point for each entry: right is faster, up is better.",
    note: "Bars are 95 % intervals of the difference in AUC; where one crosses the dashed line there is no significant difference.",
    chart: {
      kind: "lines",
      x: {
        label: `speed-up over ${reference}`,
        domain: [Math.min(0.9, ...speeds) - 0.05, Math.max(1.1, ...speeds) + 0.05],
        ticks: 5,
        format: (value) => `${formatFixed(value, 2)} ×`,
      },
      y: {
        label: "difference in AUC",
        format: (value) => formatFixed(value, 4),
        exact: (value) => formatFixed(value, 5),
      },
      series,
      rules: [{ axis: "y", at: 0, label: reference }],
    },
  };
}

function runsSection({ entries }: ComparisonResult): Section {
  const [names] = figureTables(entries);
  const rows = entries.flatMap(({ name, runs }) =>
    runs.map(({ seed, folder, figures }) => [
      { text: `${name}, seed ${seed}`, href: `${folder}/report.html` },
      ...names.map((figure) => {
        const value = figures[figure];
        return value === null ? UNKNOWN : COMPARED_FIGURES[figure].format(value);
      }),
    ]),
  );
  return {
    title: "Runs",
    blocks: [
      {
        kind: "table",
        table: { head: ["", ...names.map((name) => COMPARED_FIGURES[name].label)], rows },
      },
      { kind: "text", text: "runs.csv and comparison.csv hold every figure with all digits." },
    ],
  };
}

const listed = z.array(z.union([z.string(), z.number()]));

function settingsOf({ settings, models, strategies, seeds }: ComparisonConfig): Record<string, Scalar> {
  const own = Object.entries(settings).map(([name, value]) => {
    const list = listed.safeParse(value);
    return [name, list.success ? list.data.join(", ") : (value as Scalar)];
  });
  return {
    models: models.map(({ text }) => text).join("; "),
    strategies: strategies.map(({ text }) => text).join("; "),
    seeds,
    ...(Object.fromEntries(own) as Record<string, Scalar>),
  };
}
