/** @file How rows of measurements read: as a plain table. */
import type { BenchRow } from "./measure.ts";

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
