/** @file Charts of how the rows of a click log are accessed: the skew, and what a budget of hot rows would hold. Pure. */
import { formatShare } from "../base/format.ts";
import type { Figure } from "../report/page.ts";
import { seriesColor } from "../report/style.ts";
import type { AccessProfile } from "./profile/accessProfile.ts";

/** Shares of the rows that the skew's curve names. */
const MARKED = [0.01, 0.1];

const shortPercent = (share: number) => `${Number((100 * share).toPrecision(2))} %`;

/** Bytes in a unit that keeps them short: `4 MiB`. */
function shortBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  return `${Number((bytes / 1024 ** unit).toPrecision(3))} ${units[unit]!}`;
}

/** The curve at a share of the rows, between the two points that enclose it; null where it has not begun. */
function accessShareAt(points: AccessProfile["skew"], rowShare: number): number | null {
  const next = points.findIndex((point) => point.rowShare >= rowShare);
  const [before, after] = [points[Math.max(0, next - 1)], points[next]];
  if (!before || !after) return null;
  const span = after.rowShare - before.rowShare;
  const part = span === 0 ? 1 : (rowShare - before.rowShare) / span;
  return part < 0 ? null : before.accessShare + part * (after.accessShare - before.accessShare);
}

const PERCENT_AXIS = {
  domain: [0, 1],
  ticks: [0, 0.25, 0.5, 0.75, 1],
  format: shortPercent,
  exact: (share: number) => formatShare(share),
} as const;

function skewFigure({ skew }: AccessProfile): Figure[] {
  const points = skew.filter(({ rowShare }) => rowShare > 0);
  if (points.length < 2) return [];
  const labels = MARKED.flatMap((x) => {
    const y = accessShareAt(points, x);
    return y === null ? [] : [{ x, y, text: `${shortPercent(x)} of rows: ${formatShare(y)}` }];
  });
  return [
    {
      id: "skew",
      title: "Access skew",
      alt: labels.map(({ text }) => `${text} of accesses.`).join(" "),
      note: "Few rows take most of the accesses; a log scale shows how few.",
      chart: {
        kind: "lines",
        x: { label: "most used share of rows", scale: "log", ticks: 4, format: shortPercent },
        y: { label: "share of accesses", ...PERCENT_AXIS },
        series: [
          {
            name: "share of accesses",
            color: seriesColor(0),
            points: points.map(({ rowShare: x, accessShare: y }) => ({ x, y })),
            isFilled: true,
          },
          {
            name: "marked",
            color: seriesColor(0),
            points: labels.map(({ x, y }) => ({ x, y })),
            line: "none",
            mark: "dots",
            isOutOfTable: true,
          },
        ],
        labels,
      },
    },
  ];
}

/** Powers of two between two numbers of bytes, seven at most. */
function byteTicks(low: number, high: number): number[] {
  const [first, last] = [Math.ceil(Math.log2(low)), Math.floor(Math.log2(high))];
  const stride = Math.max(1, Math.ceil((last - first) / 5));
  return Array.from({ length: Math.floor((last - first) / stride) + 1 }, (_, i) => 2 ** (first + i * stride));
}

function budgetFigure({ budgets, chosenBudgetBytes: chosen }: AccessProfile): Figure[] {
  const points = budgets.filter(({ bytes }) => bytes > 0);
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || points.length < 2) return [];
  return [
    {
      id: "budget",
      title: "What fits in memory for hot rows",
      alt: `The share of inputs that touch hot rows only, and of accesses to hot rows, from ${shortBytes(first.bytes)} to ${shortBytes(last.bytes)}.`,
      chart: {
        kind: "lines",
        x: {
          label: "memory for hot rows",
          scale: "log",
          base: 2,
          ticks: byteTicks(first.bytes, last.bytes),
          format: shortBytes,
        },
        y: { label: "share", ...PERCENT_AXIS },
        series: [
          {
            name: "inputs that touch hot rows only",
            color: "hot",
            points: points.map(({ bytes: x, inputShare: y }) => ({ x, y })),
            isFilled: true,
          },
          {
            name: "accesses to hot rows",
            color: "cold",
            points: points.map(({ bytes: x, accessShare: y }) => ({ x, y })),
            line: "dashed",
          },
        ],
        rules: [{ axis: "x", at: chosen, label: `budget ${shortBytes(chosen)}` }],
      },
    },
  ];
}

/** The charts; those without points are left out. */
export const accessFigures = (access: AccessProfile): Figure[] => [
  ...skewFigure(access),
  ...budgetFigure(access),
];
