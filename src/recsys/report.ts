/** @file The report of CTR models' training: what the page shows of runs over one click log. */
import { z } from "zod";
import {
  formatBytes,
  formatCount,
  formatFixed,
  formatSeconds,
  formatShare,
  UNKNOWN,
} from "../base/format.ts";
import type { LineChart } from "../report/chart.ts";
import { namedRuns, type NamedRun } from "../report/namedRun.ts";
import type { Figure, Page, Section } from "../report/page.ts";
import {
  decisionsSection,
  learningSection,
  resultSection,
  runCells,
  settingsSection,
  timeSection,
  warningsSection,
  type Scalar,
} from "../report/runSections.ts";
import { seriesColor } from "../report/style.ts";
import { readPolicyText } from "../run/policies/policyText.ts";
import { METRICS, METRIC_NAMES } from "../run/metrics/metricNames.ts";
import { resultOf, type RunFiles } from "../run/readRun.ts";
import { accessFigures } from "./accessFigures.ts";
import { readAccessProfile, type AccessProfile } from "./profile/accessProfile.ts";
import type { TrainClicksResult } from "./training/clickResult.ts";

/** What runs came to; of one that is not done, nothing. */
type Results = readonly (TrainClicksResult | null)[];

/** The model's name without its options. */
const modelName = (result: TrainClicksResult | null | undefined): string =>
  result ? readPolicyText(result.config.settings.model, "report").name : "CTR model";

/** JSON has null for a figure that is not finite. */
const figure = z.number().nullable();
const count = z.number();

/** What the report reads of a result. */
const resultSchema = z.looseObject({
  strategy: z.string(),
  auc: figure,
  logLoss: figure,
  accuracy: figure,
  rows: z.object({ train: count, validation: count, test: count }),
  // Missing in results of before it could be chosen.
  monitor: z.enum(METRIC_NAMES).default("logLoss"),
  bestEpoch: count.nullable().default(null),
  samplesPerSecond: figure,
  trainSeconds: count,
  hot: z.object({ rows: count, bytes: count, inputShare: figure, accessShare: figure }).nullable(),
  sync: z.object({ count, bytes: count, seconds: count }),
  peakRssBytes: count,
  tableBytes: count,
  peakGpuBytes: count.nullable(),
  config: z.looseObject({ settings: z.looseObject({ model: z.string() }) }),
}) as unknown as z.ZodType<TrainClicksResult>;

/** The page of runs over the same data. @throws ParetoError RUN_INVALID, RUN_VERSION, FILE_REFUSED */
export async function clickReport(files: readonly RunFiles[]): Promise<Page> {
  const results = files.map((run) => resultOf(resultSchema, run));
  const runs = namedRuns(files, (_, i) => results[i]?.strategy ?? "run");
  const profiles = await Promise.all(files.map(({ path }) => readAccessProfile(path)));
  const access = profiles.find((profile) => profile !== null) ?? null;
  return {
    title: `${modelName(results[0])}: ${runs.map(({ name }) => name).join(", ")}`,
    subtitle: subtitleOf(results, access),
    sections: [
      clickResults(runs, results),
      warningsSection(runs),
      learningSection(runs, ["logLoss", "auc"]),
      ...(access ? [accessSection(access)] : []),
      timeSection(runs),
      schedulerSection(runs),
      decisionsSection(runs, ["recsys.rate"]),
      ...(access ? [fieldsSection(access)] : []),
      settingsSection(runs, results.map(settingsOf)),
    ],
  };
}

function subtitleOf(results: Results, access: AccessProfile | null): string {
  const rows = results.find((result) => result !== null)?.rows;
  const parts = rows
    ? `${formatCount(rows.train)} training, ${formatCount(rows.validation)} validation and ${formatCount(rows.test)} test rows`
    : "not finished";
  if (!access) return parts;
  const { dense, categorical } = access.columns;
  return `${parts}; ${formatCount(dense)} dense and ${formatCount(categorical)} categorical columns`;
}

function clickResults(runs: readonly NamedRun[], results: Results): Section {
  const row = (name: string, cell: (result: TrainClicksResult) => string): [string, ...string[]] => [
    name,
    ...results.map((result) => (result ? cell(result) : "–")),
  ];
  return resultSection(runs, [
    row("AUC (test)", ({ auc }) => formatFixed(auc)),
    row("Log loss", ({ logLoss }) => formatFixed(logLoss)),
    row("Accuracy", ({ accuracy }) => formatFixed(accuracy)),
    row("Weights of epoch", ({ bestEpoch, monitor }) =>
      bestEpoch === null ? UNKNOWN : `${formatCount(bestEpoch)}, best by ${METRICS[monitor].label}`,
    ),
    row("Training", ({ trainSeconds }) => formatSeconds(trainSeconds)),
    row("Samples a second", ({ samplesPerSecond }) => formatCount(samplesPerSecond)),
    row("Hot inputs", ({ hot }) => formatShare(hot?.inputShare)),
    row("Hot accesses", ({ hot }) => formatShare(hot?.accessShare)),
    row("Hot rows", ({ hot }) => formatCount(hot?.rows)),
    row("Hot bytes", ({ hot }) => formatBytes(hot?.bytes)),
    row("Synchronisations", ({ hot, sync }) => formatCount(hot && sync.count)),
    row("Bytes synchronised", ({ hot, sync }) => formatBytes(hot && sync.bytes)),
    row("Time synchronising", ({ hot, sync }) => formatSeconds(hot && sync.seconds)),
    row("Bytes of embeddings", ({ tableBytes }) => formatBytes(tableBytes)),
    row("Peak resident memory", ({ peakRssBytes }) => formatBytes(peakRssBytes)),
    row("Peak GPU memory", ({ peakGpuBytes }) => formatBytes(peakGpuBytes)),
  ]);
}

function accessSection(access: AccessProfile): Section {
  const figures = accessFigures(access);
  return { title: "What is accessed", blocks: figures.length > 0 ? [{ kind: "figures", figures }] : [] };
}

const RATES = [1, 3, 10, 25, 50, 100];

/** The rate of the shuffle scheduler over training, and the validation loss that moves it. */
function schedulerSection(runs: readonly NamedRun[]): Section {
  const series = (of: "rate" | "loss"): LineChart["series"] =>
    runs.flatMap(({ name, files }, index) => {
      const points = files.decisions.flatMap((decision) => {
        if (decision.kind !== "recsys.rate") return [];
        const y = of === "rate" ? decision.chose["rate"] : decision.saw["loss"];
        return typeof y === "number" && Number.isFinite(y) ? [{ x: decision.step, y }] : [];
      });
      if (points.length === 0) return [];
      const line = of === "rate" ? "stepped" : "solid";
      return [{ name, color: seriesColor(index), points, line, mark: points.length <= 60 ? "dots" : "none" }];
    });
  const [rates, losses] = [series("rate"), series("loss")];
  if (rates.length === 0) return { title: "Shuffle scheduler", blocks: [] };
  const x = { label: "optimizer steps", ticks: 5, format: (value: number) => formatCount(value) };
  const figures: Figure[] = [
    {
      id: "rate",
      title: "Rate after each round",
      alt: "The share of the batches of a class that a round takes, over training.",
      chart: {
        kind: "lines",
        x,
        y: {
          label: "% of the batches of a class",
          scale: "log",
          domain: [1, 100],
          ticks: RATES,
          format: (value) => String(Number(value.toPrecision(3))),
        },
        series: rates,
      },
    },
  ];
  if (losses.length > 0) {
    figures.push({
      id: "rate-loss",
      title: "Validation loss that the scheduler saw",
      alt: "The log loss on a slice of the validation part after each round.",
      chart: {
        kind: "lines",
        x,
        y: { label: "log loss", exact: (value) => value.toFixed(4) },
        series: losses,
      },
    });
  }
  return {
    title: "Shuffle scheduler",
    blocks: [
      {
        kind: "figures",
        figures,
        key: runCells(runs).filter((_, i) => rates.some(({ name }) => name === runs[i]!.name)),
      },
      {
        kind: "text",
        text: "A falling loss lets the rate grow, so that hot and cold batches take turns less often; a rise halves it.",
      },
    ],
  };
}

function fieldsSection({ fields }: AccessProfile): Section {
  const rows = fields.map(({ name, rows, missingShare, top1Share, top10Share }) => [
    name,
    formatCount(rows),
    formatShare(missingShare),
    formatShare(top1Share),
    formatShare(top10Share),
  ]);
  const head = ["Column", "Rows", "Missing", "Top 1 % takes", "Top 10 % takes"];
  return {
    title: "Categorical columns",
    blocks: rows.length > 0 ? [{ kind: "table", table: { head, rows } }] : [],
  };
}

function settingsOf(result: TrainClicksResult | null): Record<string, Scalar> {
  if (!result) return {};
  return Object.fromEntries(
    Object.entries(result.config.settings).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(", ") : (value as Scalar),
    ]),
  );
}
