/** @file A page as HTML: one text that loads nothing and holds no script. */
import { chartTable } from "./chartTable.ts";
import { drawChart } from "./drawChart.ts";
import { cellHtml, escapeHtml, keyHtml, tableHtml } from "./html.ts";
import type { Block, Cell, Figure, Page, Section } from "./page.ts";
import type { PlotLibrary } from "./plotLibrary.ts";
import { PAGE_STYLE } from "./style.ts";

/** What the colours of a chart stand for, where it shows several. */
function keyOf({ chart }: Figure): Cell[] {
  if (chart.kind === "bars") return [];
  const named =
    chart.kind === "lines"
      ? chart.series
          .filter(({ line }) => line !== "none")
          .map(({ name, color }) => ({ text: name, swatch: color }))
      : chart.rows.flatMap(({ spans }) => spans.map(({ name, color }) => ({ text: name, swatch: color })));
  const cells = [...new Map(named.map((cell) => [cell.text, cell])).values()];
  return cells.length > 1 ? cells : [];
}

function figureHtml(figure: Figure, hasKey: boolean, library: PlotLibrary): string {
  const { id, title, alt, note, chart } = figure;
  const isWide = figure.isWide ?? chart.kind === "spans";
  const key = hasKey ? keyOf(figure) : [];
  const numbers = chartTable(chart);
  const parts = [
    `<figcaption>${escapeHtml(title)}</figcaption>`,
    ...(key.length > 0 ? [keyHtml(key)] : []),
    `<div class="chart">${drawChart(library, chart, { name: `${title}. ${alt}`, isWide })}</div>`,
    ...(note === undefined ? [] : [`<p class="note">${escapeHtml(note)}</p>`]),
    ...(numbers === null ? [] : [foldedHtml("The numbers", tableHtml(numbers))]),
  ];
  const look = isWide ? ' class="wide"' : "";
  return `<figure id="${escapeHtml(id)}"${look}>${parts.join("")}</figure>`;
}

const foldedHtml = (words: string, inner: string) =>
  `<details><summary>${escapeHtml(words)}</summary>${inner}</details>`;

const gridHtml = (parts: readonly string[]) => `<div class="grid">${parts.join("")}</div>`;

function blockHtml(block: Block, library: PlotLibrary | null): string {
  switch (block.kind) {
    case "table": {
      const table = tableHtml(block.table);
      return block.fold === undefined ? table : foldedHtml(block.fold, table);
    }
    case "tables":
      return gridHtml(block.tables.map((table) => `<div>${tableHtml(table)}</div>`));
    case "figures": {
      const key = block.key && block.key.length > 0 ? keyHtml(block.key) : "";
      return key + gridHtml(block.figures.map((figure) => figureHtml(figure, !block.key, library!)));
    }
    case "text":
      return `<p>${escapeHtml(block.text)}</p>`;
    case "list":
      return `<ul>${block.items.map((item) => `<li>${cellHtml(item)}</li>`).join("")}</ul>`;
  }
}

/** Whether a page has anything for Plot to draw. */
export function hasCharts({ sections }: Page): boolean {
  return sections.some(({ blocks }) => blocks.some(({ kind }) => kind === "figures"));
}

function sectionHtml({ title, blocks }: Section, library: PlotLibrary | null): string {
  const parts = blocks.map((block) => blockHtml(block, library));
  return `<section><h2>${escapeHtml(title)}</h2>${parts.join("")}</section>`;
}

/** The whole page. @param library what draws charts; a page without any needs none */
export function renderPage(page: Page, library: PlotLibrary | null): string {
  const { title, subtitle, sections } = page;
  return [
    `<!doctype html><html lang="en"><head><meta charset="utf-8">`,
    `<meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${escapeHtml(title)}</title><style>${PAGE_STYLE}</style></head><body><main>`,
    `<header><h1>${escapeHtml(title)}</h1><p>${escapeHtml(subtitle)}</p></header>`,
    ...sections.filter(({ blocks }) => blocks.length > 0).map((section) => sectionHtml(section, library)),
    `</main></body></html>\n`,
  ].join("\n");
}
