/** @file A line of the table of measurements: what it holds, how one that failed reads, how the table reads. */
import { ParetoError } from "../../src/base/errors.ts";

/** One line of the table. */
export interface BenchRow {
  case: string;
  /** What was measured, in words. */
  size: string;
  /** Median of a step or of the whole, milliseconds; null for what could not be measured or has no time. */
  milliseconds: number | null;
  figure: string;
  /** What it is related to, measured in the same run. */
  limit: string;
  /** Figure over limit; null when there was nothing to relate it to. */
  ratio: number | null;
  /** What the ratio, or the figure when there is none, should be. */
  target: string;
  /** Whether the target is met; null when the line has none. */
  met: boolean | null;
}

/** The row of what could not be measured. */
export function failedRow(name: string, error: unknown): BenchRow {
  const text = error instanceof ParetoError ? `${error.code}: ${error.message}` : String(error);
  const [line] = text.split("\n");
  return {
    case: name,
    size: "",
    milliseconds: null,
    figure: "failed",
    limit: line!.slice(0, 200),
    ratio: null,
    target: "",
    met: false,
  };
}

/** The row of what a machine without a GPU does not measure. */
export function withoutGpuRow(name: string, reason: ParetoError): BenchRow {
  return { ...failedRow(name, reason), figure: "not measured", met: null };
}

/** Measures one row so that the others go on when it fails. */
export async function attempt(name: string, measure: () => Promise<BenchRow>): Promise<BenchRow> {
  try {
    return await measure();
  } catch (error) {
    return failedRow(name, error);
  }
}

/** Rows as they come; one that throws is the last, and says so. */
export async function collectRows(name: string, rows: AsyncIterable<BenchRow>): Promise<BenchRow[]> {
  const found: BenchRow[] = [];
  try {
    for await (const row of rows) found.push(row);
  } catch (error) {
    found.push(failedRow(name, error));
  }
  return found;
}

const HEAD = ["case", "size", "median ms", "figure", "limit measured in the same run", "ratio", "target", ""];

function milliseconds(value: number | null): string {
  if (value === null) return "–";
  return value < 0.1 ? value.toFixed(4) : value.toFixed(value < 100 ? 2 : 0);
}

/** The lines of the table: a head, a rule, and a line a row. */
export function benchTable(rows: readonly BenchRow[]): string[] {
  const lines = rows.map((row) => [
    row.case,
    row.size,
    milliseconds(row.milliseconds),
    row.figure,
    row.limit,
    row.ratio === null ? "–" : row.ratio.toFixed(2),
    row.target,
    row.met === null ? "" : row.met ? "met" : "MISSED",
  ]);
  const widths = HEAD.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i]!.length)));
  return [HEAD, widths.map((width) => "-".repeat(width)), ...lines].map((line) =>
    line
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join(" | ")
      .trimEnd(),
  );
}
