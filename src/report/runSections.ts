/**
 * @file The sections that runs of every kind have, from their folders: result, warnings, learning, time line, decisions,
 * configuration. A section without data has no blocks, and the page leaves it out. Pure.
 */
import { formatBytes, formatCount, formatFixed, UNKNOWN } from "../base/format.ts";
import type { DecisionEvent } from "../run/policies/decision.ts";
import type { SpanChart } from "./chart.ts";
import type { NamedRun } from "./namedRun.ts";
import type { Cell, Section, Table } from "./page.ts";
import type { MetricName } from "../run/metrics/metricNames.ts";
import { curveFigures } from "./runCurves.ts";
import { seriesColor, spanColor } from "./style.ts";

/** A value of a table of settings. */
export type Scalar = string | number | boolean | null | undefined;

/** Names of runs with their colours. */
export const runCells = (runs: readonly NamedRun[]): Cell[] =>
  runs.map(({ name }, index) => ({ text: name, swatch: seriesColor(index) }));

/** The headline table: a row a figure, a column a run; figures that no run has are left out. */
export function resultSection(
  runs: readonly NamedRun[],
  rows: readonly (readonly [name: string, ...values: string[]])[],
): Section {
  const kept = rows.filter(([, ...values]) => values.some((value) => value !== UNKNOWN));
  return {
    title: "Result",
    blocks: [{ kind: "table", table: { head: ["", ...runCells(runs)], rows: kept, look: "headline" } }],
  };
}

/** Warnings of the runs, each once. */
export function warningsSection(runs: readonly NamedRun[], others: readonly string[] = []): Section {
  const texts = runs.flatMap(({ name, files }) =>
    files.events.flatMap((event) =>
      event.event === "notice" && event.level === "warning"
        ? [runs.length > 1 ? `${name}: ${event.message}` : event.message]
        : [],
    ),
  );
  const items = [...new Set([...texts, ...others])];
  return { title: "Warnings", blocks: items.length > 0 ? [{ kind: "list", items }] : [] };
}

/** Curves of quality over training. */
export function learningSection(runs: readonly NamedRun[], measures: readonly MetricName[]): Section {
  const figures = curveFigures(runs, measures, ["step", "seconds"]);
  if (figures.length === 0) return { title: "Learning", blocks: [] };
  return {
    title: "Learning",
    blocks: [
      { kind: "figures", figures, key: runCells(runs) },
      {
        kind: "text",
        text: "Bold line: validation. Thin line: training, smoothed. Diamond: test, with the weights that were kept.",
      },
    ],
  };
}

/** Spans that touch are drawn as one, so that a time line of thousands of them stays drawable. */
const TOUCHING_SECONDS = 1e-3;

/** Where the time of each run went; the clock goes on over resumes. */
export function timeSection(runs: readonly NamedRun[]): Section {
  const rows = runs.flatMap(({ name, files }): SpanChart["rows"][number][] => {
    const spans: { name: string; color: string; start: number; end: number }[] = [];
    const events = files.events.filter((event) => event.event === "span");
    for (const { span, start, end } of events.toSorted((a, b) => a.start - b.start)) {
      const last = spans.at(-1);
      if (last?.name === span && start - last.end < TOUCHING_SECONDS) last.end = end;
      else spans.push({ name: span, color: spanColor(span), start, end });
    }
    return spans.length === 0 ? [] : [{ name, spans }];
  });
  if (rows.length === 0) return { title: "Where the time went", blocks: [] };
  const resumes = runs.flatMap(({ name, files }) => {
    const count = files.events.filter(({ event }) => event === "resumed").length;
    return count === 0 ? [] : [`${name} was resumed ${count === 1 ? "once" : `${count} times`}`];
  });
  return {
    title: "Where the time went",
    blocks: [
      {
        kind: "figures",
        figures: [
          {
            id: "time",
            title: "Stretches of each run",
            alt: `A bar a run, from its start to its end, coloured by what was done. ${rows.map(({ name }) => name).join(", ")}.`,
            ...(resumes.length > 0 && {
              note: `${resumes.join("; ")}. The clock counts the time that the run was running.`,
            }),
            chart: { kind: "spans", x: { label: "seconds since the start of the run", ticks: 8 }, rows },
          },
        ],
      },
    ],
  };
}

/** Decisions of a kind that are listed one by one. */
const DECISIONS = 30;

const figureText = (value: unknown): string => {
  if (typeof value !== "number") return String(value ?? UNKNOWN);
  return Number.isInteger(value) ? formatCount(value) : String(Number(value.toPrecision(4)));
};
const figuresText = (figures: object): string =>
  Object.entries(figures)
    .map(([name, value]) => `${name} ${figureText(value)}`)
    .join(", ");

/** What policies decided, what they saw before it. @param others kinds that are shown elsewhere */
export function decisionsSection(
  runs: readonly NamedRun[],
  others: readonly DecisionEvent["kind"][] = [],
): Section {
  const rows = runs.flatMap(({ name, files }) =>
    files.decisions.filter(({ kind }) => !others.includes(kind)).map((decision) => ({ name, decision })),
  );
  const shown = rows.slice(0, DECISIONS).map(({ name, decision }) => {
    const { kind, policy, step, subject, saw, chose } = decision;
    return [
      runs.length > 1 ? `${name}: ${policy}` : policy,
      kind,
      formatCount(step),
      subject,
      figuresText(saw),
      figuresText(chose),
    ];
  });
  if (shown.length === 0) return { title: "Decisions of policies", blocks: [] };
  const head = ["Policy", "Kind", "Step", "About", "Saw", "Chose"];
  return {
    title: "Decisions of policies",
    blocks: [
      { kind: "table", table: { head, rows: shown, look: "facts" } },
      ...(rows.length > DECISIONS
        ? [
            {
              kind: "text" as const,
              text: `The first ${DECISIONS} of ${formatCount(rows.length)}; decisions.jsonl holds all.`,
            },
          ]
        : []),
    ],
  };
}

function settingText(value: Scalar): string {
  if (value === undefined || value === null) return UNKNOWN;
  return typeof value === "number" && Math.abs(value) >= 10_000 ? formatCount(value) : String(value);
}

/** Options of the runs side by side, and what they ran on. */
export function settingsSection(
  runs: readonly NamedRun[],
  settings: readonly Readonly<Record<string, Scalar>>[],
): Section {
  const names = [...new Set(settings.flatMap((own) => Object.keys(own)))];
  const options: Table = {
    head: ["Option", ...runs.map(({ name }) => name)],
    rows: names.map((name) => [name, ...settings.map((own) => settingText(own[name]))]),
    look: "facts",
  };
  const [{ files }] = runs as [NamedRun, ...NamedRun[]];
  const { command, pareto, node, packages, machine, startedAt, status } = files.record;
  const facts: [string, string][] = [
    ["command", `pareto ${command}`],
    ["started", startedAt],
    ["state", status],
    ["seconds", formatFixed(files.record.seconds, 1)],
    ["pareto", pareto],
    ["node", node],
    ["processor", `${formatCount(machine.cores)} cores of ${machine.cpu}`],
    ["memory", formatBytes(machine.memoryBytes)],
    ...Object.entries(packages),
  ];
  const where: Table = { head: ["Run and machine", ""], rows: facts, look: "facts" };
  return {
    title: "Configuration",
    blocks: [{ kind: "tables", tables: names.length > 0 ? [options, where] : [where] }],
  };
}
