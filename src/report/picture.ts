/**
 * @file Charts side by side as one SVG picture that stands by itself, in Markdown for example: with its own colours, light
 * or dark as its reader prefers, a title over each chart and a key. The same text for the same figures.
 */
import type { LineChart } from "./chart.ts";
import { drawChart, WIDTH } from "./drawChart.ts";
import { escapeHtml } from "./html.ts";
import type { PlotLibrary } from "./plotLibrary.ts";
import { colorStyle, FONT } from "./style.ts";

/** A chart with its words. */
export interface Panel {
  title: string;
  /** Under the title. */
  note: string;
  chart: LineChart;
}

const GAP = 24;
const TOP = 40;
const HEIGHT = 300;
const KEY = { width: 130, line: 22 };

/**
 * Draws panels, which have the same series.
 * @param name what the picture shows, for who cannot see it
 */
export function drawPicture(library: PlotLibrary, name: string, panels: readonly Panel[]): string {
  const series = panels[0]!.chart.series;
  const [width, height] = [panels.length * (WIDTH.column + GAP) + KEY.width, TOP + HEIGHT];
  const drawn = panels.map(({ title, note, chart }, i) => {
    const left = i * (WIDTH.column + GAP);
    const svg = drawChart(library, { ...chart, height: HEIGHT }, { name: title, isWide: false });
    return [
      `<text class="title" x="${left + 8}" y="16">${escapeHtml(title)}</text>`,
      `<text x="${left + 8}" y="34">${escapeHtml(note)}</text>`,
      svg.replace("<svg ", `<svg x="${left}" y="${TOP}" `),
    ].join("\n");
  });
  const keyLeft = width - KEY.width;
  const key = series.map(({ name: text, color }, i) => {
    const y = TOP + 34 + KEY.line * i;
    const line = `<line x1="${keyLeft}" x2="${keyLeft + 20}" y1="${y - 4}" y2="${y - 4}" stroke="var(--${color})" stroke-width="2"/>`;
    return `${line}<text x="${keyLeft + 28}" y="${y}">${escapeHtml(text)}</text>`;
  });
  const style = `${colorStyle(".picture")}.picture{color:var(--soft)}.picture>text{font:12px ${FONT};fill:var(--soft)}.picture>.title{font-weight:600;fill:var(--ink)}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="picture" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeHtml(name)}">`,
    `<style>${style}</style>`,
    ...drawn,
    ...key,
    "</svg>\n",
  ].join("\n");
}
