/**
 * @file What a page shows, as plain data: sections of tables, charts and lists. Domains describe pages in these terms,
 * {@link file://./writePage.ts} draws them. Text of every kind is escaped when it is drawn.
 */
import type { Chart } from "./chart.ts";

/** A cell: text, perhaps with a colour swatch in front, perhaps a link. */
export interface Cell {
  text: string;
  /** Name of a colour of {@link file://./style.ts}, e.g. `series-0`. */
  swatch?: string;
  /** Where the text leads: a path relative to the page. */
  href?: string;
}

/** A table; the first column holds names (left), the others values (right). */
export interface Table {
  head: readonly (Cell | string)[];
  rows: readonly (readonly (Cell | string)[])[];
  /** `headline` is large, `plain` small; `facts` lets long values wrap, `prose` has text in its columns. Defaults to `plain`. */
  look?: "headline" | "plain" | "facts" | "prose";
}

/** A chart with its words. Its numbers stand in a table beneath, folded. */
export interface Figure {
  /** Of the element, to link to. */
  id: string;
  title: string;
  /** What the chart shows, for who cannot see it. */
  alt: string;
  /** How to read it, shown beneath. */
  note?: string;
  /** Whether it takes both columns, as time lines always do. */
  isWide?: boolean;
  chart: Chart;
}

/** A part of a section. */
export type Block =
  | { kind: "table"; table: Table; /** Shown on a click on these words. */ fold?: string }
  /** Charts in two columns; wide ones take both. `key` names what colours stand for. */
  | { kind: "figures"; figures: readonly Figure[]; key?: readonly Cell[] }
  /** Tables side by side. */
  | { kind: "tables"; tables: readonly Table[] }
  | { kind: "text"; text: string }
  | { kind: "list"; items: readonly (Cell | string)[] };

/** Blocks under a heading; one without blocks is left out. */
export interface Section {
  title: string;
  blocks: readonly Block[];
}

/** A page. */
export interface Page {
  title: string;
  /** One line under the title. */
  subtitle: string;
  sections: readonly Section[];
}
