/** @file The tour's page: its table, and for each system a picture, the commands that ran, and links to the runs. */
import type { Figure, Page } from "../../report/page.ts";
import { cellsOf, tourHead, type TourRow } from "./tourTable.ts";

/** What a stop left. */
export interface Visited {
  row: TourRow;
  figure: Figure;
  /** As a user would write them. */
  commands: readonly string[];
}

/** The page. */
export function tourPage(visited: readonly Visited[]): Page {
  return {
    title: "Pareto: a tour of the systems",
    subtitle: "Each system at work on something small, measured against what it replaces, on this machine",
    sections: [
      {
        title: "The systems",
        blocks: [
          {
            kind: "table",
            table: { head: tourHead, rows: visited.map(({ row }) => cellsOf(row)), look: "prose" },
          },
        ],
      },
      ...visited.map(({ row, figure, commands }) => ({
        title: row.system,
        blocks: [
          { kind: "text" as const, text: row.sentence },
          { kind: "figures" as const, figures: [figure] },
          { kind: "text" as const, text: "What the commands made:" },
          { kind: "list" as const, items: row.links.map((link) => ({ text: link, href: link })) },
          { kind: "text" as const, text: "The commands:" },
          { kind: "list" as const, items: commands },
        ],
      })),
    ],
  };
}
