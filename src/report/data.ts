/**
 * @file What a report is made from: plain JSON-able data, gathered from the events of each run and a profile of
 * the data set. Every part but the runs may be missing; its section is then left out.
 */
import type { RunEvent } from "../run/events.ts";

/** A value of a config or environment table. */
export type Scalar = string | number | boolean | null;

/** The figures of the headline table. Null where a run has none; NaN is stored as null. */
export interface RunSummary {
  auc: number | null;
  logLoss: number | null;
  accuracy: number | null;
  /** Of classifiers of several classes. */
  macroF1?: number | null;
  weightedF1?: number | null;
  top3?: number | null;
  calibrationError?: number | null;
  parameters?: number | null;
  weightBytes?: number | null;
  /** The best AUC that the planted truth allows on the test part; known for synthetic logs only. */
  bayesAuc?: number | null;
  samplesPerSecond: number | null;
  trainSeconds: number | null;
  hot?: { rows: number; bytes: number; inputShare: number; accessShare: number } | null;
  sync?: { count: number; bytes: number; seconds: number } | null;
  peakRssBytes?: number | null;
}

/** A point of a learning curve. */
export interface CurvePoint {
  part: "train" | "validation" | "test";
  step: number;
  seconds: number;
  logLoss: number;
  auc: number | null;
  accuracy: number | null;
  macroF1: number | null;
}

/** A stretch of the time line, in seconds since the start of the run. */
export interface PhaseSpan {
  phase: string;
  start: number;
  end: number;
}

/** A decision of the shuffle scheduler. */
export interface RatePoint {
  /** Optimizer steps so far. */
  step: number;
  /** Percent of each class of batches that a round takes. */
  rate: number;
  loss: number | null;
  action: string;
}

/** One run of the report. */
export interface ReportRun {
  /** Shown as the column head, e.g. `baseline`. */
  name: string;
  summary: RunSummary;
  curve: CurvePoint[];
  phases: PhaseSpan[];
  rates: RatePoint[];
  /** Warnings given during the run. */
  warnings: string[];
  config: Record<string, Scalar>;
}

/** What the profile of the data set found. */
export interface ReportProfile {
  /** Rising: the share of accesses that the most used share of rows takes. */
  skew: { rowShare: number; accessShare: number }[];
  /** By rising budget: how many inputs touch hot rows only, and how many accesses go to hot rows. */
  budgets: { bytes: number; inputShare: number; accessShare: number }[];
  /** The budget that the runs used. */
  chosenBudgetBytes: number | null;
  /** Categorical fields. */
  fields: {
    name: string;
    rows: number;
    missingShare: number;
    /** Share of its accesses that go to its most used 1 % and 10 % of rows. */
    top1Share: number;
    top10Share: number;
  }[];
}

/** Quality of a classifier on one class; NaN where it is not defined. */
export interface ReportClass {
  name: string;
  support: number;
  precision: number;
  recall: number;
  f1: number;
}

/** Test rows of one class that were taken for another. */
export interface ReportConfusion {
  label: string;
  predicted: string;
  count: number;
  share: number;
}

/** All of a report. */
export interface ReportData {
  title: string;
  /** One line under the title: what data, how many rows. */
  subtitle: string;
  /** ISO 8601. */
  createdAt: string;
  runs: ReportRun[];
  profile?: ReportProfile;
  /** On the test part, by class number. */
  classes?: ReportClass[];
  /** The worst first. */
  confusions?: ReportConfusion[];
  /** Machine and versions. */
  environment: Record<string, Scalar>;
}

/** A curve of more points than this is thinned. */
const MAX_POINTS = 1500;

const finite = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value : null;

/** Keeps every k-th point and the last, so that at most {@link MAX_POINTS} remain. */
function thin<T>(points: readonly T[]): T[] {
  const stride = Math.ceil(points.length / MAX_POINTS);
  return points.filter((_, index) => index % stride === 0 || index === points.length - 1);
}

/** Joins stretches of one phase that touch, so that a time line of thousands of stretches stays drawable. */
function joinPhases(spans: readonly PhaseSpan[]): PhaseSpan[] {
  const joined: PhaseSpan[] = [];
  for (const span of spans) {
    const last = joined.at(-1);
    if (last !== undefined && last.phase === span.phase && span.start - last.end < 1e-3) last.end = span.end;
    else joined.push({ ...span });
  }
  return joined;
}

/** Points and stretches of a run, from its events in order. Losses that are not finite are left out. */
function gather(events: Iterable<RunEvent>): Pick<ReportRun, "curve" | "phases" | "rates" | "warnings"> {
  const curve: CurvePoint[] = [];
  const phases: PhaseSpan[] = [];
  const rates: RatePoint[] = [];
  const warnings: string[] = [];
  for (const event of events) {
    if (event.event === "metrics") {
      const { part, step, seconds, logLoss, auc, accuracy, macroF1 } = event;
      if (!Number.isFinite(logLoss)) continue;
      const quality = { auc: finite(auc), accuracy: finite(accuracy), macroF1: finite(macroF1) };
      curve.push({ part, step, seconds, logLoss, ...quality });
    } else if (event.event === "span") {
      phases.push({ phase: event.span, start: event.start, end: event.end });
    } else if (event.event === "decision" && event.kind === "recsys.rate") {
      const { rate, action } = event.chose;
      const { loss } = event.saw;
      if (typeof rate !== "number") continue;
      rates.push({
        step: event.step,
        rate,
        loss: typeof loss === "number" ? finite(loss) : null,
        action: String(action ?? ""),
      });
    } else if (event.event === "notice" && event.level === "warning") {
      warnings.push(event.message);
    }
  }
  const train = thin(curve.filter((point) => point.part === "train"));
  return {
    curve: [...train, ...curve.filter((point) => point.part !== "train")],
    phases: joinPhases(phases.toSorted((a, b) => a.start - b.start)),
    rates,
    warnings: [...new Set(warnings)],
  };
}

/**
 * One run of a report, from what it answered and the events it emitted.
 *
 * Progress events are ignored; rates are read from decisions of kind `recsys.rate` with
 * `saw: { loss }` and `chose: { rate, action }`.
 */
export function reportRun(
  name: string,
  summary: RunSummary,
  events: Iterable<RunEvent>,
  config: Record<string, Scalar> = {},
): ReportRun {
  return { name, summary, config, ...gather(events) };
}
