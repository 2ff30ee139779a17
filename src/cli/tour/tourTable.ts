/** @file The tour's table: a row a system, its cells wrapped so that a line has at most 100 characters. */
import { formatTable } from "../output.ts";
import type { Comparison, StopResult } from "./tourStop.ts";

/** Characters of each column. */
const WIDTHS = [9, 22, 19, 20, 22] as const;
const HEAD = ["system", "measured against", "quality", "time or bytes", "what it did"];

/** A row of the table: a system and what it came to. */
export interface TourRow extends Omit<StopResult, "figure"> {
  system: string;
}

/** A comparison in words: `0.7492 → 0.7468 AUC`. */
function comparisonText({ what, before, after }: Comparison): string {
  return `${before} → ${after} ${what}`;
}

/** The cells of a row, as the table and the page show them. */
export function cellsOf({ system, against, quality, cost, sentence }: TourRow): string[] {
  return [system, against, comparisonText(quality), comparisonText(cost), sentence];
}

/** The names of the columns. */
export const tourHead: readonly string[] = HEAD;

/** The table as text. */
export function tourTable(rows: readonly TourRow[]): string {
  const lines = rows.flatMap((row, i) => {
    const cells = cellsOf(row).map((cell, column) => wrap(cell, WIDTHS[column]!));
    const height = Math.max(...cells.map((cell) => cell.length));
    const wrapped = Array.from({ length: height }, (_, line) => cells.map((cell) => cell[line] ?? ""));
    return i === 0 ? wrapped : [HEAD.map(() => ""), ...wrapped];
  });
  return formatTable(
    HEAD,
    lines,
    HEAD.map(() => "left"),
  );
}

/** Lines of at most so many characters, broken between words. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
